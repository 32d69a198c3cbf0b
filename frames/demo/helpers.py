"""The processes that draw the demo. No Django in here: they start faster without it."""

from __future__ import annotations

import gc
import os
import signal
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

from PIL.Image import core  # type: ignore[attr-defined]  # its only door to the allocator

from project.processes import die_with_parent


def helpers() -> ProcessPoolExecutor:
    """Return a pool with a process for each core; they end when this process does."""
    return ProcessPoolExecutor(
        max_workers=os.cpu_count(),
        mp_context=get_context("spawn"),
        initializer=_begin,
        initargs=(os.getpid(),),
    )


def _begin(parent_pid: int) -> None:
    """Give way to the site's own processes, and leave Ctrl-C to the one that asked for help."""
    die_with_parent(parent_pid)
    os.nice(10)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # There are no cycles to collect, only very many tuples.
    gc.disable()
    # Pictures come and go by the dozen: keep their memory instead of asking the kernel again.
    core.set_blocks_max(32)
