"""The page that exports a data view, and who may have its file."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from frames.actions import exports
from frames.actions.views import save_view
from frames.models import Dataset, Grant, Job
from frames.search.view_definition import Definition, Iteration, Scope
from tests.factories import make_frame, make_version

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.contrib.auth.models import User
    from django.test import Client

    from frames.models import DataView, Project, Version

pytestmark = pytest.mark.django_db


@pytest.fixture
def other() -> Version:
    """Of a project that the viewer is in and the editor is not."""
    return make_version(frames=[make_frame("elsewhere", context_id="z")])


def make_view(project: Project, *versions: Version, infinite: bool = False) -> DataView:
    scopes = tuple(Scope(version.dataset.uid, version.uid) for version in versions)
    asked = Definition(scopes, iteration=Iteration(infinite=infinite))
    return save_view(project=project, name="Both", definition=asked, actor=None)


def test_a_view_is_exported_and_its_file_is_for_who_may_see_all_of_it(
    browse: Callable[[User | None], Client],
    viewer: User,
    editor: User,
    project: Project,
    version: Version,
    other: Version,
) -> None:
    """The job belongs to the view's project, its frames to every project that they are from."""
    Grant.objects.create(user=viewer, project=other.dataset.project, role=Grant.Role.VIEWER)
    view = make_view(project, version, other)
    client = browse(viewer)
    address = f"/views/{view.uid}/export/"
    text = client.get(address).content.decode()
    assert "7 frames, in the view's order" in text.replace("&#x27;", "'")
    assert "not visible to you" not in text
    response = client.post(address, {"format": "jsonl"})
    job = Job.objects.get()
    assert (response.status_code, response["Location"]) == (302, f"/jobs/{job.uid}/")
    exports.run(job.uid)
    page = client.get(f"/jobs/{job.uid}/").content.decode()
    assert "Export of Both" in page
    assert f'href="/views/{view.uid}/"' in page
    file = b"".join(client.get(f"/jobs/{job.uid}/download/"))
    assert [json.loads(line)["id"] for line in file.splitlines()][-1] == "elsewhere"
    assert f"/jobs/{job.uid}/" in client.get(address).content.decode()

    client = browse(editor)
    for path in ("", "download/"):
        assert client.get(f"/jobs/{job.uid}/{path}").status_code == 404
    assert client.post(f"/jobs/{job.uid}/cancel/").status_code == 404
    text = client.get(address).content.decode()
    assert "Part of this view is not there, or not visible to you. The rest is exported." in text
    assert "6 frames" in text
    assert job.uid not in text


def test_a_deleted_dataset_takes_the_files_of_its_views_along(
    browse: Callable[[User | None], Client], viewer: User, project: Project, version: Version
) -> None:
    view = make_view(project, version)
    client = browse(viewer)
    client.post(f"/views/{view.uid}/export/", {"format": "jsonl"})
    job = Job.objects.get()
    assert client.get(f"/jobs/{job.uid}/").status_code == 200
    Dataset.objects.filter(pk=version.dataset_id).update(deleted_at=job.created_at)
    assert client.get(f"/jobs/{job.uid}/").status_code == 404


def test_a_view_without_end_says_what_to_do(
    browse: Callable[[User | None], Client], viewer: User, project: Project, version: Version
) -> None:
    view = make_view(project, version, infinite=True)
    client = browse(viewer)
    response = client.get(f"/views/{view.uid}/export/")
    assert response.status_code == 400
    assert "Set its repetition to once, or to a limit." in response.content.decode()
    assert client.get(f"/views/{view.uid}/export.json").json()["error"]
    assert client.post(f"/views/{view.uid}/export/", {"format": "jsonl"}).status_code == 400
    assert not Job.objects.exists()


def test_an_unknown_format_is_refused_and_the_list_still_told(
    browse: Callable[[User | None], Client], viewer: User, project: Project, version: Version
) -> None:
    view = make_view(project, version)
    response = browse(viewer).post(f"/views/{view.uid}/export/", {"format": "pdf"})
    assert response.status_code == 400
    assert "There is no format" in response.content.decode()
    assert "Export 6 frames" in response.content.decode()
