"""Makes the demo: pictures and videos under var/demo, and their datasets by the normal import."""

from __future__ import annotations

import fcntl
import json
import os
from concurrent.futures import as_completed
from typing import TYPE_CHECKING, Any, Final

from django.conf import settings

from frames.actions import imports
from frames.demo import drives, stills
from frames.demo.helpers import helpers
from frames.demo.people import PROJECT_NAME, ensure_people
from frames.models import Dataset, Job, Project

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

# Part of every URI of the demo: raise it when the drawing changes.
EDITION: Final = "1"


def demo_dir() -> Path:
    """Return the folder that holds the demo's files."""
    folder: Path = settings.VAR_DIR / "demo" / EDITION
    return folder


def make_demo(say: Callable[[str], None]) -> list[Job]:
    """Make what is missing of the demo and return the imports' jobs; safe to run again.

    Raises:
        RuntimeError: an import failed.
    """
    folder = demo_dir()
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        # A second one waits for the first and then finds nothing to do.
        fcntl.flock(lock, fcntl.LOCK_EX)
        for left_behind in folder.rglob("*.unfinished*"):
            left_behind.unlink()
        _draw(folder, say)
        return _import_all(folder, say)


def _draw(folder: Path, say: Callable[[str], None]) -> None:
    """Draw what is missing, on all cores."""
    with helpers() as pool:
        waiting = [pool.submit(work, *arguments) for work, arguments in _work(folder)]
        for number, future in enumerate(as_completed(waiting), 1):
            future.result()
            say(f"Drawing the demo: {number} of {len(waiting)}")


def _import_all(folder: Path, say: Callable[[str], None]) -> list[Job]:
    ensure_people()
    project = Project.objects.get(name=PROJECT_NAME)
    jobs = []
    for part, manifest in (
        ("drive", drives.manifest(folder / "drive")),
        ("stills", stills.manifest(folder / "stills")),
    ):
        path = folder / part / "frames.json"
        unfinished = path.with_suffix(".unfinished")
        unfinished.write_text(json.dumps(manifest))
        os.replace(unfinished, path)
        jobs.append(_import(path, manifest["dataset"]["name"], project, say))
    return jobs


def _work(folder: Path) -> Iterator[tuple[Callable[..., None], tuple[Any, ...]]]:
    """Yield the pieces of work, the long ones first."""
    for drive in reversed(drives.DRIVES):
        for camera in drives.CAMERAS:
            yield drives.make_film, (drive, camera, folder / "drive" / drive.name)
    for batch in range(stills.STILLS // stills.STILLS_A_BATCH):
        yield stills.make_batch, (folder / "stills", batch)


def _import(path: Path, name: str, project: Project, say: Callable[[str], None]) -> Job:
    """Import a manifest, unless that is done; what a killed run has begun is begun anew."""
    jobs = Job.objects.filter(project=project, uri=path.as_uri())
    done = jobs.filter(state=Job.State.DONE).first()
    if done is not None:
        return done
    for job in jobs.unfinished():
        imports.cancel(job)
    job = imports.import_path(str(path), dataset_name=name, project=project)
    if job.state != Job.State.DONE:
        raise RuntimeError(f"{name}: {job.message}")
    Dataset.objects.filter(pk=job.dataset_id).update(is_example=True)
    say(f"{name}: {job.imported} frames")
    return job
