"""The audit log's page: who sees which events, what finds them, and that none can be changed."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from django.contrib.auth.models import User
from django.db import IntegrityError, connection, transaction
from django.db.migrations.state import ProjectState
from django.db.models import ProtectedError, QuerySet
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from frames.actions import audit, versions
from frames.migrations._append_only import append_only
from frames.models import AuditEvent, Grant, Project
from frames.search.query import encode_after
from frames.web import audit_list as view
from tests.factories import make_version
from tests.web.support import HOSTILE

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.test import Client

    from frames.models import Version


def page(client: Client, **params: str) -> dict[str, Any]:
    response = client.get("/audit.json", params)
    assert response.status_code == 200, response.content
    found: dict[str, Any] = response.json()
    return found


def acts(client: Client, **params: str) -> list[tuple[str, str]]:
    return [(item["verb"], item["name"]) for item in page(client, **params)["items"]]


@pytest.fixture
def release(project: Project, admin: User) -> Version:
    """A published version of a dataset, and its child which is deleted again."""
    version = make_version(project)
    release, child = versions.snapshot(version, actor=admin, name="v1", child_name="Next")
    versions.update_version(child, actor=admin, description="Night drives")
    versions.delete_version(child, actor=admin)
    return release


@pytest.fixture
def elsewhere(outsider: User) -> Project:
    """Another project with an event of its own."""
    project = Project.objects.create(name="Elsewhere")
    Grant.objects.create(project=project, user=outsider, role=Grant.Role.ADMIN)
    audit.record("create", project, project=project, actor=outsider)
    return project


def test_newest_acts_come_first(
    release: Version, browse: Callable[[User | None], Client], admin: User
) -> None:
    assert acts(browse(admin)) == [
        ("delete", "Next"),
        ("update", "Next"),
        ("create", "Next"),
        ("publish", "v1"),
        ("create", release.dataset.name),
    ]


def test_admins_see_their_projects_and_superusers_all(
    release: Version,
    elsewhere: Project,
    browse: Callable[[User | None], Client],
    admin: User,
    outsider: User,
) -> None:
    assert {item["project"] for item in page(browse(admin))["items"]} == {"Streets"}
    assert acts(browse(outsider)) == [("create", "Elsewhere")]
    assert browse(admin).get("/audit/", {"project": elsewhere.uid}).status_code == 404
    root = browse(User.objects.create(username="root", is_superuser=True))
    assert {item["project"] for item in page(root)["items"]} == {"Streets", "Elsewhere"}
    assert acts(root, project=elsewhere.uid) == [("create", "Elsewhere")]


def test_events_without_a_project_are_for_superusers(
    release: Version, browse: Callable[[User | None], Client], admin: User
) -> None:
    AuditEvent.objects.create(verb="start", object_kind="site", object_uid="", object_name="site")
    assert ("start", "site") not in acts(browse(admin))
    assert ("start", "site") in acts(browse(User.objects.create(username="r", is_superuser=True)))


def test_filters_keep_what_they_name(
    release: Version,
    elsewhere: Project,
    browse: Callable[[User | None], Client],
    admin: User,
) -> None:
    client = browse(admin)
    assert acts(client, verb="publish") == [("publish", "v1")]
    assert acts(client, object=release.uid) == [("publish", "v1")]
    assert len(acts(client, object=release.dataset.uid)) == 5
    assert acts(client, actor="operator") == [("create", release.dataset.name)]
    assert len(acts(client, actor="admin")) == 4
    assert acts(client, actor="nobody") == []
    assert page(client, verb="publish")["matched"] == 1
    assert page(client, verb="publish")["total"] == 5


def test_days_are_inside_their_range(
    project: Project, browse: Callable[[User | None], Client], admin: User
) -> None:
    for day in (1, 2, 3, 4, 5):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(timezone, "now", lambda day=day: datetime(2026, 3, day, 12, tzinfo=UTC))
            audit.record("update", project, project=project, actor=admin)
    client = browse(admin)
    days = [
        item["at"][:10] for item in page(client, since="2026-03-02", until="2026-03-04")["items"]
    ]
    assert days == ["2026-03-04", "2026-03-03", "2026-03-02"]


@pytest.mark.parametrize(
    "params",
    [
        {"since": "yesterday"},
        {"until": "2026-02-30"},
        {"until": "9999-12-31"},
        {"after": "x"},
        {"after": "WyJhIiwxXQ"},
        {"after": encode_after("0001-01-01T00:00:00+14:00", 1)},
    ],
)
def test_what_cannot_be_understood_is_said(
    params: dict[str, str],
    release: Version,
    browse: Callable[[User | None], Client],
    admin: User,
) -> None:
    response = browse(admin).get("/audit/", params)
    assert response.status_code == 400
    assert 'role="alert"' in response.content.decode()
    assert "error" in browse(admin).get("/audit.json", params).json()


@pytest.mark.parametrize(
    "text", ["\x00", "%", "' OR 1=1 --", "\ud800".encode("utf8", "replace").decode()]
)
def test_hostile_filters_find_nothing(
    text: str, release: Version, browse: Callable[[User | None], Client], admin: User
) -> None:
    client = browse(admin)
    for name in ("object", "actor", "verb"):
        assert page(client, **{name: f"x{text}"})["items"] == []


@pytest.fixture
def one_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    """All that happens from here on happens at once."""
    moment = timezone.now()
    monkeypatch.setattr(timezone, "now", lambda: moment)


def test_pages_hold_each_event_once_also_where_moments_are_equal(
    one_moment: None,
    release: Version,
    browse: Callable[[User | None], Client],
    admin: User,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(view, "PAGE_SIZE", 2)
    monkeypatch.setattr(view, "_CSV_PAGE", 2)
    client, found, after = browse(admin), [], ""
    while after is not None:
        part = page(client, after=after)
        assert len(part["items"]) <= 2
        found += [item["verb"] for item in part["items"]]
        after = part["next"]
    assert found == ["delete", "update", "create", "publish", "create"]
    assert len(read_csv(client)) == 5


def test_page_links_to_what_is_still_there(
    release: Version, browse: Callable[[User | None], Client], admin: User
) -> None:
    items = page(browse(admin))["items"]
    urls = {item["name"]: item["url"] for item in items}
    assert urls == {
        "v1": f"/datasets/{release.dataset.uid}/versions/{release.uid}/",
        "Next": None,
        release.dataset.name: f"/datasets/{release.dataset.uid}/",
    }
    body = browse(admin).get("/audit/").content.decode()
    assert f'href="{urls["v1"]}">v1</a>' in body
    assert "none → Night drives" in body


def test_page_asks_no_more_with_many_events_than_with_few(
    release: Version, browse: Callable[[User | None], Client], admin: User
) -> None:
    client = browse(admin)

    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            client.get("/audit/")
        return len(captured)

    queries()
    few = queries()
    for number in range(60):
        versions.update_version(release, actor=admin, description=str(number))
    assert queries() <= few


def read_csv(client: Client, **params: str) -> list[dict[str, str]]:
    response = client.get("/audit/", {**params, "format": "csv"})
    assert response.streaming
    assert "attachment" in response["Content-Disposition"]
    text = response.getvalue().decode()
    return list(csv.DictReader(io.StringIO(text)))


def test_csv_has_all_that_match(
    release: Version, browse: Callable[[User | None], Client], admin: User
) -> None:
    rows = read_csv(browse(admin))
    assert [row["verb"] for row in rows] == ["delete", "update", "create", "publish", "create"]
    details = json.loads(rows[1]["details"])
    assert details["after"] == {"description": "Night drives"}
    assert [row["actor"] for row in read_csv(browse(admin), verb="publish")] == ["admin"]


def test_csv_is_no_formula_and_page_no_script(
    project: Project, browse: Callable[[User | None], Client], admin: User
) -> None:
    for name in ("=1+1", "+1", "-1", "@SUM(A1)", HOSTILE):
        project.name = name
        audit.record("create", project, project=project, actor=admin, note="=cmd|' /C calc'!A0")
    rows = read_csv(browse(admin))
    assert [row["name"] for row in rows] == [HOSTILE, "'@SUM(A1)", "'-1", "'+1", "'=1+1"]
    assert all(not cell.startswith(("=", "+", "-", "@")) for row in rows for cell in row.values())
    assert HOSTILE not in browse(admin).get("/audit/").content.decode()


def test_events_cannot_be_changed_or_deleted(release: Version, admin: User) -> None:
    event = AuditEvent.objects.latest("pk")
    event.verb = "nothing"
    for change in (
        event.save,
        event.delete,
        AuditEvent.objects.all().delete,
        lambda: AuditEvent.objects.update(verb="nothing"),
        lambda: AuditEvent.objects.bulk_update([event], ["verb"]),
        lambda: AuditEvent.objects.bulk_create(
            [event], update_conflicts=True, unique_fields=["id"], update_fields=["verb"]
        ),
        lambda: AuditEvent.objects.update_or_create(pk=event.pk, defaults={"verb": "nothing"}),
    ):
        with pytest.raises(TypeError, match="append-only"), transaction.atomic():
            change()
    assert AuditEvent.objects.latest("pk").verb == "delete"


STATEMENTS = [
    "UPDATE frames_auditevent SET verb = 'nothing'",
    "UPDATE frames_auditevent SET actor_id = NULL",
    "DELETE FROM frames_auditevent",
    "INSERT INTO frames_auditevent SELECT * FROM frames_auditevent WHERE true "
    "ON CONFLICT (id) DO UPDATE SET verb = 'nothing'",
]
if connection.vendor == "sqlite":
    STATEMENTS.append("REPLACE INTO frames_auditevent SELECT * FROM frames_auditevent")


@pytest.mark.parametrize("sql", STATEMENTS)
def test_the_database_refuses_to_change_or_delete_events(release: Version, sql: str) -> None:
    """Whoever speaks to it, and by whatever statement."""
    before = list(AuditEvent.objects.order_by("pk").values())
    with (
        pytest.raises(IntegrityError, match="append-only"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(sql)
    assert list(AuditEvent.objects.order_by("pk").values()) == before


def test_people_and_projects_in_the_log_cannot_be_deleted(release: Version, admin: User) -> None:
    """So that no event has to forget whom it names."""
    for named in (admin, release.dataset.project):
        with pytest.raises(ProtectedError):
            named.delete()


def test_the_triggers_come_and_go_with_the_migration(release: Version) -> None:
    """As where the migration is undone: without them an event can be changed."""
    operation, state, editor = append_only(), ProjectState(), connection.schema_editor()
    operation.database_backwards("frames", editor, state, state)
    QuerySet(AuditEvent).update(verb="nothing")
    operation.database_forwards("frames", editor, state, state)
    with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
        QuerySet(AuditEvent).update(verb="something")


def test_administration_offers_no_change_and_no_deletion(release: Version, client: Client) -> None:
    client.force_login(User.objects.create_superuser("operator"))
    event = AuditEvent.objects.latest("pk")
    base = "/admin/frames/auditevent/"
    assert client.get(f"{base}{event.pk}/change/").status_code == 200
    assert client.post(f"{base}{event.pk}/change/", {"verb": "nothing"}).status_code == 403
    assert client.post(f"{base}{event.pk}/delete/", {"post": "yes"}).status_code == 403
    assert client.get(f"{base}add/").status_code == 403
    actions = {"action": "delete_selected", "_selected_action": str(event.pk), "post": "yes"}
    client.post(base, actions)
    assert AuditEvent.objects.filter(pk=event.pk, verb="delete").exists()


def test_the_log_is_under_none_of_the_main_pages(
    browse: Callable[[User | None], Client], admin: User
) -> None:
    body = browse(admin).get("/audit/").content.decode()
    assert "aria-current" not in body.partition('aria-label="Main"')[2].partition("</nav>")[0]
