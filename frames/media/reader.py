"""What opening a URI gives: one kind of seekable reader, whatever the bytes come from."""

from __future__ import annotations

import io
from dataclasses import dataclass

from frames.media.errors import MediaError
from frames.models import PreviewReason


class MediaReader(io.BufferedReader):
    """A seekable binary file; `size` is in bytes, None where it is unknown."""

    size: int | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """One file of a listing: `size` in bytes, `modified` in ISO 8601."""

    uri: str
    size: int
    modified: str


def format_bytes(count: int) -> str:
    """Return a byte count for a person: 12 B, 3.4 MB."""
    value = float(count)
    for unit in ("B", "KB", "MB"):
        if value < 1000:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} GB"


def check_size(size: int, max_bytes: int) -> None:
    """Raise TOO_LARGE where a file of `size` bytes is over the cap."""
    if size > max_bytes:
        raise MediaError(
            PreviewReason.TOO_LARGE,
            f"The file has {format_bytes(size)}; the limit is {format_bytes(max_bytes)}.",
        )
