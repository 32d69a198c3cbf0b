"""A bounded memory of deserialised bitmaps."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, TypeVar

from django.conf import settings

if TYPE_CHECKING:
    from collections.abc import Hashable

T = TypeVar("T")


class ByteBoundedCache:
    """Least recently used values, bounded by the sum of their sizes in bytes; thread-safe.

    There is no invalidation: a key carries the generation of what it was read from, so a stale
    value is never asked for again and ages out.
    """

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self.size_bytes = 0
        self._entries: OrderedDict[Hashable, tuple[Any, int]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Hashable) -> Any | None:
        """Return the value and mark it as used, or None."""
        with self._lock:
            entry = self._entries.get(key)
            if entry is None:
                return None
            self._entries.move_to_end(key)
            return entry[0]

    def put(self, key: Hashable, value: Any, size_bytes: int) -> None:
        """Keep a value; one that alone is over a quarter of the bound is not kept."""
        # 200 bytes: the objects around an empty bitmap, measured.
        size_bytes += 200
        if size_bytes > self.max_bytes // 4:
            return
        with self._lock:
            old = self._entries.pop(key, None)
            if old is not None:
                self.size_bytes -= old[1]
            self._entries[key] = (value, size_bytes)
            self.size_bytes += size_bytes
            while self.size_bytes > self.max_bytes:
                _, (_, freed) = self._entries.popitem(last=False)
                self.size_bytes -= freed

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._entries.clear()
            self.size_bytes = 0


cache = ByteBoundedCache(settings.INDEX_CACHE_BYTES)
