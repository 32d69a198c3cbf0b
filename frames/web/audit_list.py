"""The audit log: who did what, when, to which project, dataset or version."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any, Final

from django.db.models import Q
from django.http import Http404, StreamingHttpResponse
from django.urls import reverse
from django.utils.http import urlencode

from frames.formats.csv_writer import Rows
from frames.models import AuditEvent, Dataset, Project, Version
from frames.search.errors import QueryError
from frames.search.query import decode_after, encode_after, foreign_token
from frames.web import access
from frames.web.addresses import version_address
from frames.web.http import respond
from frames.web.text import count, elapsed, plural

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from django.db.models import QuerySet
    from django.http import HttpResponse

    from frames.web.http import SignedInRequest

PAGE_SIZE: Final = 50
# The verbs and people to choose from are those of so many last events.
RECENT: Final = 1_000
OPERATOR: Final = "operator"
_CSV_COLUMNS: Final = (
    *("at", "actor", "verb", "kind", "id", "name", "dataset_id", "project", "details"),
)
_CSV_PAGE: Final = 1_000
_VALUE_MAX_CHARS: Final = 200


@dataclass(frozen=True, slots=True)
class AuditQuery:
    """What the page's address asks for.

    `object` is the id of a dataset, with its versions, of a version, a view or a project;
    `actor` a person's name; `since` and `until` are days in UTC, both inside.
    """

    project: str = ""
    object: str = ""
    actor: str = ""
    verb: str = ""
    since: str = ""
    until: str = ""
    after: str = ""

    @classmethod
    def from_params(cls, params: dict[str, str]) -> AuditQuery:
        """Read the address; keys that are not known are passed over."""
        names = cls.__dataclass_fields__
        # No id and no name has a null character, and PostgreSQL refuses to be asked for one.
        given = {key: value.replace("\x00", "").strip() for key, value in params.items()}
        return cls(**{key: value for key, value in given.items() if key in names})

    def params(self) -> dict[str, str]:
        """Return what is not the default."""
        values = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return {name: value for name, value in values.items() if value}

    @property
    def is_filtered(self) -> bool:
        """Whether it asks for some of the events only."""
        return bool(replace(self, after="").params())

    def matching(self, events: QuerySet[AuditEvent]) -> QuerySet[AuditEvent]:
        """Keep the events that match, wherever the page begins. Raises QueryError."""
        if self.object:
            events = events.filter(Q(object_uid=self.object) | Q(dataset_uid=self.object))
        if self.actor == OPERATOR:
            events = events.filter(Q(actor=None) | Q(actor__username=OPERATOR))
        elif self.actor:
            events = events.filter(actor__username=self.actor)
        if self.verb:
            events = events.filter(verb=self.verb)
        if self.since:
            events = events.filter(at__gte=_midnight("From", self.since))
        if self.until:
            events = events.filter(at__lt=_midnight("To", self.until, after_days=1))
        return events


@dataclass(frozen=True, slots=True)
class AuditRow:
    """One event; `url` leads to its object while that is there, `dataset` is what that is in."""

    event: AuditEvent
    url: str
    dataset: str

    @property
    def actor(self) -> str:
        """Who did it."""
        return _actor(self.event)

    @property
    def ago(self) -> str:
        """How long ago it was."""
        return elapsed(self.event.at)

    @property
    def details(self) -> list[tuple[str, str]]:
        """What else is known of it, by name; of an update, what each field was and is."""
        rest = dict(self.event.details)
        before, after = rest.pop("before", None), rest.pop("after", None)
        lines = [(name.replace("_", " "), _shown(value)) for name, value in rest.items()]
        if isinstance(before, dict) and isinstance(after, dict):
            lines += [
                (name, f"{_shown(before.get(name)) or 'none'} → {_shown(value) or 'none'}")
                for name, value in after.items()
            ]
        return [(name, text) for name, text in lines if text]

    def as_json(self) -> dict[str, Any]:
        """Return the event as JSON."""
        event = self.event
        return {
            "at": event.at.isoformat(),
            "actor": event.actor.get_username() if event.actor else None,
            "verb": event.verb,
            "kind": event.object_kind,
            "id": event.object_uid,
            "name": event.object_name,
            "dataset_id": event.dataset_uid or None,
            "project": event.project.name if event.project else None,
            "details": event.details,
            "url": self.url or None,
        }


@dataclass(frozen=True, slots=True)
class AuditListPage:
    """A page of the events, the newest first."""

    query: AuditQuery
    projects: list[Project]
    verbs: list[str]
    actors: list[str]
    total: int
    matched: int
    items: list[AuditRow]
    next: str | None
    problem: str = ""

    @property
    def found(self) -> str:
        """How many events there are."""
        if self.matched == self.total:
            return plural(self.total, "event")
        return f"{count(self.matched)} of {plural(self.total, 'event')}"

    @property
    def next_url(self) -> str:
        """Where the older events are, empty on the last page."""
        return f"?{urlencode({**self.query.params(), 'after': self.next})}" if self.next else ""

    @property
    def first_url(self) -> str:
        """Where the newest events are, empty on the first page."""
        params = replace(self.query, after="").params()
        return f"{reverse('frames:audit_list')}?{urlencode(params)}" if self.query.after else ""

    @property
    def csv_url(self) -> str:
        """All events that match, as CSV."""
        params = replace(self.query, after="").params()
        return f"?{urlencode({**params, 'format': 'csv'})}"

    def as_json(self) -> dict[str, Any]:
        """Return the list."""
        if self.problem:
            return {"error": self.problem}
        return {
            "total": self.total,
            "matched": self.matched,
            "items": [row.as_json() for row in self.items],
            "next": self.next,
        }


def audit_list(
    request: SignedInRequest, *, as_json: bool = False
) -> HttpResponse | StreamingHttpResponse:
    """Show the events of the projects that the reader is an admin of; superusers see all.

    Queries: 7, whatever the number of events.
    """
    query = AuditQuery.from_params(request.GET.dict())
    projects = access.administered_projects(request.user)
    if not projects and not request.user.is_superuser:
        raise Http404
    events = AuditEvent.objects.select_related("actor", "project")
    if query.project:
        chosen = [project for project in projects if project.uid == query.project]
        if not chosen:
            raise Http404
        events = events.filter(project=chosen[0])
    elif not request.user.is_superuser:
        events = events.filter(project__in=projects)
    recent = list(events.values_list("verb", "actor__username")[:RECENT])
    page = AuditListPage(
        query=query,
        projects=projects,
        verbs=sorted({verb for verb, _ in recent} | ({query.verb} - {""})),
        actors=sorted({actor or OPERATOR for _, actor in recent} | ({query.actor} - {""})),
        total=events.count(),
        matched=0,
        items=[],
        next=None,
    )
    try:
        matching = query.matching(events)
        rows = _behind(matching, query.after, PAGE_SIZE + 1)
    except QueryError as error:
        page = replace(page, problem=error.message)
        return respond(request, page, "audit/list.html", as_json=as_json, status=400)
    if request.GET.get("format") == "csv":
        return _as_csv(matching)
    shown = rows[:PAGE_SIZE]
    datasets = Dataset.objects.visible_to(request.user).in_bulk(
        {event.dataset_uid for event in shown}, field_name="uid"
    )
    urls = _urls(request, shown, datasets)
    page = replace(
        page,
        matched=matching.count() if query.is_filtered else page.total,
        items=[
            AuditRow(event, urls.get(event.object_uid, ""), _dataset(event, datasets))
            for event in shown
        ],
        next=_place(shown[-1]) if len(rows) > PAGE_SIZE else None,
    )
    return respond(request, page, "audit/list.html", as_json=as_json)


def _midnight(name: str, text: str, after_days: int = 0) -> datetime:
    """Return the beginning of a day in UTC; raise QueryError for a text that is none."""
    try:
        return datetime.combine(date.fromisoformat(text), time(), UTC) + timedelta(days=after_days)
    except (ValueError, OverflowError) as error:
        raise QueryError(f"{name}: {text[:20]} is not a day. Write it as 2026-01-31.") from error


def _place(event: AuditEvent) -> str:
    return encode_after(event.at.isoformat(), event.pk)


def _behind(events: QuerySet[AuditEvent], after: str, limit: int) -> list[AuditEvent]:
    """Return the next events behind a place. Raises QueryError."""
    place = decode_after(after, str, int)
    if place is not None:
        try:
            at = datetime.fromisoformat(place[0])
        except ValueError as error:
            raise foreign_token() from error
        # All tokens are of UTC; a year 1 elsewhere is none there.
        if at.utcoffset() != timedelta():
            raise foreign_token()
        # The first condition alone is one range of the index.
        events = events.filter(at__lte=at).filter(Q(at__lt=at) | Q(pk__lt=place[1]))
    return list(events[:limit])


def _urls(
    request: SignedInRequest, events: Sequence[AuditEvent], datasets: Mapping[str, Dataset]
) -> dict[str, str]:
    """Return where each object is that is still there; one query."""
    urls: dict[str, str] = {}
    uids = {event.object_uid for event in events if event.object_kind == "version"}
    versions = Version.objects.visible_to(request.user).filter(uid__in=uids)
    for version in versions.select_related("dataset"):
        urls[version.uid] = version_address(version)
    for uid in datasets:
        urls[uid] = reverse("frames:dataset_detail", args=[uid])
    for event in events:
        if event.object_kind == "project":
            query = urlencode({"project": event.object_uid})
            urls[event.object_uid] = f"{reverse('frames:dataset_list')}?{query}"
    return urls


def _dataset(event: AuditEvent, datasets: Mapping[str, Dataset]) -> str:
    """Return the name of the dataset that the object is in, if that is still there."""
    dataset = datasets.get(event.dataset_uid)
    return dataset.name if dataset is not None and event.dataset_uid != event.object_uid else ""


def _actor(event: AuditEvent) -> str:
    return event.actor.get_username() if event.actor else OPERATOR


def _shown(value: Any) -> str:
    if value in (None, "", [], {}):
        return ""
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        text = ", ".join(value)
    elif isinstance(value, str):
        text = value
    elif isinstance(value, int) and not isinstance(value, bool):
        text = count(value)
    else:
        text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _VALUE_MAX_CHARS else f"{text[:_VALUE_MAX_CHARS]}…"


def _as_csv(events: QuerySet[AuditEvent]) -> StreamingHttpResponse:
    """Stream all events that match; memory does not grow with them."""
    response = StreamingHttpResponse(_csv_parts(events), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = 'attachment; filename="audit.csv"'
    return response


def _csv_parts(events: QuerySet[AuditEvent]) -> Iterator[bytes]:
    file = io.BytesIO()
    rows = Rows(file, _CSV_COLUMNS)
    after = ""
    while True:
        page = _behind(events, after, _CSV_PAGE)
        for event in page:
            rows.write(
                (
                    *(event.at.isoformat(), _actor(event), event.verb, event.object_kind),
                    *(event.object_uid, event.object_name, event.dataset_uid),
                    event.project.name if event.project else "",
                    json.dumps(event.details, ensure_ascii=False),
                )
            )
        yield file.getvalue()
        file.seek(0)
        file.truncate()
        if len(page) < _CSV_PAGE:
            return
        after = _place(page[-1])
