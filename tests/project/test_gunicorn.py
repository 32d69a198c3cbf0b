"""How the web server's processes begin."""

from __future__ import annotations

import gc

from project import gunicorn


def test_what_is_loaded_is_never_collected() -> None:
    """A full collection in the middle of a request walks only what came since the start."""
    try:
        gunicorn.post_worker_init(worker=None)
        assert gc.get_freeze_count() > 10_000
        assert len(gc.get_objects()) < 1_000
    finally:
        gc.unfreeze()
