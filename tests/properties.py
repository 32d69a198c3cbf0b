"""How often a property is tried."""

from __future__ import annotations

import os

from hypothesis import settings

ON_POSTGRESQL = os.environ.get("DATABASE_URL", "").startswith("postgres")


def tries(count: int, steps: int = 50, *, everywhere: bool = False) -> settings:
    """Return the settings of a property that `count` random examples try, of `steps` steps each.

    On PostgreSQL a third of them, but for what is tried `everywhere` alike: the algebra is the one
    that SQLite has tried in full, what may differ is the database, and there an example takes twice
    the time.
    """
    if ON_POSTGRESQL and not everywhere:
        count = max(count // 3, 10)
    return settings(max_examples=count, stateful_step_count=steps)
