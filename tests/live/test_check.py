"""A check before publishing outlives the worker that ran it."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from django.utils import timezone

from frames.actions import checks, jobs
from frames.models import Job
from tests.factories import make_frame, make_version
from tests.services import wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from frames.models import Project
    from tests.services import Worker

FRAMES = 6_000

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_fetching_check_goes_on_where_a_killed_worker_left_it(
    worker: Worker, project: Project, tmp_path: Path
) -> None:
    project.media_allow = [tmp_path.as_uri() + "/"]
    project.save(update_fields=["media_allow"])
    frames = [
        make_frame(f"f{n}", timestamp=n, uri=(tmp_path / f"{n}.png").as_uri())
        for n in range(FRAMES)
    ]
    version = make_version(project, frames)
    job = checks.start_check(version, actor=None, fetch=True)

    def moved() -> bool:
        job.refresh_from_db()
        return job.position > 2 * FRAMES

    wait_until(moved, "the first sources", 60)
    worker.kill()
    job.refresh_from_db()
    assert job.state == Job.State.RUNNING
    reached = job.position
    assert 2 * FRAMES < reached < 3 * FRAMES
    assert checks.last_check(version) is None

    # As if the time after which a silent worker counts as gone had passed.
    silent_since = timezone.now() - jobs.STALE_AFTER - timedelta(seconds=1)
    Job.objects.filter(pk=job.pk).update(heartbeat_at=silent_since)
    worker.start()
    jobs.sweep()

    def done() -> bool:
        job.refresh_from_db()
        assert job.position >= reached
        return job.state == Job.State.DONE

    wait_until(done, "the check's end", 60)
    last = checks.last_check(version)
    assert last is not None
    assert last.is_current
    assert {finding.kind: finding.count for finding in last.open} == {"unreachable": FRAMES}
