"""Importing a manifest, through the command that people use."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from django.conf import settings

from bench.data import write_manifest
from bench.figures import Figure

if TYPE_CHECKING:
    from collections.abc import Iterator

FRAMES: Final = 200_000
DATASET: Final = "Bench"

# Reads a manifest by one json.loads: what an import costs at the very least in Python.
_LOADS: Final = "import json,sys; json.load(open(sys.argv[1]))"


def build(count: int) -> None:
    """Import `count` frames into this state folder."""
    with tempfile.TemporaryDirectory(dir=settings.VAR_DIR) as folder:
        manifest = Path(folder) / "manifest.json"
        write_manifest(manifest, count)
        _import(manifest, settings.VAR_DIR)


def measure(count: int) -> Iterator[Figure]:
    """Yield frames a second, and the memory of a large import against a small one."""
    count = min(count, FRAMES)
    with tempfile.TemporaryDirectory() as folder:
        manifest, small = Path(folder) / "manifest.json", Path(folder) / "small.json"
        write_manifest(manifest, count)
        write_manifest(small, count // 4)
        _import(small, Path(folder) / "small")
        small_mb = _peak_mb()
        spent = _import(manifest, Path(folder) / "large")
        large_mb = _peak_mb()
        start = time.perf_counter()
        subprocess.run([sys.executable, "-c", _LOADS, str(manifest)], check=True)
        loads = time.perf_counter() - start
    yield Figure(
        f"import of {count:,} frames",
        count / spent,
        "frames/s",
        10_000,
        higher_is_better=True,
        baseline=count / loads,
        baseline_name="json.load alone",
    )
    yield Figure("import's memory, four times the frames", large_mb / small_mb, "times", 1.25)


def _import(manifest: Path, state: Path) -> float:
    """Import a manifest into a state folder; return the seconds, start of Python included."""
    environment = os.environ | {"FRAMEDECK_VAR": str(state)}
    manage = [sys.executable, "manage.py"]
    run = {"cwd": settings.BASE_DIR, "env": environment, "check": True}
    subprocess.run([*manage, "migrate", "--verbosity=0"], **run)  # type: ignore[call-overload]
    start = time.perf_counter()
    subprocess.run(  # type: ignore[call-overload]
        [*manage, "import_frames", str(manifest), "--dataset", DATASET],
        stdout=subprocess.DEVNULL,
        **run,
    )
    return time.perf_counter() - start


def _peak_mb() -> float:
    """Return the largest resident size that any child process so far has had, in MB."""
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
