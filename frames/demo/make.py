"""Makes the demo: pictures and videos under var/demo, and their datasets by the normal import."""

from __future__ import annotations

import fcntl
import json
import os
from concurrent.futures import as_completed
from typing import TYPE_CHECKING, Final

from django.conf import settings

from frames.actions import imports, jobs
from frames.demo import drives, stills
from frames.demo.helpers import helpers
from frames.demo.people import PROJECT_NAME, ensure_people
from frames.models import Dataset, Job, Project

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

# Part of every URI of the demo: raise it when the drawing changes.
EDITION: Final = "1"


def demo_dir() -> Path:
    """Return the folder that holds the demo's files."""
    folder: Path = settings.VAR_DIR / "demo" / EDITION
    return folder


def make_demo(
    say: Callable[[str], None], *, frames: int = drives.FRAMES, batches: int = stills.BATCHES
) -> list[Job]:
    """Make what is missing of the demo and return the imports' jobs; safe to run again.

    Args:
        say: told about the progress in a line at a time.
        frames: frames of each film.
        batches: batches of stills.

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
        _draw(folder, say, frames, batches)
        return _import_all(folder, say, frames)


def _draw(folder: Path, say: Callable[[str], None], frames: int, batches: int) -> None:
    """Draw what is missing, on all cores."""
    with helpers() as pool:
        # The long pieces of work first.
        waiting = [
            pool.submit(drives.make_film, drive, camera, folder / "drive" / drive.name, frames)
            for drive in drives.DRIVES
            for camera in drives.CAMERAS
        ]
        waiting += [
            pool.submit(stills.make_batch, folder / "stills", batch) for batch in range(batches)
        ]
        for number, future in enumerate(as_completed(waiting), 1):
            future.result()
            say(f"Drawing the demo: {number} of {len(waiting)}")


def _import_all(folder: Path, say: Callable[[str], None], frames: int) -> list[Job]:
    ensure_people()
    project = Project.objects.get(name=PROJECT_NAME)
    done = []
    for part, manifest in (
        ("drive", drives.manifest(folder / "drive", frames)),
        ("stills", stills.manifest(folder / "stills")),
    ):
        path = folder / part / "frames.json"
        unfinished = path.with_suffix(".unfinished")
        unfinished.write_text(json.dumps(manifest))
        os.replace(unfinished, path)
        done.append(_import(path, manifest["dataset"]["name"], project, say))
    return done


def _import(path: Path, name: str, project: Project, say: Callable[[str], None]) -> Job:
    """Import a manifest, unless that is done; what a killed run has begun is begun anew."""
    earlier = Job.objects.filter(project=project, uri=path.as_uri())
    job = earlier.filter(state=Job.State.DONE).first()
    if job is None:
        for unfinished in earlier.unfinished():
            jobs.cancel(unfinished)
        job = imports.import_path(str(path), dataset_name=name, project=project)
    if job.state != Job.State.DONE:
        raise RuntimeError(f"{name}: {job.message}")
    Dataset.objects.filter(jobs=job).update(is_example=True)
    say(f"{name}: {job.imported} frames")
    return job
