"""The queue of the embedded setup: kombu's filesystem transport with whole messages only.

docs/decisions/0002-rows-are-the-truth.md has the measurements behind it.
"""

from __future__ import annotations

import os
import time
import uuid
from collections import defaultdict, deque
from pathlib import Path
from queue import Empty
from typing import Any

from kombu.transport import filesystem, virtual
from kombu.utils.json import dumps, loads


class Channel(filesystem.Channel):
    """A channel whose messages appear, and are taken, by one rename each.

    kombu writes a message under its final name, so a worker can take one that is half written,
    and then stops for good (234 of 6000 messages with two writers and two readers). It also
    moves a taken message to the system's temporary folder, which is a copy, not a rename, where
    that is another file system; and it lists the whole folder for every message.
    """

    supports_fanout = False

    def __init__(self, connection: Any, **kwargs: Any) -> None:
        super().__init__(connection, **kwargs)
        # Names as last listed, oldest first; some may have been taken by others since.
        self._listed: defaultdict[str, deque[str]] = defaultdict(deque)

    # Every process declares the queues it uses, so the routes need no file that all must share.

    def get_table(self, exchange: str) -> Any:
        """Return the routes of an exchange, as this process has declared them."""
        return virtual.Channel.get_table(self, exchange)

    def _delete(self, queue: str, *args: Any, **kwargs: Any) -> None:
        self._purge(queue)

    @property
    def _folder(self) -> Path:
        return Path(self.data_folder_in)

    def _put(  # type: ignore[override]  # kombu's own classes differ on the name
        self, queue: str, payload: dict[str, Any], **kwargs: Any
    ) -> None:
        """Write the message under a name no reader looks for, then give it its own."""
        name = f"{time.time_ns():020}_{uuid.uuid4().hex}.{queue}.msg"
        draft = self._folder / f"{name}.draft"
        draft.write_text(dumps(payload))
        draft.rename(self._folder / name)

    def _get(self, queue: str, timeout: float | None = None) -> dict[str, Any]:
        """Take the oldest message, or raise Empty."""
        listed = self._listed[queue]
        if not listed:
            names = os.listdir(self._folder)
            listed.extend(sorted(n for n in names if n.partition(".")[2] == f"{queue}.msg"))
        while listed:
            name = listed.popleft()
            taken = self._folder / f"{name}.taken"
            try:
                (self._folder / name).rename(taken)
            except FileNotFoundError:
                continue  # another worker was first
            payload: dict[str, Any] = loads(taken.read_bytes())
            taken.unlink()
            return payload
        raise Empty


class Transport(filesystem.Transport):
    """kombu's filesystem transport with the channel above."""

    Channel = Channel
    global_state = virtual.BrokerState()
