"""A data view's page: what it asks for, what it holds now and held at saving, its first frames."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from frames.models import Grant, Version
from frames.previews.spec import PREVIEW_EDGE_PX
from frames.search import view_order, views
from frames.search.errors import QueryError
from frames.search.rows import rows_of
from frames.search.view_definition import ALL, RANDOM, Definition, DefinitionError, Scope
from frames.web import access
from frames.web.addresses import frame_address, version_address
from frames.web.cards import FrameCard, frame_json
from frames.web.http import respond
from frames.web.labels import Label
from frames.web.pictures import pictures_of, ratio_of, shown_source
from frames.web.text import count, elapsed, plural
from frames.web.version_detail import refused_json
from frames.web.view_actions import ACTIONS, actions_of
from frames.web.view_csv import frames_as_csv
from frames.web.view_list import (
    PANEL_SIZE,
    ViewQuery,
    detail_url,
    matching,
    view_json,
    wholly_visible,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from django.contrib.auth.models import User
    from django.http.response import HttpResponseBase

    from frames.models import DataView
    from frames.search.view_definition import FrameFilter, MappingRule
    from frames.search.view_order import Drawn
    from frames.search.views import FilterFrames, ViewFrames
    from frames.web.http import SignedInRequest
    from frames.web.view_actions import Action

PAGE_SIZE: Final = 24
NUMBERS_SHOWN: Final = 200
_NOT_THERE: Final = "not there, or not visible to you"


@dataclass(frozen=True, slots=True)
class VersionLink:
    """The frames that a filter takes of one version: how many, and where they are shown."""

    name: str
    url: str
    frames: int

    @property
    def count(self) -> str:
        """How many they are."""
        return plural(self.frames, "frame")


@dataclass(frozen=True, slots=True)
class FilterCard:
    """One filter in words. Of one that the reader may not see nothing is told."""

    number: int
    where: str
    weight: float
    q: str
    frames: int
    links: list[VersionLink]
    is_visible: bool
    problem: str

    @property
    def count(self) -> str:
        """How many frames it matches."""
        return plural(self.frames, "frame")

    @property
    def ratio(self) -> str:
        """Its weight."""
        return f"{self.weight:g}"

    def as_json(self) -> dict[str, Any]:
        """Return the filter with its counts."""
        if not self.is_visible:
            return {"visible": False, "frames": 0}
        return {
            "visible": True,
            "where": self.where,
            "weight": self.weight,
            "q": self.q,
            "frames": self.frames,
            "problem": self.problem or None,
            "versions": [
                {"name": link.name, "url": link.url, "frames": link.frames} for link in self.links
            ],
        }


@dataclass(frozen=True, slots=True)
class MappingLine:
    """One mapping rule in words."""

    where: str
    labels: list[Label]
    target: Label


@dataclass(frozen=True, slots=True)
class PanelEntry:
    """One view in the list beside the details."""

    name: str
    url: str
    is_current: bool
    is_draft: bool
    frames: str
    created_at: datetime

    @property
    def created(self) -> str:
        """How long ago it was made."""
        return elapsed(self.created_at)


@dataclass(frozen=True, slots=True)
class ViewPage:
    """One view beside the list it was found in, and a page of its frames in its order."""

    view: DataView
    definition: Definition
    found: ViewFrames
    query: ViewQuery
    panel: list[PanelEntry]
    panel_more: bool
    actions: list[Action]
    may_edit: bool
    drawn: Sequence[Drawn]
    items: list[FrameCard]
    next: str | None
    error: QueryError | None

    @property
    def now(self) -> str:
        """How many frames it holds now."""
        return plural(self.found.count, "frame")

    @property
    def is_unchanged(self) -> bool:
        """Whether it holds the frames that it held at saving."""
        return self.found.is_complete and self.found.fingerprint == self.view.fingerprint

    @property
    def drift(self) -> str:
        """How it differs from what it was at saving; empty where it does not."""
        if not self.found.is_complete:
            return ""
        if self.found.count != self.view.saved_count:
            return f"{count(self.view.saved_count)} at save, {count(self.found.count)} now"
        if not self.is_unchanged:
            return f"{count(self.found.count)} at save and now, but not the same frames"
        return ""

    @property
    def missing(self) -> str:
        """How much of it the reader is not shown."""
        if self.found.is_complete or self.found.error:
            return ""
        hidden = len(self.found.missing)
        return (
            f"{plural(hidden, 'part')} of its input {'is' if hidden == 1 else 'are'} {_NOT_THERE}. "
            "The counts are of the rest, and what it held at saving is not compared."
        )

    @property
    def live(self) -> list[str]:
        """What it names that may change."""
        return self.found.live

    @property
    def content_hash(self) -> str:
        """The hash it can be cited by, for whoever sees all of it."""
        return self.view.content_hash if self.found.is_complete else ""

    @property
    def is_hash_awaited(self) -> bool:
        """Whether the hash is being computed."""
        return self.view.is_pinned and not self.view.content_hash and self.found.is_complete

    @property
    def facts(self) -> list[tuple[str, str]]:
        """Each fact with its name; what is not known is left out."""
        view = self.view
        facts = [
            ("Description", view.description),
            ("Project", view.project.name),
            ("Created by", view.created_by.get_username() if view.created_by else ""),
            ("Frames now", self.now),
            ("Frames at save", plural(view.saved_count, "frame") if self.drift else ""),
            ("Iteration", self.iteration),
        ]
        return [(name, value) for name, value in facts if value]

    @property
    def iteration(self) -> str:
        """The order in words, and when it ends."""
        iteration = self.definition.iteration
        order = (
            f"random, seed {iteration.random_seed}"
            if iteration.order == RANDOM
            else "sequential, by context and timestamp"
        )
        if iteration.clip_length > 1:
            order = f"{order}, in clips of {plural(iteration.clip_length, 'frame')}"
        if iteration.infinite:
            return f"{order}; again and again, without end"
        if iteration.limit is None:
            return f"{order}; each frame once"
        return f"{order}; at most {plural(iteration.limit, 'frame')}"

    @property
    def inputs(self) -> list[str]:
        """The input in words."""
        return [
            _where(scope, self.found) for scope in self.definition.versions if self._is_there(scope)
        ]

    @property
    def filters(self) -> list[FilterCard]:
        """The filters with what each matches."""
        return [
            _filter_card(number, item, self.found)
            for number, item in enumerate(self.found.filters, 1)
        ]

    @property
    def mapping(self) -> list[MappingLine]:
        """The mapping rules, but for those of what the reader may not see."""
        return [
            MappingLine(
                _where(rule.scope, self.found),
                [Label(name) for name in rule.labels],
                Label(rule.target),
            )
            for rule in self._visible_rules()
        ]

    @property
    def numbers(self) -> list[tuple[int, Label]]:
        """The first labels by their numbers, for whoever sees all of the input."""
        if self.found.missing:
            return []
        pairs = sorted(
            (number, label) for label, number in self.definition.labels_enumeration.items()
        )
        return [(number, Label(label)) for number, label in pairs[:NUMBERS_SHOWN]]

    @property
    def more_numbers(self) -> str:
        """How many labels there are beside those."""
        more = len(self.definition.labels_enumeration) - NUMBERS_SHOWN
        return f"and {plural(more, 'label')} more" if more > 0 else ""

    @property
    def shown(self) -> str:
        """How many frames an iteration gives."""
        length = self.found.length
        return "without end" if length is None else plural(length, "frame")

    @property
    def ratio(self) -> str:
        """The shape of the pictures' boxes."""
        return ratio_of((card.picture.width, card.picture.height) for card in self.items)

    @property
    def table_url(self) -> str:
        """The table this view was found in."""
        return self.query.url()

    @property
    def this_url(self) -> str:
        """This page from its first frame."""
        return detail_url(self.view, self.query)

    @property
    def csv_url(self) -> str:
        """All frames as CSV, where they come to an end."""
        return "" if self.found.length is None or not self.items else "?format=csv"

    @property
    def next_url(self) -> str:
        """The next frames, empty at the end."""
        if not self.next:
            return ""
        return f"{self.this_url}{'&' if '?' in self.this_url else '?'}after={self.next}"

    def as_json(self) -> dict[str, Any]:
        """Return the view with its counts and a page of its frames, labels mapped and numbered."""
        is_complete = self.found.is_complete
        return {
            **view_json(self.view),
            "definition": self.definition.as_json() if not self.found.missing else None,
            "filters": [card.as_json() for card in self.filters],
            "is_complete": is_complete,
            "is_pinned": self.found.is_pinned,
            "frames": self.found.count,
            "frames_at_save": self.view.saved_count if is_complete else None,
            "saved": self.view.saved_at.isoformat() if self.view.saved_at else None,
            "drift": self.drift or None,
            "content_hash": self.content_hash or None,
            "length": self.found.length,
            "items": [
                {
                    **frame_json(card.row, drawn.version, card.url, card.picture),
                    "filter": drawn.filter,
                }
                for card, drawn in zip(self.items, self.drawn, strict=True)
            ],
            "next": self.next,
        }

    def _is_there(self, scope: Scope) -> bool:
        return scope not in self.found.missing

    def _visible_rules(self) -> list[MappingRule]:
        return [
            rule
            for rule in self.definition.mapping
            if rule.scope == Scope() or any(map(rule.scope.covers, self.found.versions))
        ]


def view_detail(
    request: SignedInRequest, view_uid: str, *, as_json: bool = False
) -> HttpResponseBase:
    """Show a data view (W2): its facts, its filters with their counts, and its frames in order."""
    view = access.view_or_404(request.user, view_uid)
    params = request.GET.dict()
    if params.pop("format", "") == "csv":
        return _as_csv(request.user, view)
    page = _load(request.user, view, params.pop("after", ""), params)
    if page.error and as_json and page.error.field == "after":
        return refused_json(page.error)
    status = 400 if page.error and page.error.field == "after" else 200
    return respond(
        request, page, "view/detail.html", as_json=as_json, partial="cards", status=status
    )


def _as_csv(user: User, view: DataView) -> HttpResponseBase:
    """Answer all frames as CSV; 400 where there is no end to them, or no telling which they are."""
    try:
        definition = Definition.from_json(view.definition)
        found = views.evaluate(definition, Version.objects.visible_to(user))
    except DefinitionError as error:
        return refused_json(QueryError(str(error), field="format"))
    except QueryError as error:
        return refused_json(error)
    if definition.iteration.infinite:
        return refused_json(QueryError("An iteration without end has no list.", field="format"))
    return refused_json(found.error) if found.error else frames_as_csv(view, definition, found)


def _load(user: User, view: DataView, after: str, params: dict[str, str]) -> ViewPage:
    try:
        query = ViewQuery.from_params(params).with_()
    except QueryError:
        query = ViewQuery(archived="1" if view.is_archived else "")
    error = None
    try:
        definition = Definition.from_json(view.definition)
        found = views.evaluate(definition, Version.objects.visible_to(user))
    except (DefinitionError, QueryError) as unreadable:
        # Not to be read, or of a dataset that has come to more versions than a view takes.
        definition, error = Definition(), QueryError(str(unreadable))
        found = views.evaluate(definition, Version.objects.visible_to(user))
    drawn: Sequence[Drawn] = []
    following = None
    try:
        drawn, following = view_order.page(found, after, PAGE_SIZE)
    except QueryError as refused:
        error = refused
    listed = list(matching(user, query)[: PANEL_SIZE + 1])
    visible_pks = wholly_visible(user, listed)
    role = access.role_in(user, view.project)
    actions = actions_of(view, role)
    return ViewPage(
        view=view,
        definition=definition,
        found=found,
        query=query,
        panel=[
            PanelEntry(
                name=other.name,
                url=detail_url(other, query),
                is_current=other.pk == view.pk,
                is_draft=other.is_draft,
                frames=plural(other.saved_count, "frame") if other.pk in visible_pks else "",
                created_at=other.created_at,
            )
            for other in listed[:PANEL_SIZE]
        ],
        panel_more=len(listed) > PANEL_SIZE,
        actions=[ACTIONS[name] for name in actions],
        may_edit=view.is_draft and not view.is_archived and role >= Grant.Role.EDITOR,
        drawn=drawn,
        items=cards_of(definition, found, drawn),
        next=following,
        error=error,
    )


def cards_of(definition: Definition, found: ViewFrames, drawn: Sequence[Drawn]) -> list[FrameCard]:
    """Return the cards of drawn frames under the view's labels. Queries: 2 a dataset, and 1."""
    wanted: defaultdict[int, set[int]] = defaultdict(set)
    datasets = {}
    for item in drawn:
        datasets[item.version.dataset_id] = item.version.dataset
        wanted[item.version.dataset_id].add(item.ordinal)
    rows = {
        (pk, row.frame.ordinal): row
        for pk, ordinals in wanted.items()
        for row in rows_of(datasets[pk], sorted(ordinals))
    }
    sources = {key: shown_source(row.sources) for key, row in rows.items()}
    pictures = pictures_of(
        [(datasets[pk].project_id, source) for (pk, _), source in sources.items()], PREVIEW_EDGE_PX
    )
    cards = []
    for item in drawn:
        key = (item.version.dataset_id, item.ordinal)
        row = views.labelled(definition, item.version, rows[key])
        q = found.filters[item.filter].filter.q
        url = frame_address(item.version, row.frame.frame_id, {"q": q} if q else {})
        cards.append(FrameCard(row, item.version, url, pictures[sources[key].pk]))
    return cards


def _filter_card(number: int, item: FilterFrames, found: ViewFrames) -> FilterCard:
    asked: FrameFilter = item.filter
    if not item.is_visible:
        return FilterCard(number, "", 0, "", 0, [], is_visible=False, problem="")
    links = [
        VersionLink(
            name=f"{part.version.dataset.name} {part.version.name}",
            url=version_address(part.version, {"q": asked.q} if asked.q else {}),
            frames=len(part.frames),
        )
        for part in item.parts
    ]
    return FilterCard(
        number=number,
        where=_where(asked.scope, found),
        weight=asked.weight,
        q=asked.q,
        frames=item.matched,
        links=links,
        is_visible=True,
        problem=item.error.message if item.error else "",
    )


def _where(scope: Scope, found: ViewFrames) -> str:
    """Return what a scope means, in words."""
    if scope.dataset == ALL and scope.version == ALL:
        return "all of the input"
    for version in found.versions:
        if scope.covers(version):
            name = version.dataset.name
            return f"{name}, all versions" if scope.version == ALL else f"{name} {version.name}"
    return _NOT_THERE
