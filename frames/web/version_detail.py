"""A version's page: the frame browser."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from django.http import JsonResponse
from django.urls import reverse

from frames.formats.singleframe import render_frame
from frames.models import Grant, Version
from frames.previews.spec import PREVIEW_EDGE_PX
from frames.search import pages
from frames.search.errors import QueryError
from frames.search.query import GROUP_NONE, GROUP_URL, SORTS, FrameQuery
from frames.web import access
from frames.web.addresses import context_address, frame_address, version_address
from frames.web.facets import FacetsPage, facets_page
from frames.web.http import respond
from frames.web.labels import Label, distinct_labels
from frames.web.pictures import Picture, pictures_of, ratio_of, shown_source
from frames.web.text import count, head_and_tail, moment, plural, span
from frames.web.versions import panel_of, version_json

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from django.contrib.auth.models import User
    from django.http import HttpResponse

    from frames.search.pages import FrameRow, GroupRow
    from frames.web.http import SignedInRequest
    from frames.web.versions import VersionPanel

# A multiple of 2, 3, 4, 6, 8 and 12 columns, so that the last row is mostly full.
PAGE_SIZE: Final = 48
MAX_LABELS_ON_CARD: Final = 3
GROUPINGS: Final = {GROUP_URL: "Group by URL", GROUP_NONE: "Split Preview"}
SIZES: Final = {"s": "Small", "m": "Medium", "l": "Large"}
PANELS: Final = {"": "Versions", "facets": "Facets", "filter": "Filter"}


@dataclass(frozen=True, slots=True)
class Choice:
    """One of several states of the page: a link that leads to it."""

    value: str
    label: str
    url: str
    is_current: bool


@dataclass(frozen=True, slots=True)
class GroupCard:
    """The frames of one context, or with one value of a key, under one picture.

    `url` is their page; `open_url` is where the card leads: straight to a frame that is alone.
    """

    value: str
    frames: int
    matched: int
    first_timestamp: float | None
    last_timestamp: float | None
    url: str
    open_url: str
    picture: Picture

    @property
    def head(self) -> str:
        """The name's beginning, cut where the card is narrow."""
        return head_and_tail(self.value)[0]

    @property
    def tail(self) -> str:
        """The name's end, never cut."""
        return head_and_tail(self.value)[1]

    @property
    def size(self) -> str:
        """The number of frames, and of those the filter keeps where that is not all."""
        if self.matched == self.frames:
            return plural(self.frames, "frame")
        return f"{count(self.matched)} of {plural(self.frames, 'frame')}"

    @property
    def duration(self) -> str:
        """From the first to the last frame; empty for a still picture."""
        if self.first_timestamp is None or self.last_timestamp is None:
            return ""
        length = self.last_timestamp - self.first_timestamp
        return span(length) if length > 0 else ""

    def as_json(self) -> dict[str, Any]:
        """Return the group as JSON."""
        return {
            "context_id": self.value,
            "frames": self.frames,
            "matched": self.matched,
            "first_timestamp": self.first_timestamp,
            "last_timestamp": self.last_timestamp,
            "url": self.url,
            "preview": self.picture.url or None,
        }


@dataclass(frozen=True, slots=True)
class FrameCard:
    """One frame under its picture."""

    row: FrameRow
    version: Version
    url: str
    picture: Picture

    @property
    def moment(self) -> str:
        """When it is."""
        return moment(self.row.frame.timestamp)

    @property
    def frame_id(self) -> str:
        """What it is called."""
        return self.row.frame.frame_id

    @property
    def labels(self) -> list[Label]:
        """The first few labels."""
        return [Label(name) for name in distinct_labels(self.row.frame.rois)[:MAX_LABELS_ON_CARD]]

    @property
    def more_labels(self) -> int:
        """How many labels there are beside those."""
        return max(0, len(distinct_labels(self.row.frame.rois)) - MAX_LABELS_ON_CARD)

    def as_json(self) -> dict[str, Any]:
        """Return the frame as SingleFrame JSON with its page and preview."""
        return frame_json(self.row, self.version, self.url, self.picture)


@dataclass(frozen=True, slots=True)
class VersionPage:
    """One page of a version's frames or contexts; `error` says why there is none."""

    version: Version
    query: FrameQuery
    typed: str
    error: QueryError | None
    total: int
    matched: int
    items: Sequence[GroupCard | FrameCard]
    next: str | None
    may_edit: bool
    may_publish: bool
    panel: VersionPanel

    @property
    def is_grouped(self) -> bool:
        """Whether a card stands for a context."""
        return self.query.group != GROUP_NONE

    @property
    def found(self) -> str:
        """What was found: "12 out of 84 found"."""
        return f"{count(self.matched)} out of {count(self.total)} found"

    @property
    def groups(self) -> str:
        """The number of contexts, where the first page shows all of them."""
        if not self.is_grouped or self.next or self.query.after:
            return ""
        return plural(len(self.items), "context" if self.query.group == GROUP_URL else "group")

    @property
    def total_text(self) -> str:
        """The version's frames in words."""
        return plural(self.total, "frame")

    @property
    def marked(self) -> tuple[str, str, str] | None:
        """The typed filter in three parts, the middle one where it is wrong."""
        if self.error is None or self.error.field != "q" or self.error.position is None:
            return None
        place = min(self.error.position, len(self.typed))
        end = min(len(self.typed), place + 1)
        return self.typed[:place], self.typed[place:end] or " ", self.typed[end:]

    @property
    def kept_for_q(self) -> list[tuple[str, str]]:
        """The rest of the page's state, for the form that changes the filter text."""
        shown = ("q", "after", "sort") if self.sorts else ("q", "after")
        return self._kept_without(*shown)

    @property
    def kept_for_label(self) -> list[tuple[str, str]]:
        """The rest of the page's state, for the form that changes the label."""
        return self._kept_without("label", "after")

    @property
    def facets(self) -> FacetsPage:
        """What the frames have, key by key, where the left column shows it. Queries: a dozen."""
        return facets_page(self.version, self.query)

    @property
    def is_filtered(self) -> bool:
        """Whether something keeps frames out."""
        return bool(self.query.q or self.query.label)

    @property
    def unfiltered_url(self) -> str:
        """The page without its filter."""
        return self._url(q="", label="")

    @property
    def next_url(self) -> str:
        """The next page, empty at the end."""
        return self._url(after=self.next) if self.next else ""

    @property
    def first_url(self) -> str:
        """The first page, where this is a later one."""
        return self._url() if self.query.after else ""

    @property
    def without_label_url(self) -> str:
        """The page without its label filter."""
        return self._url(label="")

    @property
    def labels_url(self) -> str:
        """The list of labels under this filter."""
        path = reverse("frames:label_list", args=[self.version.dataset.uid, self.version.uid])
        return f"{path}{self.query.with_().querystring()}"

    @property
    def label(self) -> Label | None:
        """The label filter."""
        return Label(self.query.label) if self.query.label else None

    @property
    def groupings(self) -> list[Choice]:
        """Split Preview and Group by URL."""
        return [
            Choice(value, label, self._url(group=value, sort=""), value == self.query.group)
            for value, label in GROUPINGS.items()
        ]

    @property
    def sizes(self) -> list[Choice]:
        """The sizes of the pictures."""
        return [
            Choice(value, label, self._url(size=value), value == self.query.size)
            for value, label in SIZES.items()
        ]

    @property
    def panels(self) -> list[Choice]:
        """What the left column can show, the page's place in its list kept."""
        after = self.query.after
        return [
            Choice(value, label, self._url(panel=value, after=after), value == self.query.panel)
            for value, label in PANELS.items()
        ]

    @property
    def sorts(self) -> list[Choice]:
        """What frames can be sorted by, in the direction of now; contexts have one order only."""
        if self.is_grouped:
            return []
        sign = "-" if self.query.descending else ""
        return [
            Choice(
                f"{sign}{key}", label, self._url(sort=f"{sign}{key}"), key == self.query.sort_key
            )
            for key, label in SORTS.items()
        ]

    @property
    def turned_url(self) -> str:
        """The page in the other direction."""
        sign = "" if self.query.descending else "-"
        return self._url(sort=f"{sign}{self.query.sort_key}")

    @property
    def ratio(self) -> str:
        """The shape of the pictures' boxes."""
        return ratio_of((item.picture.width, item.picture.height) for item in self.items)

    @property
    def json_url(self) -> str:
        """The page's JSON twin."""
        path, mark, query = self._url().partition("?")
        return f"{path.rstrip('/')}.json{mark}{query}"

    def as_json(self) -> dict[str, Any]:
        """Return the list, with what it is a list of."""
        return {
            "dataset": {
                "id": self.version.dataset.uid,
                "name": self.version.dataset.name,
                "project": self.version.dataset.project.name,
            },
            "version": version_json(self.version),
            "query": self.query.params(),
            "total": self.total,
            "matched": self.matched,
            "items": [item.as_json() for item in self.items],
            "next": self.next,
        }

    def _url(self, **changes: str) -> str:
        kept = self.panel.query.params()
        return version_address(self.version, {**self.query.with_(**changes).params(), **kept})

    def _kept_without(self, *names: str) -> list[tuple[str, str]]:
        state = {**self.query.params(), **self.panel.query.params()}
        return [(name, value) for name, value in state.items() if name not in names]


def version_detail(
    request: SignedInRequest, dataset_uid: str, version_uid: str, *, as_json: bool = False
) -> HttpResponse:
    """Show a version's contexts or frames under the filter of the address."""
    version = access.version_or_404(request.user, dataset_uid, version_uid)
    page = _load(request.user, version, request.GET.dict())
    if page.error and as_json:
        return refused_json(page.error)
    return respond(
        request,
        page,
        "version/detail.html",
        as_json=as_json,
        partial="cards",
        status=400 if page.error else 200,
    )


def refused_json(error: QueryError) -> JsonResponse:
    """Answer a query that cannot be answered: what is wrong and where."""
    body = {"error": error.message, "field": error.field, "position": error.position}
    return JsonResponse(body, status=400)


def frame_json(row: FrameRow, version: Version, url: str, picture: Picture) -> dict[str, Any]:
    """Return a frame as SingleFrame JSON plus `url`, its page, and `preview`, its picture."""
    frame = render_frame(row.frame, row.sources, version.dataset.uid, version.uid)
    return {**frame, "url": url, "preview": picture.url or None}


def frame_cards(version: Version, rows: Sequence[FrameRow], query: FrameQuery) -> list[FrameCard]:
    """Return the cards of some frames; one query."""
    found_by = filter_of(query)
    pictures = _pictures(version, rows)
    return [
        FrameCard(row, version, frame_address(version, row.frame.frame_id, found_by), picture)
        for row, picture in zip(rows, pictures, strict=True)
    ]


def filter_of(query: FrameQuery) -> dict[str, str]:
    """Return the part of a query that says which frames, not how they are shown."""
    params = {"q": query.q, "label": query.label}
    return {key: value for key, value in params.items() if value}


def given_filter(params: Mapping[str, str]) -> dict[str, str]:
    """Return the filter of an address as it was typed, whether or not it can be read."""
    return {key: params[key] for key in ("q", "label") if params.get(key)}


def _group_cards(version: Version, rows: Sequence[GroupRow], query: FrameQuery) -> list[GroupCard]:
    pictures = _pictures(version, [row.cover for row in rows])
    return [
        GroupCard(
            value=row.value,
            frames=row.frames,
            matched=row.matched,
            first_timestamp=row.first_timestamp,
            last_timestamp=row.last_timestamp,
            url=(url := _group_address(version, row.value, query)),
            open_url=frame_address(version, row.cover.frame.frame_id, filter_of(query))
            if row.frames == 1
            else url,
            picture=picture,
        )
        for row, picture in zip(rows, pictures, strict=True)
    ]


def _group_address(version: Version, value: str, query: FrameQuery) -> str:
    """Return a context's page, or the frames that have the value of another key."""
    if query.group == GROUP_URL:
        return context_address(version, value, filter_of(query))
    quoted = value.replace("\\", "\\\\").replace('"', '\\"')
    clause = f'{query.group}:"{quoted}"'
    text = f"({query.q}) AND {clause}" if query.q else clause
    return version_address(version, query.with_(group=GROUP_NONE, q=text).params())


def _pictures(version: Version, rows: Sequence[FrameRow]) -> list[Picture]:
    project_pk = version.dataset.project_id
    shown = [shown_source(row.sources) for row in rows]
    pictures = pictures_of([(project_pk, source) for source in shown], PREVIEW_EDGE_PX)
    return [pictures[source.pk] for source in shown]


def may_edit(user: User, version: Version) -> bool:
    """Tell whether the user may change the project of a version; one query."""
    return access.may(user, version.dataset.project, Grant.Role.EDITOR)


def _load(user: User, version: Version, params: Mapping[str, str]) -> VersionPage:
    items: Sequence[GroupCard | FrameCard] = []
    total = matched = 0
    following = None
    error = None
    query = FrameQuery()
    try:
        query = FrameQuery.from_params(params)
        if query.group == GROUP_NONE:
            found = pages.frame_page(version, query, PAGE_SIZE)
            items = frame_cards(version, found.items, query)
            total, matched, following = found.total, found.matched, found.next
        else:
            groups = pages.group_page(version, query, PAGE_SIZE)
            items = _group_cards(version, groups.items, query)
            total, matched, following = groups.total, groups.matched, groups.next
    except QueryError as refused:
        error = refused
    role = access.role_in(user, version.dataset.project)
    return VersionPage(
        version=version,
        query=query,
        typed=params.get("q", ""),
        error=error,
        total=total,
        matched=matched,
        items=items,
        next=following,
        may_edit=role >= Grant.Role.EDITOR,
        may_publish=role >= Grant.Role.ADMIN,
        panel=panel_of(version, params, role),
    )
