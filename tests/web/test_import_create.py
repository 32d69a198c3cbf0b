"""Importing in the browser: the form, and the job it leads to."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from frames.models import Dataset, Job, JobError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from django.contrib.auth.models import User
    from django.test import Client
    from pytest_django.fixtures import DjangoCaptureOnCommitCallbacks, Settings

    from frames.models import Project, Version


def manifest(count: int = 3, bad: int = 0) -> SimpleUploadedFile:
    frames: list[object] = [
        {"id": f"{n}", "sources": [{"uri": f"https://example.com/{n}.jpg"}]} for n in range(count)
    ]
    frames += [{"id": "bad", "sources": []}] * bad
    return SimpleUploadedFile("frames.json", json.dumps({"frames": frames}).encode())


def test_uploaded_manifest_becomes_a_dataset(
    project: Project,
    browse: Callable[[User | None], Client],
    editor: User,
    run_queue: Callable[[], list[str]],
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    client = browse(editor)
    form = {"dataset": "Drives", "file": manifest(3, bad=2)}
    with django_capture_on_commit_callbacks(execute=True):
        response = client.post(f"/projects/{project.uid}/import/", form)
    job = Job.objects.get()
    assert response["Location"] == f"/jobs/{job.uid}/"
    run_queue()
    page = client.get(f"/jobs/{job.uid}.json").json()
    assert (page["state"], page["imported"], page["failed"]) == ("done", 3, 2)
    assert [error["index"] for error in page["errors"]] == [3, 4]
    assert page["errors"][0]["path"] == "sources"
    assert page["uri"] == "uploaded: frames.json"
    body = client.get(f"/jobs/{job.uid}/").content.decode()
    assert "Show the frames" in body
    assert "2 problems" in body
    assert "every 1s" not in body
    dataset = Dataset.objects.get(name="Drives")
    assert client.get(f"/datasets/{dataset.uid}.json").json()["versions"][0]["frames"] == 3


def test_address_that_is_not_allowed_is_refused_and_kept_in_the_form(
    project: Project, browse: Callable[[User | None], Client], editor: User
) -> None:
    form = {"dataset": "Drives", "uri": "file:///etc/"}
    response = browse(editor).post(f"/projects/{project.uid}/import/", form)
    body = response.content.decode()
    assert response.status_code == 400
    assert 'role="alert"' in body
    assert 'value="file:///etc/"' in body
    assert 'value="Drives"' in body
    assert not Job.objects.exists()


def test_nothing_chosen_is_refused(
    project: Project, browse: Callable[[User | None], Client], editor: User
) -> None:
    response = browse(editor).post(f"/projects/{project.uid}/import/", {"dataset": "Drives"})
    assert response.status_code == 400
    assert "Choose a file, or name a folder" in response.content.decode()


@pytest.mark.parametrize("every", ["", "0", "-3", "1.5", "many"])
def test_sampling_needs_a_whole_number(
    every: str, project: Project, browse: Callable[[User | None], Client], editor: User
) -> None:
    form = {"dataset": "D", "file": manifest(), "sampling": "every_frames", "every": every}
    response = browse(editor).post(f"/projects/{project.uid}/import/", form)
    assert response.status_code == 400
    assert "number of frames as a whole number" in response.content.decode()
    assert not Job.objects.exists()


def test_sampling_is_given_to_the_job(
    version: Version, browse: Callable[[User | None], Client], editor: User, tmp_path: Path
) -> None:
    project = version.dataset.project
    project.media_allow = [tmp_path.as_uri() + "/"]
    project.save()
    form = {"uri": tmp_path.as_uri() + "/", "sampling": "every_ms", "every": "500"}
    address = f"/datasets/{version.dataset.uid}/import/"
    assert tmp_path.as_uri() in browse(editor).get(address).content.decode()
    browse(editor).post(address, form)
    job = Job.objects.get()
    assert job.options["every_ms"] == 500
    assert job.dataset == version.dataset
    assert job.created_by == editor


def test_upload_over_the_limit_is_refused(
    project: Project,
    browse: Callable[[User | None], Client],
    editor: User,
    settings: Settings,
) -> None:
    settings.UPLOAD_MAX_BYTES = 10
    form = {"dataset": "Drives", "file": manifest()}
    response = browse(editor).post(f"/projects/{project.uid}/import/", form)
    assert response.status_code == 400
    assert "over the limit" in response.content.decode()


def test_viewer_imports_nothing(
    project: Project, version: Version, browse: Callable[[User | None], Client], viewer: User
) -> None:
    form = {"dataset": "Drives", "file": manifest()}
    for address in (f"/projects/{project.uid}/import/", f"/datasets/{version.dataset.uid}/import/"):
        assert browse(viewer).post(address, form).status_code == 403
    assert not Job.objects.exists()


@pytest.fixture
def job(version: Version) -> Job:
    return Job.objects.create(
        kind=Job.Kind.IMPORT,
        project=version.dataset.project,
        dataset=version.dataset,
        version=version,
        uri="s3://bucket/frames.json",
        state=Job.State.RUNNING,
        total=200,
        options={"read": 50},
        imported=1234,
        failed=1_500,
    )


def test_running_job_refreshes_itself_with_and_without_javascript(
    job: Job, browse: Callable[[User | None], Client], viewer: User
) -> None:
    client = browse(viewer)
    body = client.get(f"/jobs/{job.uid}/").content.decode()
    assert '<noscript><meta http-equiv="refresh" content="3"></noscript>' in body
    assert 'hx-trigger="every 1s"' in body
    assert 'value="50" max="200"' in body
    assert "25 %" in body
    assert "1,234" in body
    part = client.get(f"/jobs/{job.uid}/", headers={"HX-Request": "true"}).content.decode()
    assert "<html" not in part
    assert 'id="job"' in part


def test_problems_are_paged_and_their_number_is_honest(
    job: Job, browse: Callable[[User | None], Client], viewer: User
) -> None:
    JobError.objects.bulk_create(
        [JobError(job=job, index=n, path=f"rois[{n}]", reason="wrong") for n in range(150)]
    )
    client = browse(viewer)
    body = client.get(f"/jobs/{job.uid}/").content.decode()
    assert "1,500 problems, of which the first 1,000 are kept" in body
    assert 'href="?after=100"' in body
    page = client.get(f"/jobs/{job.uid}.json?after=100").json()
    assert [error["index"] for error in page["errors"]] == list(range(100, 150))
    assert page["next"] is None


def test_editor_cancels_and_viewer_does_not(
    job: Job, browse: Callable[[User | None], Client], viewer: User, editor: User, outsider: User
) -> None:
    address = f"/jobs/{job.uid}/cancel/"
    assert browse(outsider).post(address).status_code == 404
    assert browse(viewer).post(address).status_code == 403
    assert "Cancel</button>" not in browse(viewer).get(f"/jobs/{job.uid}/").content.decode()
    job.refresh_from_db()
    assert not job.cancel_requested
    assert browse(editor).get(address).status_code == 405
    assert browse(editor).post(address)["Location"] == f"/jobs/{job.uid}/"
    job.refresh_from_db()
    assert job.cancel_requested
    assert "Cancelling" in browse(editor).get(f"/jobs/{job.uid}/").content.decode()
