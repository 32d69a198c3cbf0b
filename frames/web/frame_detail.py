"""A frame's page: the picture with its regions, everything known of it, and the way on."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from django.http import Http404

from frames.actions import previews
from frames.formats.singleframe import render_frame
from frames.media.kinds import Kind, kind_of
from frames.previews.spec import PREVIEW_EDGE_PX, VIEWER_EDGE_PX
from frames.search import pages
from frames.search.errors import QueryError
from frames.search.query import FrameQuery, encode_after
from frames.web import access
from frames.web.addresses import (
    context_address,
    frame_address,
    history_address,
    original_address,
    version_address,
)
from frames.web.cards import frame_json
from frames.web.http import respond
from frames.web.labels import Label
from frames.web.overlay import is_frame_label, shapes_on
from frames.web.pictures import pictures_of, ratio_of, shown_source
from frames.web.reasons import hits_of, reasons_of
from frames.web.strip import strip_of
from frames.web.text import count, dimensions, head_and_tail, json_text, moment, plural, value_text
from frames.web.toolbar import Choice
from frames.web.version_detail import filter_of, given_filter, may_edit, refused_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from django.http import HttpResponse

    from frames.models import Source, Version
    from frames.search.pages import FrameDetail
    from frames.search.rows import FrameRow
    from frames.web.http import SignedInRequest
    from frames.web.overlay import Shape
    from frames.web.pictures import Picture
    from frames.web.reasons import Reason
    from frames.web.strip import Strip


# Of the picture's longer side. The labels of what is smaller would cover one another.
SMALL_SHARE: Final = 0.06
# So many frames of a video are made ready with the one that is looked at.
AHEAD_FRAMES: Final = 16


@dataclass(frozen=True, slots=True)
class DrawnShape:
    """A region with the place of its label; that of a small one is shown when it is looked at."""

    shape: Shape
    x: str
    y: str
    is_small: bool
    is_hit: bool


@dataclass(frozen=True, slots=True)
class View:
    """What the viewer shows of one source.

    `width` and `height` are those that regions are measured in, 0 when unknown. `src` is the
    best picture there is now; `preview` is the viewer's own, which may still be in the making.
    `full` is the original, where a browser can show it and it has more than `src`. `hits` are the
    regions that the filter asks for.
    """

    source: Source
    tile: Picture
    preview: Picture
    src: str
    full: str
    width: int
    height: int
    color: str
    shapes: list[Shape]
    hits: frozenset[int]

    @property
    def text_height(self) -> str:
        """Text height in the picture's own pixels, before the viewer knows the screen's."""
        return f"{max(self.width, self.height) / 64:.1f}"

    @property
    def ratio(self) -> str:
        """The shape of the stage where it is not as high as the window lets it be."""
        return ratio_of([(self.width, self.height)])

    @property
    def regions(self) -> list[Shape]:
        """The regions with a geometry of their own."""
        return [shape for shape in self.shapes if not shape.in_mask]

    @property
    def regions_text(self) -> str:
        """How many regions have a geometry of their own."""
        return plural(len(self.regions), "region")

    @property
    def in_masks(self) -> list[Shape]:
        """The regions that are values of a mask."""
        return [shape for shape in self.shapes if shape.in_mask]

    @property
    def in_masks_text(self) -> str:
        """How many regions are values of a mask."""
        return plural(len(self.in_masks), "mask value")

    @property
    def drawn(self) -> list[DrawnShape]:
        """The regions that can be drawn; none where the size they are measured in is unknown."""
        if not self.width:
            return []
        # A label above a region at the top edge would be cut off.
        highest = 1.4 * float(self.text_height)
        small = SMALL_SHARE * max(self.width, self.height)
        return [
            DrawnShape(
                shape=shape,
                x=f"{max(shape.box[0], 0):.1f}",
                y=f"{max(shape.box[1], highest):.1f}",
                is_small=shape.edge < small,
                is_hit=shape.number in self.hits,
            )
            for shape in self.shapes
            if shape.is_drawn
        ]

    @property
    def dimensions(self) -> str:
        """Width x height in px, empty when unknown."""
        return dimensions(self.width, self.height)

    @property
    def mismatch(self) -> str:
        """The picture's true size, where the frame declares another shape."""
        seen_width, seen_height = self.preview.original_width, self.preview.original_height
        if not (self.width and seen_width and seen_height):
            return ""
        if abs(self.width * seen_height - self.height * seen_width) <= 0.01 * (
            self.width * seen_height
        ):
            return ""
        return dimensions(seen_width, seen_height)


@dataclass(frozen=True, slots=True)
class SourceEntry:
    """One source in the list of sources."""

    source: Source
    url: str
    original_url: str
    is_current: bool

    @property
    def facts(self) -> str:
        """Its kind, its size and where in its file it is, as far as they are known."""
        source = self.source
        at = f"at {moment(source.timestamp)}" if source.timestamp else ""
        size = dimensions(source.width or 0, source.height or 0)
        return " · ".join(fact for fact in (source.content_type, size, at) if fact)


@dataclass(frozen=True, slots=True)
class Step:
    """A way to another frame of the context; `url` is empty where there is none that way."""

    name: str
    label: str
    key: str
    icon: str
    url: str


@dataclass(frozen=True, slots=True)
class FramePage:
    """One frame among those of its context."""

    version: Version
    query: FrameQuery
    detail: FrameDetail
    source_id: str
    view: View
    sources: list[SourceEntry]
    strip: Strip | None
    may_edit: bool
    why: list[Reason]
    problem: str
    mend_url: str

    @property
    def row(self) -> FrameRow:
        """The frame and its sources."""
        return self.detail.row

    @property
    def frame_id(self) -> str:
        """What the frame is called."""
        return self.row.frame.frame_id

    @property
    def context_id(self) -> str:
        """What its context is called."""
        return self.row.frame.context_id

    @property
    def moment(self) -> str:
        """When it is."""
        return moment(self.row.frame.timestamp)

    @property
    def position(self) -> str:
        """Where it is in its context, counted from 1: "12 / 48"."""
        return f"{count(self.detail.position + 1)} / {count(self.detail.count)}"

    @property
    def context_head(self) -> str:
        """The context's name to where a narrow line may cut it."""
        return head_and_tail(self.context_id)[0]

    @property
    def context_tail(self) -> str:
        """The end of the context's name."""
        return head_and_tail(self.context_id)[1]

    @property
    def steps(self) -> list[Step]:
        """To the first, the previous, the next and the last frame."""
        detail = self.detail
        first = detail.first if detail.previous is not None else None
        last = detail.last if detail.next is not None else None
        return [
            Step("first", "First frame", "Home", "M4 3v10M12 3 7 8l5 5", self._url(first)),
            Step("previous", "Previous frame", "←", "m10 3-5 5 5 5", self._url(detail.previous)),
            Step("next", "Next frame", "→", "m6 3 5 5-5 5", self._url(detail.next)),
            Step("last", "Last frame", "End", "M12 3v10M4 3l5 5-5 5", self._url(last)),
        ]

    @property
    def context_url(self) -> str:
        """All frames of the context."""
        return context_address(self.version, self.context_id, filter_of(self.query))

    @property
    def is_alone(self) -> bool:
        """Whether its context has no other frame, so that the way up skips the context."""
        return self.detail.count == 1

    @property
    def version_url(self) -> str:
        """The version's contexts under the same filter."""
        return version_address(self.version, filter_of(self.query))

    @property
    def json_url(self) -> str:
        """The page's JSON twin."""
        path, mark, query = self._url(self.frame_id).partition("?")
        return f"{path.removesuffix('/')}.json{mark}{query}"

    @property
    def is_filtered(self) -> bool:
        """Whether the way on leads past frames that a filter hides."""
        return bool(self.query.q or self.query.label)

    @property
    def filter_text(self) -> str:
        """The filter as its writer would say it."""
        parts = (f"label {self.query.label}" if self.query.label else "", self.query.q)
        return " and ".join(part for part in parts if part)

    @property
    def unfiltered_url(self) -> str:
        """This frame among all of its context."""
        chosen = {"source": self.source_id} if self.source_id else {}
        return frame_address(self.version, self.frame_id, chosen)

    @property
    def timestamp(self) -> str:
        """The timestamp as the producer gave it."""
        return f"{self.row.frame.timestamp:.15g}"

    @property
    def saved(self) -> datetime:
        """When this revision was written."""
        return datetime.fromtimestamp(self.row.frame.saved_ms / 1000, UTC)

    @property
    def history_url(self) -> str:
        """The frame's revisions."""
        return history_address(self.version, self.frame_id, {})

    @property
    def frame_labels(self) -> list[Label]:
        """The labels of the frame as a whole."""
        rois = [roi for roi in self.row.frame.rois if is_frame_label(roi)]
        names = dict.fromkeys(name for roi in rois for name in roi.get("label") or ())
        return [Label(name) for name in names]

    @property
    def metadata(self) -> list[tuple[str, str]]:
        """The frame's metadata, values as text."""
        return [(key, value_text(value)) for key, value in self.row.frame.meta.items()]

    @property
    def text(self) -> str:
        """The frame as SingleFrame JSON, indented."""
        uids = (self.version.dataset.uid, self.version.uid)
        frame = render_frame(self.row.frame, self.row.sources, *uids)
        return json_text(frame)

    @property
    def sources_text(self) -> str:
        """How many sources the frame has."""
        return plural(len(self.sources), "source")

    @property
    def sources_in_tabs(self) -> list[Choice]:
        """The sources to switch between, none where there is one."""
        if len(self.sources) < 2:
            return []
        return [
            Choice(entry.source.source_id, entry.source.source_id, entry.url, entry.is_current)
            for entry in self.sources
        ]

    def as_json(self) -> dict[str, Any]:
        """Return the frame with its place in its context."""
        url = frame_address(self.version, self.frame_id, {})
        return {
            **frame_json(self.row, self.version, url, self.view.tile),
            "position": self.detail.position,
            "count": self.detail.count,
            "previous": self._url(self.detail.previous) or None,
            "next": self._url(self.detail.next) or None,
            "why": [asdict(reason.clause) for reason in self.why],
        }

    def _url(self, frame_id: str | None) -> str:
        if frame_id is None:
            return ""
        chosen = {"source": self.source_id} if self.source_id else {}
        return frame_address(self.version, frame_id, {**filter_of(self.query), **chosen})


def frame_detail(
    request: SignedInRequest,
    dataset_uid: str,
    version_uid: str,
    frame_id: str = "",
    *,
    as_json: bool = False,
) -> HttpResponse:
    """Show a frame, found by its path or, where that cannot hold its id, by `id`."""
    version = access.version_or_404(request.user, dataset_uid, version_uid)
    frame_id = frame_id or request.GET.get("id", "")
    problem = ""
    try:
        query = FrameQuery.from_params(request.GET.dict())
        detail = pages.frame_detail(version, frame_id, query)
    except QueryError as error:
        if as_json:
            return refused_json(error)
        # What is wrong with a filter is no reason not to show a frame.
        problem, query = error.message, FrameQuery()
        detail = pages.frame_detail(version, frame_id, query)
    if detail is None:
        raise Http404
    frame = detail.row.frame
    source_id = request.GET.get("source", "")
    source = _chosen(detail.row.sources, source_id)
    why = reasons_of(detail.row, query)
    page = FramePage(
        version=version,
        query=query,
        detail=detail,
        source_id=source_id,
        view=_view(version, detail.row, source, query, hits_of(why)),
        sources=_entries(version, detail.row, source, filter_of(query)),
        strip=strip_of(version, frame.context_id, filter_of(query), frame.timestamp),
        may_edit=may_edit(request.user, version),
        why=why,
        problem=problem,
        mend_url=version_address(version, given_filter(request.GET)) if problem else "",
    )
    return respond(request, page, "frame/detail.html", as_json=as_json)


def _chosen(sources: Sequence[Source], source_id: str) -> Source:
    """Return the source asked for, or the one that tiles show where the frame has no such."""
    return next((s for s in sources if s.source_id == source_id), shown_source(sources))


def _entries(
    version: Version, row: FrameRow, current: Source, found_by: dict[str, str]
) -> list[SourceEntry]:
    return [
        SourceEntry(
            source=source,
            url=frame_address(
                version, row.frame.frame_id, {**found_by, "source": source.source_id}
            ),
            original_url=original_address(source.pk),
            is_current=source.pk == current.pk,
        )
        for source in row.sources
    ]


def _ahead(version: Version, row: FrameRow, source: Source, query: FrameQuery) -> list[Source]:
    """Return the same source of the next frames, where it is a video.

    A video is decoded forward: the frames that come next cost little when they are made with
    this one, and a seek each when they are asked for one by one.
    """
    if kind_of(source.uri, source.content_type) is not Kind.VIDEO:
        return []
    behind = query.with_(after=encode_after(row.frame.frame_id))
    found = pages.context_page(version, row.frame.context_id, behind, AHEAD_FRAMES)
    rows = found.items if found else []
    return [_chosen(following.sources, source.source_id) for following in rows]


def _view(
    version: Version, row: FrameRow, source: Source, query: FrameQuery, hits: frozenset[int]
) -> View:
    """Choose the picture to show, and ask for the viewer's own where it is wanted.

    A small picture that a browser shows is shown as it is. Of a large one, and of a video's
    frame, a worker makes a preview; until it is there, the tile's stands in.
    """
    project = version.dataset.project
    pairs = [(project.pk, source)]
    tile = pictures_of(pairs, PREVIEW_EDGE_PX)[source.pk]
    preview = pictures_of(pairs, VIEWER_EDGE_PX)[source.pk]
    # A tile made from a preview that came with the source knows nothing of the source itself.
    tile_shows_source = not source.preview
    seen = tile if tile.is_ready and tile_shows_source else preview
    edge = max(seen.original_width, seen.original_height)
    original = original_address(source.pk) if seen.original_displayable else ""
    if original and edge <= VIEWER_EDGE_PX:
        preview, src, full = replace(seen, url=original), original, ""
    else:
        if preview.is_pending:
            wanted = [source, *_ahead(version, row, source, query)]
            previews.request(project, wanted, VIEWER_EDGE_PX)
        src, full = preview.url or tile.url, original
    width, height = source.width or 0, source.height or 0
    if not (width and height):
        width, height = seen.original_width, seen.original_height
    return View(
        source=source,
        tile=tile,
        preview=preview,
        src=src,
        full=full,
        width=width,
        height=height,
        color=seen.color or tile.color,
        shapes=shapes_on(row.frame.rois, source.source_id),
        hits=hits,
    )
