"""A version's page: the frame browser."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

from django.http import JsonResponse
from django.urls import reverse

from frames.models import Grant, Version
from frames.search import pages
from frames.search.errors import QueryError
from frames.search.explain import unknown_keys, without_one
from frames.search.query import GROUP_URL, FrameQuery
from frames.search.samples import sample_page
from frames.search.vocabulary import vocabulary
from frames.web import access
from frames.web.addresses import version_address
from frames.web.cards import (
    FrameCard,
    GroupCard,
    SampleRow,
    frame_cards,
    group_cards,
    sample_rows,
)
from frames.web.facets import FacetsPage, facets_beside
from frames.web.filter_builder import builder_of
from frames.web.http import respond
from frames.web.labels import Label
from frames.web.pictures import ratio_of
from frames.web.table import Table, table_of
from frames.web.text import count, plural
from frames.web.toolbar import Choice, Toolbar
from frames.web.versions import panel_of, version_json

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from django.contrib.auth.models import User
    from django.http import HttpResponse

    from frames.web.cards import Tile
    from frames.web.filter_builder import FilterBuilder
    from frames.web.http import SignedInRequest
    from frames.web.versions import VersionPanel

# A multiple of 2, 3, 4, 6, 8 and 12 columns, so that the last row is mostly full.
PAGE_SIZE: Final = 48
PANELS: Final = {"versions": "Versions", "facets": "Facets", "filter": "Filter"}


@dataclass(frozen=True, slots=True)
class VersionPage:
    """One page of a version's frames, groups or samples; `error` says why there is none."""

    version: Version
    query: FrameQuery
    typed: str
    error: QueryError | None
    total: int
    matched: int
    items: Sequence[GroupCard | FrameCard | SampleRow]
    next: str | None
    may_edit: bool
    may_publish: bool
    panel: VersionPanel
    bar: Toolbar

    @property
    def is_grouped(self) -> bool:
        """Whether a card stands for a context, or for the value of a key."""
        return self.query.is_grouped

    @property
    def items_name(self) -> str:
        """What the items are."""
        if not self.is_grouped:
            return "Frames"
        return "Contexts" if self.query.group == GROUP_URL else f"Values of {self.query.group}"

    @property
    def table(self) -> Table | None:
        """The items as a table, where one was chosen."""
        is_table = self.query.view == "table" and not self.query.sample
        return table_of(self.items, self.bar) if is_table else None

    @property
    def found(self) -> str:
        """What was found: "12 out of 84 found"."""
        return f"{count(self.matched)} out of {count(self.total)} found"

    @property
    def groups(self) -> str:
        """The number of groups and how they were chosen, where the first page shows all of them."""
        if not self.is_grouped or self.next or self.query.after:
            return ""
        noun = "context" if self.query.group == GROUP_URL else "group"
        groups = plural(len(self.items), "value" if self.query.sample else noun)
        if not self.is_filtered or self.query.scope == "any":
            return f"in {groups}"
        scope = "no" if self.query.scope == "none" else self.query.scope
        return f"· {scope} frame of {groups} matches"

    @property
    def nothing(self) -> str:
        """Why there is nothing to show, though there are frames."""
        if self.matched and self.query.scope == "every":
            return "In no group does every frame match."
        if self.query.scope == "none":
            return "Every group has a frame that matches."
        if self.matched:
            return f"None of the {plural(self.matched, 'frame')} found has {self.query.group}."
        unknown = unknown_keys(self.version, self.query)
        hint = f" No frame of the dataset has {' or '.join(unknown)}." if unknown else ""
        return f"None of the {self.total_text} match this filter.{hint}"

    @property
    def without(self) -> list[tuple[str, str, str]]:
        """Each rule of a filter that keeps every frame out, what matches without it, and its page.

        Queries: those of the filter.
        """
        if self.matched or not self.is_filtered:
            return []
        return [
            (each.text, plural(each.frames, "frame"), self.bar.url(q=each.q, label=each.label))
            for each in without_one(self.version, self.query)
        ]

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
        shown = ("q", "after", "sort") if self.bar.sorts else ("q", "after")
        return self.bar.fields_without(*shown)

    @property
    def kept_for_label(self) -> list[tuple[str, str]]:
        """The rest of the page's state, for the form that changes the label."""
        return self.bar.fields_without("label", "after")

    @property
    def contexts_url(self) -> str:
        """The contexts that the filter finds, whatever was chosen beside it."""
        return version_address(self.version, {**filter_of(self.query), **self.bar.kept})

    @property
    def way_out_url(self) -> str:
        """Where frames are shown again, when they cannot be shown as asked."""
        is_filter = self.error is not None and self.error.field == "q"
        return self.unfiltered_url if is_filter else self.contexts_url

    @property
    def facets(self) -> FacetsPage:
        """What the frames have, key by key, where the left column shows it. Queries: a dozen."""
        return facets_beside(self.version, self.query)

    @property
    def may_select(self) -> bool:
        """Whether cards can be ticked, to edit what they stand for."""
        plain = self.query.group in ("none", GROUP_URL) and not self.query.sample
        return self.may_edit and self.version.is_draft and plain

    @property
    def bulk_url(self) -> str:
        """Where all that match are edited; empty for who may not."""
        if not (self.may_edit and self.version.is_draft):
            return ""
        path = reverse("frames:bulk_edit", args=[self.version.dataset.uid, self.version.uid])
        params = filter_of(self.query)
        return f"{path}?{urlencode(params)}" if params else path

    @property
    def builder(self) -> FilterBuilder:
        """The filter as cards and rules, where the left column shows it. Queries: 0 or 4."""
        return builder_of(
            self.version, self.typed, dict(self.bar.fields_without("q")), self.matched
        )

    @property
    def is_filtered(self) -> bool:
        """Whether something keeps frames out."""
        return bool(self.query.q or self.query.label)

    @property
    def unfiltered_url(self) -> str:
        """The page without its filter."""
        return self.bar.url(q="", label="")

    @property
    def next_url(self) -> str:
        """The next page, empty at the end."""
        return self.bar.url(after=self.next) if self.next else ""

    @property
    def first_url(self) -> str:
        """The first page, where this is a later one."""
        return self.bar.url() if self.query.after else ""

    @property
    def without_label_url(self) -> str:
        """The page without its label filter."""
        return self.bar.url(label="")

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
    def panels(self) -> list[Choice]:
        """What the left column can show, the page's place in its list kept.

        The one that is shown leads to none, which folds it away where the screen is narrow.
        """
        shown, after = self.query.panel, self.query.after
        return [
            Choice(
                value,
                label,
                self.bar.url(panel="" if value == shown else value, after=after),
                value == (shown or "versions"),
            )
            for value, label in PANELS.items()
        ]

    @property
    def ratio(self) -> str:
        """The shape of the pictures' boxes."""
        return ratio_of((tile.picture.width, tile.picture.height) for tile in _tiles_of(self.items))

    @property
    def json_url(self) -> str:
        """The page's JSON twin."""
        path, mark, query = self.bar.url().partition("?")
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


def version_detail(
    request: SignedInRequest, dataset_uid: str, version_uid: str, *, as_json: bool = False
) -> HttpResponse:
    """Show a version's contexts or frames under the filter of the address."""
    version = access.version_or_404(request.user, dataset_uid, version_uid)
    page = _load(request.user, version, request.GET.dict(), as_json=as_json)
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


def filter_of(query: FrameQuery) -> dict[str, str]:
    """Return the part of a query that says which frames, not how they are shown."""
    params = {"q": query.q, "label": query.label}
    return {key: value for key, value in params.items() if value}


def given_filter(params: Mapping[str, str]) -> dict[str, str]:
    """Return the filter of an address as it was typed, whether or not it can be read."""
    return {key: params[key] for key in ("q", "label") if params.get(key)}


def may_edit(user: User, version: Version) -> bool:
    """Tell whether the user may change the project of a version; one query."""
    return access.may(user, version.dataset.project, Grant.Role.EDITOR)


def _tiles_of(items: Sequence[GroupCard | FrameCard | SampleRow]) -> list[Tile]:
    """Return the tiles that a page shows."""
    tiles: list[Tile] = []
    for item in items:
        cards = item.cards if isinstance(item, SampleRow) else [item]
        tiles += [tile for card in cards for tile in card.tiles]
    return tiles


def _load(user: User, version: Version, params: Mapping[str, str], *, as_json: bool) -> VersionPage:
    items: Sequence[GroupCard | FrameCard | SampleRow] = []
    total = matched = 0
    following = None
    error = None
    query = FrameQuery()
    try:
        query = FrameQuery.from_params(params)
        found_by = filter_of(query)
        if query.sample:
            # The cards show the pictures and the moment alone.
            unread = () if as_json else ("meta", "rois", "extra")
            samples = sample_page(version, query, without=unread)
            items = sample_rows(version, samples.items, query, found_by)
            total, matched, following = samples.total, samples.matched, samples.next
        elif query.is_grouped:
            groups = pages.group_page(version, query, PAGE_SIZE)
            items = group_cards(version, groups.items, query, found_by)
            total, matched, following = groups.total, groups.matched, groups.next
        else:
            found = pages.frame_page(version, query, PAGE_SIZE)
            items = frame_cards(version, found.items, found_by, query.source)
            total, matched, following = found.total, found.matched, found.next
    except QueryError as refused:
        error = refused
    role = access.role_in(user, version.dataset.project)
    panel = panel_of(version, params, role)
    return VersionPage(
        version=version,
        query=query,
        typed=params.get("q", "").strip(),
        error=error,
        total=total,
        matched=matched,
        items=items,
        next=following,
        may_edit=role >= Grant.Role.EDITOR,
        may_publish=role >= Grant.Role.ADMIN,
        panel=panel,
        bar=Toolbar(version, query, vocabulary(version.dataset), panel.query.params()),
    )
