"""The page that compares two versions of a dataset: what was added, removed and changed."""

from __future__ import annotations

import csv
import json
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from django.http import Http404, HttpResponse, StreamingHttpResponse
from django.shortcuts import redirect

from frames.formats.csv_writer import inert
from frames.previews.spec import PREVIEW_EDGE_PX
from frames.search import compare
from frames.search.errors import QueryError
from frames.search.query import GROUP_NONE, FrameQuery
from frames.web import access
from frames.web.addresses import compare_address, frame_address, restore_address
from frames.web.cards import frame_json
from frames.web.http import respond
from frames.web.overlay import shapes_on
from frames.web.pictures import pictures_of, ratio_of, shown_source
from frames.web.text import count, moment, plural, visible
from frames.web.toolbar import VIEWS, Choice
from frames.web.version_detail import may_edit, refused_json
from frames.web.versions import version_json

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from frames.models import Source, Version
    from frames.search.compare import (
        ChangedRow,
        Comparison,
        FrameChanges,
        LabelDelta,
        RegionChange,
        Side,
    )
    from frames.search.rows import FrameRow
    from frames.web.http import SignedInRequest
    from frames.web.overlay import Shape
    from frames.web.pictures import Picture

PAGE_SIZE: Final = 24
GRID: Final = "grid"
SIDES: Final[tuple[Side, ...]] = ("changed", "added", "removed")
LABELS_SHOWN: Final = 50
KEYS_SHOWN: Final = 8
REGION_KINDS: Final = ("added", "removed", "moved", "relabelled", "edited")
_CSV_HEAD: Final = ("change", "frame_id", "context_id", "timestamp", "what")


@dataclass(frozen=True, slots=True)
class Restore:
    """The page that makes one version hold what the other does."""

    text: str
    url: str


@dataclass(frozen=True, slots=True)
class Difference:
    """One frame that differs, with its picture and, where it changed, what did.

    `url` is the frame's page; `difference_url` is where a changed one is drawn before and after.
    `width` and `height` are of the shown source in px, 0 where they are unknown.
    """

    row: ChangedRow
    source: Source
    picture: Picture
    url: str
    earlier_url: str
    difference_url: str
    width: int
    height: int
    changes: FrameChanges | None
    restore_url: str

    @property
    def frame_row(self) -> FrameRow:
        """The frame as it is shown: after, or before where it was removed."""
        shown = self.row.after or self.row.before
        if shown is None:
            raise ValueError("a difference has a side")
        return shown

    @property
    def frame_id(self) -> str:
        """What the frame is called."""
        return self.frame_row.frame.frame_id

    @property
    def context_id(self) -> str:
        """What it is a part of."""
        return self.frame_row.frame.context_id

    @property
    def moment(self) -> str:
        """When it is."""
        return moment(self.frame_row.frame.timestamp)

    @property
    def shapes_before(self) -> list[Shape]:
        """The regions it had, on the shown source."""
        return _shapes(self.row.before, self.source)

    @property
    def shapes_after(self) -> list[Shape]:
        """The regions it has, on the shown source."""
        return _shapes(self.row.after, self.source)

    @property
    def lines(self) -> list[str]:
        """What changed, in words, a line each."""
        if self.changes is None or self.row.before is None or self.row.after is None:
            return []
        return change_lines(self.row.before, self.row.after, self.changes)

    @property
    def summary(self) -> list[str]:
        """What changed, in words that a row holds; of a frame that came or went, its regions."""
        if self.changes is None:
            return [plural(len(self.frame_row.frame.rois), "region")]
        return summary_lines(self.changes)


@dataclass(frozen=True, slots=True)
class ComparePage:
    """One page of the frames in which one version differs from another."""

    before: Version
    after: Version
    side: Side
    comparison: Comparison
    deltas: list[LabelDelta]
    query: FrameQuery
    items: list[Difference]
    next: str | None
    may_edit: bool

    @property
    def restores(self) -> list[Restore]:
        """The ways to make one of the two what the other is: into drafts only."""
        if not self.may_edit or not any(getattr(self.comparison, side) for side in SIDES):
            return []
        return [
            Restore(f"Restore {draft.name} to {source.name}", restore_address(draft, source))
            for draft, source in ((self.after, self.before), (self.before, self.after))
            if draft.is_draft
        ]

    @property
    def tabs(self) -> list[Choice]:
        """The three ways of differing, each with how many frames do."""
        return [
            Choice(
                side,
                f"{side.capitalize()} {count(len(getattr(self.comparison, side)))}",
                self._url(side=side),
                side == self.side,
            )
            for side in SIDES
        ]

    @property
    def views(self) -> list[Choice]:
        """The same frames as thumbnails or as a table."""
        return [
            Choice(
                view,
                name,
                self._url(side=self.side, after=self.query.after, view=view),
                view == self.query.view,
            )
            for view, name in VIEWS.items()
        ]

    @property
    def next_url(self) -> str:
        """The next page, empty at the end."""
        return self._url(side=self.side, after=self.next) if self.next else ""

    @property
    def swapped_url(self) -> str:
        """The comparison the other way round."""
        return _address(self.after, self.before, view=self.query.view)

    @property
    def csv_url(self) -> str:
        """All that differs, as CSV."""
        return compare_address(self.before, self.after, {"format": "csv"})

    @property
    def summary(self) -> str:
        """All that differs in one line."""
        parts = [f"{count(len(getattr(self.comparison, side)))} {side}" for side in SIDES]
        return ", ".join(parts)

    @property
    def shown_deltas(self) -> list[LabelDelta]:
        """The labels whose number of regions changed most."""
        return [replace(delta, label=visible(delta.label)) for delta in self.deltas[:LABELS_SHOWN]]

    @property
    def more_deltas(self) -> str:
        """How many labels there are beside those."""
        more = len(self.deltas) - LABELS_SHOWN
        return f"and {plural(more, 'label')} more" if more > 0 else ""

    @property
    def ratio(self) -> str:
        """The shape of the pictures' boxes."""
        return ratio_of((item.width, item.height) for item in self.items)

    def as_json(self) -> dict[str, Any]:
        """Return the list of one way of differing, with the counts of all."""
        return {
            "before": version_json(self.before),
            "after": version_json(self.after),
            **{side: len(getattr(self.comparison, side)) for side in SIDES},
            "labels": [
                {"label": delta.label, "before": delta.before, "after": delta.after}
                for delta in self.deltas
            ],
            "side": self.side,
            "matched": len(getattr(self.comparison, self.side)),
            "total": sum(len(getattr(self.comparison, side)) for side in SIDES),
            "items": [self._item(item) for item in self.items],
            "next": self.next,
        }

    def _item(self, item: Difference) -> dict[str, Any]:
        before_url = item.earlier_url or item.url
        sides = {
            "before": (item.row.before, self.before, before_url),
            "after": (item.row.after, self.after, item.url),
        }
        return {
            "frame_id": item.frame_id,
            "changes": item.lines,
            **{
                name: row and frame_json(row, version, url, item.picture)
                for name, (row, version, url) in sides.items()
            },
        }

    def _url(self, **query: str) -> str:
        return _address(self.before, self.after, **{"view": self.query.view, **query})


def version_compare(
    request: SignedInRequest,
    dataset_uid: str,
    before_uid: str,
    after_uid: str,
    *,
    as_json: bool = False,
) -> HttpResponse | StreamingHttpResponse:
    """Show in which frames the second version differs from the first."""
    before = access.version_or_404(request.user, dataset_uid, before_uid)
    after = access.version_or_404(request.user, dataset_uid, after_uid)
    comparison = compare.compare(before, after)
    editable = may_edit(request.user, after)
    if request.GET.get("format") == "csv":
        return _as_csv(comparison)
    side = request.GET.get("side") or next(
        (side for side in SIDES if getattr(comparison, side)), SIDES[0]
    )
    view = request.GET.get("view") or GRID
    if side not in SIDES or view not in VIEWS:
        raise Http404
    try:
        query = FrameQuery.from_params(
            {"group": GROUP_NONE, "after": request.GET.get("after", ""), "view": view}
        )
        found = compare.page(comparison, side, query, PAGE_SIZE)
    except QueryError as error:
        if as_json:
            return refused_json(error)
        return redirect(_address(before, after, side=side, view=view))
    page = ComparePage(
        before=before,
        after=after,
        side=side,
        comparison=comparison,
        deltas=compare.label_deltas(comparison),
        query=query,
        items=_differences(
            before,
            after,
            found.items,
            grid_url=_address(before, after, side=side, after=query.after),
            may_edit=editable,
        ),
        next=found.next,
        may_edit=editable,
    )
    return respond(request, page, "version/compare.html", as_json=as_json, partial="items")


def version_compare_choice(request: SignedInRequest, dataset_uid: str) -> HttpResponse:
    """Go to the comparison of the two versions chosen in a form."""
    dataset = access.dataset_or_404(request.user, dataset_uid)
    before, after = (
        access.version_or_404(request.user, dataset.uid, request.GET.get(name, ""))
        for name in ("before", "after")
    )
    return redirect(compare_address(before, after))


def _differences(
    before: Version, after: Version, rows: Sequence[ChangedRow], *, grid_url: str, may_edit: bool
) -> list[Difference]:
    """Return what is shown of each frame; one query for all pictures."""
    shown = [shown_source((row.after or row.before).sources) for row in rows]  # type: ignore[union-attr]
    project_pk = after.dataset.project_id
    pictures = pictures_of(((project_pk, source) for source in shown), PREVIEW_EDGE_PX)
    found = []
    for row, source in zip(rows, shown, strict=True):
        picture = pictures[source.pk]
        frame_row = row.after or row.before
        frame_id = frame_row.frame.frame_id if frame_row else ""
        url = frame_address(after if row.after else before, frame_id, {})
        found.append(
            Difference(
                row=row,
                source=source,
                picture=picture,
                url=url,
                earlier_url=frame_address(before, frame_id, {}) if row.before else "",
                difference_url=f"{grid_url}#frame-{row.after.frame.pk}"
                if row.before and row.after
                else url,
                width=source.width or picture.original_width,
                height=source.height or picture.original_height,
                changes=compare.frame_changes(row.before, row.after)
                if row.before and row.after
                else None,
                restore_url=restore_address(after, before, frame_id)
                if may_edit and after.is_draft
                else "",
            )
        )
    return found


def _address(before: Version, after: Version, /, **query: str) -> str:
    """Return a comparison's page with what differs from the defaults in its query."""
    given = {name: value for name, value in query.items() if value and value != GRID}
    return compare_address(before, after, given)


def _shapes(row: FrameRow | None, source: Source) -> list[Shape]:
    if row is None:
        return []
    return [s for s in shapes_on(row.frame.rois, source.source_id) if s.path or s.ellipse]


def change_lines(before: FrameRow, after: FrameRow, changes: FrameChanges) -> list[str]:
    """Return what differs between two revisions of a frame, in words; equal lines are counted."""
    lines = [
        f"{change.key}: {_shown(change.before, is_there=change.is_in_before)} → "
        f"{_shown(change.after, is_there=change.is_in_after)}"
        for change in changes.meta
    ]
    old, new = before.frame.rois, after.frame.rois
    lines += [_region_line(change, old, new) for change in changes.regions]
    lines += _field_lines(changes)
    return [
        line if number == 1 else f"{number} \N{MULTIPLICATION SIGN} {line}"
        for line, number in Counter(lines).items()
    ]


def summary_lines(changes: FrameChanges) -> list[str]:
    """Return what differs between two revisions of a frame: keys by name, regions by number.

    A region that was moved and relabelled counts as both.
    """
    lines = []
    if changes.meta:
        keys = ", ".join(change.key for change in changes.meta[:KEYS_SHOWN])
        more = len(changes.meta) - KEYS_SHOWN
        lines.append(f"metadata: {keys}" + (f" and {count(more)} more" if more > 0 else ""))
    numbers = Counter(kind for change in changes.regions for kind in change.kinds)
    lines += [f"{plural(numbers[kind], 'region')} {kind}" for kind in REGION_KINDS if numbers[kind]]
    return lines + _field_lines(changes)


def _field_lines(changes: FrameChanges) -> list[str]:
    return [f"{field} differ{'' if field.endswith('s') else 's'}" for field in changes.fields]


def _shown(value: Any, *, is_there: bool) -> str:
    return json.dumps(value, ensure_ascii=False)[:80] if is_there else "none"


def _region_line(
    change: RegionChange, before: list[dict[str, Any]], after: list[dict[str, Any]]
) -> str:
    old = before[change.before] if change.before is not None else None
    new = after[change.after] if change.after is not None else None
    name = _labels_text(new or old or {})
    kinds = " and ".join(change.kinds)
    if old is not None and new is not None and "relabelled" in change.kinds:
        name = f"{_labels_text(old)} → {name}"
    return f"{name}: {kinds}"


def _labels_text(roi: dict[str, Any]) -> str:
    return ", ".join(map(visible, roi.get("label") or ())) or "no label"


def _as_csv(comparison: Comparison) -> StreamingHttpResponse:
    """Stream all that differs, a line a frame and a label; memory does not grow with it."""
    response = StreamingHttpResponse(_csv_lines(comparison), content_type="text/csv; charset=utf-8")
    name = f"{comparison.before.uid[:8]}-{comparison.after.uid[:8]}.csv"
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


def _csv_lines(comparison: Comparison) -> Iterator[str]:
    writer = csv.writer(_Echo())
    yield writer.writerow(_CSV_HEAD)
    for side in SIDES:
        query = FrameQuery(group=GROUP_NONE)
        while True:
            page = compare.page(comparison, side, query, 500)
            for item in page.items:
                row = item.after or item.before
                if row is None:
                    continue
                frame = row.frame
                what = ""
                if item.before and item.after:
                    changes = compare.frame_changes(item.before, item.after)
                    what = "; ".join(change_lines(item.before, item.after, changes))
                cells = (side, frame.frame_id, frame.context_id, f"{frame.timestamp:g}", what)
                yield writer.writerow([inert(cell) for cell in cells])
            if page.next is None:
                break
            query = query.with_(after=page.next)
    for delta in compare.label_deltas(comparison):
        what = f"{delta.label}: {plural(delta.before, 'region')} before, {delta.after} after"
        yield writer.writerow(["label", "", "", "", inert(what)])


class _Echo:
    """A file that hands each line back to whoever wrote it."""

    def write(self, line: str) -> str:
        """Return the line."""
        return line
