"""Processes that end when the one that started them ends, however it ends."""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def die_with_parent(parent_pid: int, with_signal: int = signal.SIGKILL) -> None:
    """Have the kernel send this process a signal when its parent is gone, or send it now.

    Linux only; elsewhere nothing happens, and what a killed parent leaves must be ended by hand.

    Args:
        parent_pid: who started this process, as itself said; for it may be gone already.
        with_signal: what is sent.
    """
    if not sys.platform.startswith("linux"):
        return
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(with_signal))
    if os.getppid() != parent_pid:
        os.kill(os.getpid(), with_signal)
