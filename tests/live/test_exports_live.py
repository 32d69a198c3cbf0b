"""Exports by a real worker that is killed, and exports kept in a bucket."""

from __future__ import annotations

import json
import urllib.request
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from django.conf import settings as project_settings
from django.core.files.storage import storages
from django.test import Client
from django.utils import timezone

from frames.actions import exports, jobs
from frames.actions.export_content import of_version
from frames.models import Job
from frames.search.query import FrameQuery
from tests.factories import make_frame, make_version
from tests.services import wait_until

if TYPE_CHECKING:
    from django.contrib.auth.models import User
    from pytest_django.fixtures import Settings

    from frames.models import Project, Version
    from tests.services import Worker

FRAMES = 8_000

pytestmark = pytest.mark.django_db(transaction=True)


def start(version: Version, name: str) -> Job:
    return exports.start_export(
        content=of_version(version, FrameQuery()), format_name=name, actor=None
    )


def state(job: Job) -> str:
    job.refresh_from_db()
    return job.state


def test_an_export_of_a_killed_worker_is_written_anew(worker: Worker, project: Project) -> None:
    """Nothing half-written is ever under the file's name, and nothing of it is left."""
    frames = [make_frame(f"{n:05}", timestamp=n, labels=["car"]) for n in range(FRAMES)]
    job = start(make_version(project, frames), "voc")
    folder = project_settings.EXPORTS_DIR / job.uid
    # The file itself: the job's row says how far it is once a second, when all may be written.
    wait_until(lambda: any(path.stat().st_size for path in folder.glob("*.part")), "a chunk", 60)
    worker.kill()
    assert state(job) == Job.State.RUNNING
    assert [path.suffix for path in folder.iterdir()] == [".part"]

    # As if the time after which a silent worker counts as gone had passed.
    silent_since = timezone.now() - jobs.STALE_AFTER - timedelta(seconds=1)
    Job.objects.filter(pk=job.pk).update(heartbeat_at=silent_since)
    worker.start()
    jobs.sweep()
    wait_until(lambda: state(job) == Job.State.DONE, "the export's end", 120)
    (path,) = folder.iterdir()
    assert f"{job.uid}/{path.name}" == job.result["file"]
    assert (path.stat().st_size, job.position) == (job.result["bytes"], FRAMES)


def test_an_export_in_a_bucket(
    s3: Any, s3_url: str, settings: Settings, project: Project, viewer: User
) -> None:
    """Only the whole file is put there; it is downloaded by a signed URL and removed in time."""
    s3.create_bucket(Bucket="exports")
    settings.STORAGES = {
        **settings.STORAGES,
        "exports": {
            "BACKEND": "storages.backends.s3.S3Storage",
            "OPTIONS": {"bucket_name": "exports", "endpoint_url": s3_url, "file_overwrite": True},
        },
    }

    def kept() -> list[str]:
        return [item["Key"] for item in s3.list_objects_v2(Bucket="exports").get("Contents", ())]

    version = make_version(project, [make_frame("a", labels=["car"])])
    job = start(version, "jsonl")
    exports.run(job.uid)
    assert state(job) == Job.State.DONE
    assert kept() == [job.result["file"]]
    assert not (project_settings.EXPORTS_DIR / job.uid).exists()

    client = Client()
    client.force_login(viewer)
    response = client.get(f"/jobs/{job.uid}/download/")
    assert response.status_code == 302
    with urllib.request.urlopen(response["Location"]) as answer:
        assert json.loads(answer.read())["id"] == "a"
        assert answer.headers["Content-Disposition"].startswith("attachment; filename=")

    over = timezone.now() - timedelta(days=project_settings.EXPORT_KEEP_DAYS, seconds=1)
    Job.objects.filter(pk=job.pk).update(finished_at=over)
    exports.sweep()
    assert kept() == []
    assert not exports.is_kept(Job.objects.get(pk=job.pk))
    assert storages["exports"].exists("anything") is False
