"""Making a dataset, its own address, and the list of projects."""

from __future__ import annotations

from typing import TYPE_CHECKING

from frames.models import AuditEvent, Dataset, Project, Version
from frames.web.dataset_detail import VERSIONS_LISTED_MAX
from tests.web.support import HOSTILE

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.contrib.auth.models import User
    from django.test import Client


def test_new_dataset_has_one_empty_draft(
    project: Project, browse: Callable[[User | None], Client], editor: User
) -> None:
    form = {"project": project.uid, "name": "Night drives", "description": "Rain"}
    response = browse(editor).post("/datasets/new/", form)
    dataset = Dataset.objects.get(name="Night drives")
    assert response["Location"] == f"/datasets/{dataset.uid}/import/"
    assert dataset.versions.get().is_draft
    assert AuditEvent.objects.get(object_uid=dataset.uid).actor == editor


def test_refused_name_keeps_what_was_typed(
    project: Project, browse: Callable[[User | None], Client], editor: User
) -> None:
    Dataset.objects.create(project=project, name="Taken")
    form = {"project": project.uid, "name": "Taken", "description": "kept"}
    response = browse(editor).post("/datasets/new/", form)
    body = response.content.decode()
    assert response.status_code == 400
    assert "named Taken already" in body
    assert "\nkept</textarea>" in body


def test_viewer_makes_no_dataset_even_where_they_edit_elsewhere(
    project: Project, browse: Callable[[User | None], Client], viewer: User
) -> None:
    own = Project.objects.create(name="Own")
    own.grants.create(user=viewer, role=20)
    for uid in (project.uid, "0", "", "\x00", HOSTILE):
        form = {"project": uid, "name": "x"}
        assert browse(viewer).post("/datasets/new/", form).status_code == 403
    assert not Dataset.objects.exists()


def test_dataset_leads_to_the_version_updated_last(
    version: Version, base: str, browse: Callable[[User | None], Client], viewer: User
) -> None:
    older = Version.objects.create(dataset=version.dataset, name="Older")
    Version.objects.filter(pk=older.pk).update(updated_at="2020-01-01T00:00:00Z")
    response = browse(viewer).get(f"/datasets/{version.dataset.uid}/")
    assert response["Location"] == f"{base}/"


def test_dataset_as_json_lists_its_versions(
    version: Version, base: str, browse: Callable[[User | None], Client], viewer: User
) -> None:
    body = browse(viewer).get(f"/datasets/{version.dataset.uid}.json").json()
    assert body["name"] == version.dataset.name
    assert [(v["id"], v["status"], v["frames"], v["url"]) for v in body["versions"]] == [
        (version.uid, "draft", 6, f"{base}/")
    ]


def test_projects_say_their_size_tags_and_role(
    version: Version, project: Project, browse: Callable[[User | None], Client], admin: User
) -> None:
    Dataset.objects.update(tags=["driving"])
    page = browse(admin).get("/projects.json").json()
    assert page["items"] == [
        {
            "id": project.uid,
            "name": "Streets",
            "description": "",
            "datasets": 1,
            "tags": ["driving"],
            "role": "admin",
            "url": f"/datasets/?project={project.uid}",
        }
    ]


def test_a_dataset_without_versions_leads_where_the_reader_may_go(
    version: Version, browse: Callable[[User | None], Client], editor: User, viewer: User
) -> None:
    address = f"/datasets/{version.dataset.uid}/"
    version.delete()
    assert browse(editor).get(address)["Location"] == f"{address}import/"
    response = browse(viewer).get(address, follow=True)
    assert response.status_code == 200
    assert f"{version.dataset.name} has no version." in response.content.decode()


def test_dataset_as_json_lists_a_bounded_number_of_versions(
    version: Version, browse: Callable[[User | None], Client], viewer: User
) -> None:
    Version.objects.bulk_create(
        Version(dataset=version.dataset, name=str(number), name_key=str(number))
        for number in range(VERSIONS_LISTED_MAX)
    )
    body = browse(viewer).get(f"/datasets/{version.dataset.uid}.json").json()
    assert len(body["versions"]) == VERSIONS_LISTED_MAX
    assert body["version_count"] == VERSIONS_LISTED_MAX + 1
