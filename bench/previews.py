"""Making previews of pictures, against bare loops of Pillow over the same files."""

from __future__ import annotations

import io
import shutil
import statistics
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from django.core.files.storage import storages
from PIL import Image

from bench.figures import Figure
from frames.actions.previews import render
from frames.models import Preview, Project
from frames.previews.spec import PREVIEW_EDGE_PX, PreviewSpec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PICTURES: Final = 480
# So many differ; the others are copies under names of their own.
DISTINCT: Final = 64
ROUNDS: Final = 12
PER_TASK: Final = 32
SIZE_PX: Final = (1280, 720)


def measure() -> Iterator[Figure]:
    """Yield pictures a second of the whole task: read, render, keep, write the row."""
    with tempfile.TemporaryDirectory() as folder:
        paths = _pictures(Path(folder))
        project, _ = Project.objects.get_or_create(name="Bench pictures")
        project.media_allow = [Path(folder).as_uri() + "/"]
        project.save()
        loops: dict[str, Callable[[], float]] = {
            "draft": lambda: _bare(paths, Path(folder) / "bare", draft=True),
            "full": lambda: _bare(paths, Path(folder) / "bare", draft=False),
            "task": lambda: _task(project, paths),
        }
        taken_s: dict[str, list[float]] = {name: [] for name in loops}
        # In turn, many short ones: what disturbs the machine for a second then falls on few
        # rounds, and the medians leave them out. Of three rounds of 2,000 pictures the best ones
        # moved by a tenth from run to run.
        for _ in range(ROUNDS):
            for name, loop in loops.items():
                taken_s[name].append(loop())
        per_s = {name: len(paths) / statistics.median(times) for name, times in taken_s.items()}
    yield Figure(
        "previews of 1280x720 JPEG, one process",
        per_s["task"],
        "pictures/s",
        higher_is_better=True,
        baseline=per_s["full"],
        baseline_name="Pillow without draft",
    )
    yield Figure(
        "previews, against a bare loop of Pillow with draft",
        per_s["task"] / per_s["draft"],
        "times",
        0.8,
        higher_is_better=True,
    )


def _pictures(folder: Path) -> list[Path]:
    """Write pictures with edges, gradients and some noise, so that JPEG has work to do."""
    rng = np.random.default_rng(1)
    width, height = SIZE_PX
    y, x = np.mgrid[0:height, 0:width]
    paths = []
    for number in range(DISTINCT):
        base = 127 + 90 * np.sin(x / (20 + number % 40)) * np.cos(y / (30 + number % 25))
        noise = rng.normal(0, 6, (height, width))
        pixels = np.stack([base + noise, base * 0.8 + x / 16, base * 0.6 + y / 9], axis=-1)
        path = folder / f"{number:04d}.jpg"
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(path, quality=90)
        paths.append(path)
    for number in range(DISTINCT, PICTURES):
        path = folder / f"{number:04d}.jpg"
        shutil.copyfile(paths[number % DISTINCT], path)
        paths.append(path)
    return paths


def _bare(paths: list[Path], target: Path, *, draft: bool) -> float:
    """Read, scale and write each picture with Pillow and nothing else; return the seconds."""
    target.mkdir(exist_ok=True)
    start = time.perf_counter()
    for path in paths:
        with Image.open(path) as image:
            if draft:
                image.draft(None, (PREVIEW_EDGE_PX, PREVIEW_EDGE_PX * 9 // 16))
            small = image.convert("RGB")
            small.thumbnail((PREVIEW_EDGE_PX, PREVIEW_EDGE_PX))
            out = io.BytesIO()
            small.save(out, "JPEG", quality=80)
            (target / path.name).write_bytes(out.getvalue())
    taken_s = time.perf_counter() - start
    shutil.rmtree(target)
    return taken_s


def _task(project: Project, paths: list[Path]) -> float:
    """Render rows that wait, a task's worth at a time, as a worker does; return the seconds."""
    specs = [PreviewSpec(path.as_uri(), "image/jpeg", 0.0, PREVIEW_EDGE_PX) for path in paths]
    previews = Preview.objects.bulk_create(
        Preview(
            key=spec.key(project.pk),
            project=project,
            uri=spec.uri,
            content_type=spec.content_type,
            timestamp_ms=0.0,
            edge_px=spec.edge_px,
        )
        for spec in specs
    )
    keys = [preview.key for preview in previews]
    start = time.perf_counter()
    for first in range(0, len(keys), PER_TASK):
        render(keys[first : first + PER_TASK])
    taken_s = time.perf_counter() - start
    made = Preview.objects.filter(project=project)
    if made.filter(state=Preview.State.READY).count() != len(paths):
        raise SystemExit("not every picture has a preview")
    storage = storages["previews"]
    for preview in made:
        storage.delete(preview.name)
    made.delete()
    return taken_s
