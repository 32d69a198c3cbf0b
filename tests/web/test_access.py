"""Who may enter which address: personas by addresses."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from django.urls import URLPattern, get_resolver, reverse
from django.utils import timezone

from frames.actions.views import save_view
from frames.index.bitmaps import BitMap, dump
from frames.models import CheckFinding, Job, Source
from frames.search.view_definition import Definition, Scope
from tests.web.support import make_preview

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.contrib.auth.models import User
    from django.test import Client

    from frames.models import Project, Version

PERSONAS = ("viewer", "editor", "admin", "outsider", "anonymous")
# What each persona gets, in the order above.
READ = (200, 200, 200, 404, 302)
LIST = (200, 200, 200, 200, 302)
CHANGE = (403, 200, 200, 404, 302)
RULE = (403, 403, 200, 404, 302)
NEW = (403, 200, 200, 403, 302)
ADMIN = (404, 404, 200, 404, 302)
LEAD = (302, 302, 302, 404, 302)
# name of the address: (its status for each persona, what is asked after it)
EXPECTED = {
    "start": ((302, 302, 302, 302, 302), ""),
    "project_list": (LIST, ""),
    "project_list_json": (LIST, ""),
    "dataset_list": (LIST, ""),
    "dataset_list_json": (LIST, ""),
    "import_create": (CHANGE, ""),
    "dataset_create": (NEW, ""),
    "dataset_detail": (LEAD, ""),
    "dataset_detail_json": (READ, ""),
    "dataset_import": (CHANGE, ""),
    "dataset_edit": (CHANGE, ""),
    "dataset_metadata": (CHANGE, ""),
    "dataset_delete": (RULE, ""),
    "version_create": (CHANGE, ""),
    "version_detail": (READ, ""),
    "version_detail_json": (READ, ""),
    "version_info": (READ, ""),
    "version_info_json": (READ, ""),
    "version_metadata": (READ, ""),
    "version_metadata_json": (READ, ""),
    "version_metadata_edit": (CHANGE, ""),
    "version_branch": (CHANGE, ""),
    "bulk_edit": (CHANGE, ""),
    "version_export": (READ, ""),
    "version_export_json": (READ, ""),
    "version_edit": (CHANGE, ""),
    "version_publish": (RULE, ""),
    "version_check": (READ, ""),
    "version_check_json": (READ, ""),
    "check_frames": (READ, ""),
    "check_frames_json": (READ, ""),
    "version_merge": (CHANGE, ""),
    "version_merge_json": (CHANGE, ""),
    "frame_history": (READ, "?id=a-0"),
    "frame_history_json": (READ, "?id=a-0"),
    "version_delete": (RULE, ""),
    "version_compare": (READ, ""),
    "version_compare_json": (READ, ""),
    "version_statistics": (READ, ""),
    "version_statistics_json": (READ, ""),
    "version_facets": (READ, ""),
    "version_facets_json": (READ, ""),
    "facet_refine": (LEAD, "?key=timestamp&low=3"),
    "filter_builder": (READ, ""),
    "filter_builder_json": (READ, ""),
    "version_columns": (READ, ""),
    "version_columns_json": (READ, ""),
    "version_sample": (READ, ""),
    "version_sample_json": (READ, ""),
    "label_list": (READ, ""),
    "label_list_json": (READ, ""),
    "frame_why": (LEAD, "?id=a-0&q=label:car"),
    "frame_why_json": (READ, "?id=a-0&q=label:car"),
    "context_detail": (READ, "?id=drive/a"),
    "context_detail_json": (READ, "?id=drive/a"),
    "frame_by_id": (READ, "?id=a-0"),
    "frame_by_id_json": (READ, "?id=a-0"),
    "frame_detail": (READ, ""),
    "frame_detail_json": (READ, ""),
    "audit_list": (ADMIN, ""),
    "audit_list_json": (ADMIN, ""),
    "view_list": (LIST, ""),
    "view_list_json": (LIST, ""),
    "view_create": (NEW, ""),
    "view_detail": (READ, ""),
    "view_detail_json": (READ, ""),
    "view_edit": (CHANGE, ""),
    "view_export": (READ, ""),
    "view_export_json": (READ, ""),
    "job_detail": (READ, ""),
    "job_detail_json": (READ, ""),
    "preview_states": (LIST, "?key=0"),
}
# Tested beside what they do: they change something, or answer bytes.
ELSEWHERE = {
    "version_restore",
    "view_act",
    "compare_choice",
    "job_cancel",
    "job_download",
    "job_undo",
    "preview_retry",
    "preview_file",
    "source_original",
    "source_preview",
    "theme",
}


@pytest.fixture
def addresses(project: Project, version: Version) -> dict[str, str]:
    """An address for each name, of things that are in the project."""
    job = Job.objects.create(
        kind=Job.Kind.IMPORT,
        project=project,
        dataset=version.dataset,
        version=version,
        uri="file:///a.json",
    )
    scope = Scope(version.dataset.uid, version.uid)
    view = save_view(
        project=project, name="Cars", definition=Definition(versions=(scope,)), actor=None
    )
    check = Job.objects.create(
        kind=Job.Kind.CHECK,
        project=project,
        dataset=version.dataset,
        version=version,
        state=Job.State.DONE,
        finished_at=timezone.now(),
    )
    CheckFinding.objects.create(job=check, kind="collision", frames=dump(BitMap([0, 1])), count=2)
    parts = {
        "view_uid": view.uid,
        "project_uid": project.uid,
        "dataset_uid": version.dataset.uid,
        "version_uid": version.uid,
        "before_uid": version.uid,
        "after_uid": version.uid,
        "frame_id": "a-0",
        "job_uid": job.uid,
        "kind": "collision",
    }
    found = {}
    for pattern in get_resolver("frames.web.urls").url_patterns:
        assert isinstance(pattern, URLPattern)
        if pattern.name in EXPECTED:
            wanted = {name: parts[name] for name in pattern.pattern.converters}
            found[pattern.name] = reverse(f"frames:{pattern.name}", kwargs=wanted)
    return found


def test_every_address_is_tried_here_or_elsewhere() -> None:
    patterns = get_resolver("frames.web.urls").url_patterns
    names = {pattern.name for pattern in patterns if isinstance(pattern, URLPattern)}
    assert names == set(EXPECTED) | ELSEWHERE


@pytest.mark.parametrize("persona", PERSONAS)
@pytest.mark.parametrize("name", EXPECTED)
def test_each_persona_gets_what_they_may(
    name: str,
    persona: str,
    addresses: dict[str, str],
    browse: Callable[[User | None], Client],
    request: pytest.FixtureRequest,
) -> None:
    user = None if persona == "anonymous" else request.getfixturevalue(persona)
    statuses, query = EXPECTED[name]
    response = browse(user).get(addresses[name] + query)
    expected = statuses[PERSONAS.index(persona)]
    if persona == "anonymous" and name.endswith("_json"):
        expected = 401
    assert response.status_code == expected
    if expected == 302 and persona == "anonymous":
        assert response["Location"].startswith("/sign-in/?next=") or name == "start"


@pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
def test_twins_are_read_only(
    method: str, addresses: dict[str, str], browse: Callable[[User | None], Client], admin: User
) -> None:
    client = browse(admin)
    for name, address in addresses.items():
        if name.endswith("_json"):
            assert getattr(client, method)(address).status_code == 405


def test_outsider_sees_nothing_of_a_project_in_a_list(
    addresses: dict[str, str], browse: Callable[[User | None], Client], outsider: User
) -> None:
    for name in ("project_list", "dataset_list", "project_list_json", "dataset_list_json"):
        body = browse(outsider).get(addresses[name]).content.decode()
        assert "Streets" not in body
        assert "Dataset" not in body.replace("Datasets", "")


def test_preview_states_tell_an_outsider_nothing(
    version: Version, browse: Callable[[User | None], Client], outsider: User, viewer: User
) -> None:
    key = make_preview(Source.objects.filter(frame__frame_id="a-0").get()).key
    address = f"/previews/state/?key={key}"
    assert browse(viewer).get(address).json()["items"][0]["state"] == "ready"
    assert browse(outsider).get(address).json()["items"][0]["state"] == "pending"


def test_version_of_another_dataset_is_not_found(
    project: Project, version: Version, browse: Callable[[User | None], Client], viewer: User
) -> None:
    from tests.factories import make_version

    other = make_version(project)
    address = f"/datasets/{other.dataset.uid}/versions/{version.uid}/"
    assert browse(viewer).get(address).status_code == 404


def test_superuser_enters_every_project(
    addresses: dict[str, str], browse: Callable[[User | None], Client], outsider: User
) -> None:
    outsider.is_superuser = True
    outsider.save(update_fields=["is_superuser"])
    client = browse(outsider)
    assert client.get(addresses["version_detail"]).status_code == 200
    assert client.get(addresses["import_create"]).status_code == 200
    assert client.get("/projects.json").json()["items"][0]["role"] == "admin"


def test_missing_json_is_answered_in_json(
    browse: Callable[[User | None], Client], viewer: User
) -> None:
    response = browse(viewer).get("/datasets/0/versions/0.json")
    assert response.status_code == 404
    assert response.json() == {"error": "not found"}
