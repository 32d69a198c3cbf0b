"""What several nouns share."""

from __future__ import annotations

import uuid
from typing import Final

# Order by bytes, on every database and machine the same. SQLite knows BINARY; on PostgreSQL the
# first migration creates it, since a cluster's own order (en_US, say) would page differently.
BYTES: Final = "BINARY"


def new_uid() -> str:
    """Return a new public id: 32 hexadecimal digits, as ClearML's and COCO's tools expect them."""
    return uuid.uuid4().hex
