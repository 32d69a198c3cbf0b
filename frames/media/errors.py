"""Why bytes could not be had."""

from __future__ import annotations

from frames.models import PreviewReason


class MediaError(Exception):
    """A URI could not be read or rendered.

    `detail` is one line for the person who looks at the tile: no secret, no internal address.
    `retryable` says whether the same attempt may succeed later with nothing changed here.
    """

    def __init__(self, reason: PreviewReason, detail: str, *, retryable: bool = False) -> None:
        super().__init__(f"{reason.value}: {detail}")
        self.reason = reason
        self.detail = detail
        self.retryable = retryable
