"""Describing and deleting a dataset through its forms."""

from __future__ import annotations

from html import unescape
from typing import TYPE_CHECKING

import pytest
from django.utils import timezone

from frames.actions import versions
from frames.models import Dataset, Job, Version

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.contrib.auth.models import User
    from django.test import Client

    from frames.models import Project

    Browse = Callable[[User | None], Client]


@pytest.fixture
def forms(version: Version) -> str:
    """The address below which the dataset's forms are."""
    return f"/datasets/{version.dataset.uid}"


def test_d8_a_dataset_is_renamed_described_and_tagged(
    version: Version, forms: str, browse: Browse, editor: User
) -> None:
    sent = {"name": "Night", "description": "After dark", "tags": "gold, night, gold"}
    response = browse(editor).post(f"{forms}/edit/", sent)
    assert response["Location"] == f"{forms}/"
    dataset = Dataset.objects.get()
    assert (dataset.name, dataset.description, dataset.tags) == (
        "Night",
        "After dark",
        ["gold", "night"],
    )
    assert dataset.updated_by == editor


def test_d8_a_name_that_is_taken_is_refused(
    version: Version, forms: str, browse: Browse, editor: User, project: Project
) -> None:
    Dataset.objects.create(project=project, name="Taken")
    response = browse(editor).post(f"{forms}/edit/", {"name": "TAKEN", "description": "kept"})
    body = response.content.decode()
    assert response.status_code == 400
    assert "has a dataset named Taken already, which looks the same as TAKEN" in body
    assert "kept</textarea>" in body


def test_d8_metadata_of_a_dataset_is_edited(
    version: Version, forms: str, browse: Browse, editor: User
) -> None:
    browse(editor).post(f"{forms}/metadata/", {"metadata": '{"licence": "CC0"}'})
    assert Dataset.objects.get().metadata == {"licence": "CC0"}
    response = browse(editor).post(f"{forms}/metadata/", {"metadata": '{"licence": }'})
    assert response.status_code == 400
    assert "Line 1, column 13" in response.content.decode()
    assert Dataset.objects.get().metadata == {"licence": "CC0"}


def test_m8_an_empty_version_is_made_without_parents(
    version: Version, forms: str, browse: Browse, editor: User
) -> None:
    response = browse(editor).post(f"{forms}/versions/new/", {"name": "Root", "description": "x"})
    made = Version.objects.get(name="Root")
    assert response["Location"] == f"{forms}/versions/{made.uid}/"
    assert (made.is_draft, made.frame_count, made.parents.count()) == (True, 0, 0)


def test_m9_the_form_asks_for_what_is_in_the_dataset(
    version: Version, forms: str, browse: Browse, admin: User
) -> None:
    body = browse(admin).get(f"{forms}/delete/").content.decode()
    assert "Delete what is in it: 1 version with their frames" in body
    assert 'name="force"' not in body
    versions.publish(version, actor=None, reason="unchecked")
    body = browse(admin).get(f"{forms}/delete/").content.decode()
    assert "Delete what is published too: 1 version" in body


def test_m9_a_dataset_is_deleted_by_its_typed_name(
    version: Version, base: str, forms: str, browse: Browse, admin: User, viewer: User
) -> None:
    name = version.dataset.name
    sent = {"name": name, "delete_all_versions": "on"}
    response = browse(admin).post(f"{forms}/delete/", sent)
    job = Job.objects.get(kind=Job.Kind.DELETE)
    assert response["Location"] == f"/jobs/{job.uid}/"
    page = browse(admin).get(response["Location"]).content.decode()
    assert f"Deletion of {name}" in page
    assert "Cancel</button>" not in page
    for address in (f"{base}/", f"{base}/info/", f"{forms}/", f"{forms}.json", f"{forms}/delete/"):
        assert browse(viewer).get(address).status_code == 410
    assert name not in browse(viewer).get("/datasets/").content.decode()


def test_a_job_outlives_its_dataset_and_leads_nowhere(
    version: Version, forms: str, browse: Browse, admin: User
) -> None:
    job = Job.objects.create(
        kind=Job.Kind.IMPORT,
        project=version.dataset.project,
        dataset=version.dataset,
        version=version,
        uri="file:///a.json",
        state=Job.State.DONE,
        finished_at=timezone.now(),
    )
    assert f"{forms}/" in browse(admin).get(f"/jobs/{job.uid}/").content.decode()
    sent = {"name": version.dataset.name, "delete_all_versions": "on"}
    browse(admin).post(f"{forms}/delete/", sent)
    response = browse(admin).get(f"/jobs/{job.uid}/")
    assert response.status_code == 200
    assert f"{forms}/" not in response.content.decode()


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        ({"name": "", "delete_all_versions": "on"}, "Type the dataset's name"),
        ({"name": "Something else", "delete_all_versions": "on"}, "Type the dataset's name"),
        ({}, "has frames. Say that all its versions are deleted."),
    ],
)
def test_m9_what_is_refused_deletes_nothing(
    version: Version, forms: str, browse: Browse, admin: User, sent: dict[str, str], said: str
) -> None:
    response = browse(admin).post(f"{forms}/delete/", {"name": version.dataset.name, **sent})
    assert response.status_code == 400
    assert said in unescape(response.content.decode())
    assert Dataset.objects.live().exists()


@pytest.mark.parametrize(
    ("page", "persona"),
    [
        ("edit", "viewer"),
        ("metadata", "viewer"),
        ("versions/new", "viewer"),
        ("delete", "viewer"),
        ("delete", "editor"),
    ],
)
def test_who_may_not_does_not(
    version: Version,
    forms: str,
    browse: Browse,
    page: str,
    persona: str,
    request: pytest.FixtureRequest,
) -> None:
    name = version.dataset.name
    user = request.getfixturevalue(persona)
    sent = {"name": name, "metadata": '{"a": 1}', "delete_all_versions": "on"}
    assert browse(user).post(f"{forms}/{page}/", sent).status_code == 403
    dataset = Dataset.objects.live().get()
    assert (dataset.name, dataset.metadata, dataset.versions.count()) == (name, {}, 1)
