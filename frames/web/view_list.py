"""The data views: a table with filters, sorting, an archive, CSV, and what can be done to them."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import dataclass, field, fields, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from django.contrib.auth.models import User
from django.db.models import Q
from django.http import HttpResponse, StreamingHttpResponse
from django.urls import reverse
from django.utils.http import urlencode

from frames.formats.csv_writer import inert
from frames.models import Dataset, DataView, Project
from frames.search.errors import QueryError
from frames.search.query import decode_after, encode_after, foreign_token
from frames.web import access
from frames.web.http import respond
from frames.web.text import count, elapsed, plural, words_of
from frames.web.version_detail import refused_json
from frames.web.view_actions import ACTIONS, actions_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from frames.models.data_view import DataViewQuerySet
    from frames.web.http import SignedInRequest
    from frames.web.view_actions import Action

PAGE_SIZE: Final = 50
PANEL_SIZE: Final = 100
PEOPLE_MAX: Final = 200
SORTS: Final = {"name": "name", "created": "created_at"}
STATUSES: Final = {"draft": "Draft", "published": "Published"}
COLUMNS: Final = {
    "name": "Data view",
    "user": "User",
    "status": "Status",
    "project": "Project",
    "created": "Created",
    "description": "Description",
}
# In hundredths of the table. So many go to the columns before the last, which has what is left.
WIDTHS: Final = range(5, 81)
WIDTHS_SUM_MAX: Final = 85
_WIDTH: Final = re.compile(r"\d{1,2}", re.ASCII)
_CSV_HEAD: Final = (
    *("DATAVIEW", "USER", "STATUS", "PROJECT", "CREATED", "DESCRIPTION", "FRAMES", "ID"),
    "CONTENT HASH",
)
_CSV_CHUNK: Final = 100


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the table; `width` is in percent of it, 0 for what its cells want."""

    name: str
    width: int = 0

    @property
    def label(self) -> str:
        """Its heading."""
        return COLUMNS[self.name]


@dataclass(frozen=True, slots=True)
class ViewQuery:
    """What the table's address asks for; `archived` is 1 in the archive.

    `columns` are in their order, with widths in percent: `created:12,name:30,user`. Those that
    are not named follow in the usual order.
    """

    q: str = ""
    project: str = ""
    user: str = ""
    status: str = ""
    sort: str = "-created"
    archived: str = ""
    columns: str = ""
    after: str = ""

    @classmethod
    def from_params(cls, params: Mapping[str, str]) -> ViewQuery:
        """Read the address; raise QueryError where a value cannot be meant."""
        given = {f.name: params.get(f.name, "").strip() for f in fields(cls)}
        query = cls(**{name: value for name, value in given.items() if value})
        if any("\x00" in value for value in given.values()):
            raise QueryError("The address holds a null character.")
        if query.status and query.status not in STATUSES:
            raise QueryError("status is draft or published.", field="status")
        if query.sort.removeprefix("-") not in SORTS:
            raise QueryError("sort is name or created.", field="sort")
        if query.archived not in ("", "1"):
            raise QueryError("archived is 1 or absent.", field="archived")
        query.columns_in_order()
        return query

    def columns_in_order(self) -> list[Column]:
        """Return the columns; all but the last have a width where one has. Raises QueryError."""
        named: dict[str, int] = {}
        for part in filter(None, self.columns.split(",")):
            name, _, width = part.partition(":")
            if name not in COLUMNS or name in named:
                raise QueryError(
                    f"columns are of {', '.join(COLUMNS)}, each once.", field="columns"
                )
            if width and not (_WIDTH.fullmatch(width) and int(width) in WIDTHS):
                raise QueryError(
                    f"A column has a width from {WIDTHS[0]} to {WIDTHS[-1]} percent.",
                    field="columns",
                )
            named[name] = int(width or 0)
        names = [*named, *(name for name in COLUMNS if name not in named)]
        widths = [named.get(name, 0) for name in names]
        if not any(widths):
            return [Column(name) for name in names]
        # Where one is given all are, so that the table keeps to its page: cells wrap.
        widths = [width or 100 // len(names) for width in widths[:-1]]
        scale = min(1.0, WIDTHS_SUM_MAX / sum(widths))
        return [*map(Column, names, (int(width * scale) for width in widths)), Column(names[-1])]

    def with_(self, **changes: str) -> ViewQuery:
        """Return the query with fields changed, from its first page unless `after` is given."""
        return replace(self, **{"after": "", **changes})

    def params(self) -> dict[str, str]:
        """Return what differs from the defaults."""
        return {
            f.name: value for f in fields(self) if (value := getattr(self, f.name)) != f.default
        }

    def url(self, **changes: str) -> str:
        """Return the table's address with fields changed."""
        return _with_query(reverse("frames:view_list"), self.with_(**changes).params())


@dataclass(frozen=True, slots=True)
class ViewRow:
    """One view in the table. `actions` names what the reader may do to it.

    Of one that names what the reader may not see, it is not told how much it holds.
    """

    view: DataView
    url: str
    actions: list[str]
    is_visible: bool

    @property
    def user(self) -> str:
        """Who made it."""
        return self.view.created_by.get_username() if self.view.created_by else ""

    @property
    def created(self) -> str:
        """How long ago it was made."""
        return elapsed(self.view.created_at)

    @property
    def frames(self) -> str:
        """How many frames it held at saving, and whether that stays so."""
        if not self.is_visible:
            return "not all visible to you"
        pinned = ", pinned" if self.view.is_pinned else ""
        return f"{plural(self.view.saved_count, 'frame')}{pinned}"

    @property
    def menu(self) -> list[Action]:
        """What can be done to it."""
        return [ACTIONS[name] for name in self.actions]

    @property
    def may_edit(self) -> bool:
        """Whether it is a draft that the reader may change."""
        return self.view.is_draft and not self.view.is_archived and "archive" in self.actions

    def as_json(self) -> dict[str, Any]:
        """Return the view as JSON."""
        return view_json(self.view)


@dataclass(frozen=True, slots=True)
class ViewListPage:
    """One page of the views the reader may see."""

    query: ViewQuery
    project: Project | None
    projects: list[Project]
    people: list[str]
    total: int
    matched: int
    items: list[ViewRow]
    next: str | None
    may_make: bool
    error: QueryError | None = None
    statuses: list[tuple[str, str]] = field(default_factory=lambda: list(STATUSES.items()))

    @property
    def is_archive(self) -> bool:
        """Whether this is the archive."""
        return bool(self.query.archived)

    @property
    def is_filtered(self) -> bool:
        """Whether something keeps views out, but for the project and the archive."""
        return bool(self.query.q or self.query.user or self.query.status)

    @property
    def found(self) -> str:
        """How many views there are."""
        if self.matched == self.total:
            return plural(self.total, "view")
        return f"{count(self.matched)} out of {plural(self.total, 'view')}"

    @property
    def next_url(self) -> str:
        """The next page, empty at the end."""
        return self.query.url(after=self.next) if self.next else ""

    @property
    def first_url(self) -> str:
        """The first page, where this is a later one."""
        return self.query.url() if self.query.after else ""

    @property
    def unfiltered_url(self) -> str:
        """The table without its filters."""
        return self.query.url(q="", user="", status="")

    @property
    def archive_url(self) -> str:
        """Into the archive, or out of it."""
        return self.query.url(archived="" if self.query.archived else "1")

    @property
    def new_url(self) -> str:
        """Where a view is made, in this project if one is chosen."""
        path = reverse("frames:view_create")
        return _with_query(path, {"project": self.project.uid} if self.project else {})

    @property
    def this_url(self) -> str:
        """This very page."""
        return self.query.url(after=self.query.after)

    @property
    def csv_page_url(self) -> str:
        """The views on this page, as CSV."""
        return _more(self.this_url, "format=csv&rows=page")

    @property
    def csv_url(self) -> str:
        """All views that match, as CSV."""
        return _more(self.query.url(), "format=csv")

    @property
    def columns(self) -> list[Column]:
        """The columns in their order."""
        return self.query.columns_in_order()

    @property
    def is_sized(self) -> bool:
        """Whether columns have widths."""
        return any(column.width for column in self.columns)

    @property
    def sorts(self) -> dict[str, tuple[str, str]]:
        """For each column that sorts: its aria-sort, and where its heading leads.

        The address always names the order: one without takes that which the browser has kept.
        """
        column, descending = self.query.sort.removeprefix("-"), self.query.sort.startswith("-")
        found = {}
        for name in SORTS:
            state = ("descending" if descending else "ascending") if name == column else "none"
            # A date begins with the newest, a name with A.
            turn = not descending if name == column else name == "created"
            sort = f"-{name}" if turn else name
            params = {**self.query.with_().params(), "sort": sort}
            found[name] = (state, _with_query(reverse("frames:view_list"), params))
        return found

    @property
    def actions(self) -> list[Action]:
        """What can be done to some of the rows here."""
        return [a for a in ACTIONS.values() if any(a.name in row.actions for row in self.items)]

    def as_json(self) -> dict[str, Any]:
        """Return the list; `next` is the value of `after` for the next page."""
        return {
            "total": self.total,
            "matched": self.matched,
            "items": [row.as_json() for row in self.items],
            "next": self.next,
        }


def view_list(
    request: SignedInRequest, *, as_json: bool = False
) -> HttpResponse | StreamingHttpResponse:
    """Show the data views the reader may see (W1), or all that match as CSV (W3)."""
    try:
        query = ViewQuery.from_params(request.GET.dict())
        page = _load(request.user, query)
    except QueryError as error:
        if as_json:
            return refused_json(error)
        page = replace(_load(request.user, ViewQuery()), items=[], next=None, error=error)
    if request.GET.get("format") == "csv" and page.error is None:
        only = [row.view for row in page.items] if request.GET.get("rows") == "page" else None
        return _as_csv(request.user, query, only)
    status = 400 if page.error else 200
    return respond(request, page, "view/list.html", as_json=as_json, partial="rows", status=status)


def view_json(view: DataView) -> dict[str, Any]:
    """Return what is said of a view without looking at its frames."""
    return {
        "id": view.uid,
        "name": view.name,
        "description": view.description,
        "user": view.created_by.get_username() if view.created_by else None,
        "status": view.status,
        "archived": view.is_archived,
        "project": view.project.name,
        "created": view.created_at.isoformat(),
        "url": reverse("frames:view_detail", args=[view.uid]),
    }


def matching(user: User, query: ViewQuery) -> DataViewQuerySet:
    """Return the views that the reader may see and the query keeps, in its order."""
    found = _visible(user, query)
    if query.user:
        found = found.filter(created_by__username=query.user)
    if query.status:
        found = found.filter(status=query.status)
    for word in words_of(query.q):
        found = found.filter(Q(name__icontains=word) | Q(description__icontains=word) | Q(uid=word))
    sign = "-" if query.sort.startswith("-") else ""
    column = SORTS[query.sort.removeprefix("-")]
    return found.select_related("project", "created_by").order_by(f"{sign}{column}", f"{sign}pk")


def _visible(user: User, query: ViewQuery) -> DataViewQuerySet:
    found = DataView.objects.visible_to(user)
    found = found.archived() if query.archived else found.active()
    return found.filter(project__uid=query.project) if query.project else found


def _load(user: User, query: ViewQuery) -> ViewListPage:
    """Queries: 9, whatever the number of views."""
    project = access.project_or_404(user, query.project) if query.project else None
    visible, found = _visible(user, query), matching(user, query)
    total = visible.count()
    views = list(_behind(found, query)[: PAGE_SIZE + 1])
    shown = views[:PAGE_SIZE]
    people = User.objects.filter(pk__in=visible.order_by().values("created_by"))
    roles = access.roles_in(user, {view.project_id for view in shown})
    visible_pks = wholly_visible(user, shown)
    return ViewListPage(
        query=query,
        project=project,
        projects=list(Project.objects.visible_to(user)),
        people=list(people.order_by("username").values_list("username", flat=True)[:PEOPLE_MAX]),
        total=total,
        matched=found.count() if query.q or query.user or query.status else total,
        items=[
            ViewRow(
                view,
                detail_url(view, query),
                actions_of(view, roles[view.project_id]),
                view.pk in visible_pks,
            )
            for view in shown
        ],
        next=_token(shown[-1], query) if len(views) > PAGE_SIZE else None,
        may_make=bool(access.editable_projects(user)),
    )


def wholly_visible(user: User, views: Sequence[DataView]) -> set[int]:
    """Return the keys of those of the views that name only datasets the user may see. Queries: 1.

    How many frames a view holds tells of all that it names.
    """
    named = {
        view.pk: {str(entry["dataset"]) for entry in view.definition.get("versions", ())}
        for view in views
    }
    uids = Dataset.objects.visible_to(user).filter(uid__in=set().union(*named.values()))
    there = set(uids.values_list("uid", flat=True))
    return {pk for pk, datasets in named.items() if datasets <= there}


def detail_url(view: DataView, query: ViewQuery) -> str:
    """Return a view's page, beside the list it was found in."""
    return _with_query(reverse("frames:view_detail", args=[view.uid]), query.with_().params())


def _behind(found: DataViewQuerySet, query: ViewQuery) -> DataViewQuerySet:
    """Keep what comes behind the last view of the page before."""
    column, compare = SORTS[query.sort.removeprefix("-")], "lt" if query.sort[0] == "-" else "gt"
    place = decode_after(query.after, str, int)
    if place is None:
        return found
    value, pk = place
    if column == "created_at":
        try:
            value = datetime.fromisoformat(value)
        except ValueError as error:
            raise foreign_token() from error
        # All tokens are of UTC; a year 1 elsewhere is none there.
        if value.utcoffset() != timedelta():
            raise foreign_token()
    return found.filter(
        Q(**{f"{column}__{compare}": value}) | Q(**{column: value, f"pk__{compare}": pk})
    )


def _token(view: DataView, query: ViewQuery) -> str:
    by_name = query.sort.removeprefix("-") == "name"
    return encode_after(view.name if by_name else view.created_at.isoformat(), view.pk)


def _as_csv(user: User, query: ViewQuery, only: Sequence[DataView] | None) -> StreamingHttpResponse:
    """Stream the views as CSV, a page of rows in memory at a time."""
    lines = _csv_lines(user, [only] if only is not None else _all(user, query))
    response = StreamingHttpResponse(lines, content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = 'attachment; filename="data-views.csv"'
    return response


def _all(user: User, query: ViewQuery) -> Iterator[Sequence[DataView]]:
    query = query.with_()
    while True:
        views = list(_behind(matching(user, query), query)[:_CSV_CHUNK])
        yield views
        if len(views) < _CSV_CHUNK:
            return
        query = query.with_(after=_token(views[-1], query))


def _csv_lines(user: User, chunks: Iterable[Sequence[DataView]]) -> Iterator[str]:
    yield csv_line(_CSV_HEAD)
    for views in chunks:
        visible_pks = wholly_visible(user, views)
        for view in views:
            is_visible = view.pk in visible_pks
            yield csv_line(
                (
                    view.name,
                    view.created_by.get_username() if view.created_by else "",
                    view.get_status_display(),
                    view.project.name,
                    view.created_at.isoformat(),
                    view.description,
                    str(view.saved_count) if is_visible else "",
                    view.uid,
                    view.content_hash if is_visible else "",
                )
            )


def csv_line(cells: Sequence[str]) -> str:
    """Return a line of CSV in which no text is a formula."""
    line = io.StringIO()
    csv.writer(line).writerow([inert(cell) for cell in cells])
    return line.getvalue()


def _with_query(path: str, params: Mapping[str, str]) -> str:
    return f"{path}?{urlencode(params)}" if params else path


def _more(url: str, params: str) -> str:
    return f"{url}{'&' if '?' in url else '?'}{params}"
