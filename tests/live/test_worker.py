"""The worker does what is queued, over a folder and over Redis, and outlives its own death."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from django.utils import timezone

from frames.actions import imports, jobs
from frames.models import Job, Version
from tests.services import wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from frames.models import Project
    from tests.services import Worker

FRAMES = 20_000

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    """A manifest of many frames that all show one picture, which is not there."""
    source = {"id": "front", "uri": "picture.png", "width": 64, "height": 48}
    path = tmp_path / "frames.jsonl"
    with path.open("w") as file:
        for number in range(FRAMES):
            frame = {"id": f"f{number}", "timestamp": number, "sources": [source]}
            file.write(json.dumps(frame) + "\n")
    return path


def start(project: Project, manifest: Path) -> Job:
    """Queue the manifest's import."""
    project.media_allow = [manifest.parent.as_uri() + "/"]
    project.save(update_fields=["media_allow"])
    return imports.start_import(
        project=project, dataset_name="Drive", user=None, uri=manifest.as_uri()
    )


def state(job: Job) -> str:
    job.refresh_from_db()
    return job.state


def frame_count(job: Job) -> int:
    """Return how many frames the import's version holds."""
    return Version.objects.get(jobs=job).frame_count


def test_worker_runs_a_queued_import(worker: Worker, project: Project, manifest: Path) -> None:
    job = start(project, manifest)
    wait_until(lambda: state(job) == Job.State.DONE, "the import's end", 60)
    assert (job.imported, job.failed) == (FRAMES, 0)
    assert frame_count(job) == FRAMES


def test_import_goes_on_where_a_killed_worker_left_it(
    worker: Worker, project: Project, manifest: Path
) -> None:
    worker.environment["IMPORT_BATCH_FRAMES"] = "500"
    worker.stop()
    worker.start()
    job = start(project, manifest)
    wait_until(lambda: state(job) and job.position > 0, "the first batch")
    worker.kill()
    assert state(job) == Job.State.RUNNING
    assert 0 < job.position < FRAMES
    assert frame_count(job) == 0

    # As if the time after which a silent worker counts as gone had passed.
    silent_since = timezone.now() - jobs.STALE_AFTER - timedelta(seconds=1)
    Job.objects.filter(pk=job.pk).update(heartbeat_at=silent_since)
    worker.start()
    jobs.sweep()
    wait_until(lambda: state(job) == Job.State.DONE, "the import's end", 60)
    assert (job.imported, job.failed) == (FRAMES, 0)
    assert frame_count(job) == FRAMES
