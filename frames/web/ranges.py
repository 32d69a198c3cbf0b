"""Bytes streamed to a browser, all of them or the range asked for."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, Protocol

from django.http import HttpResponse, StreamingHttpResponse

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import ExitStack

    from frames.web.http import SignedInRequest

BLOCK_BYTES: Final = 256 * 1024
_RANGE: Final = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")


class RangeError(Exception):
    """No byte of the requested range exists."""


class Readable(Protocol):
    """A file of bytes that can be read from any place."""

    def read(self, size: int, /) -> bytes:
        """Return up to so many bytes."""
        ...

    def seek(self, place: int, /) -> int:
        """Go to a place."""
        ...


def ranged_response(
    request: SignedInRequest, stack: ExitStack, file: Readable, size: int, content_type: str
) -> HttpResponse | StreamingHttpResponse:
    """Answer with the bytes of a file that lies in the stack; nothing of them can run.

    The response takes the stack over, and closes it when the reader has all or goes away.
    """
    try:
        part = requested_range(request.headers.get("Range", ""), size)
    except RangeError:
        return HttpResponse(status=416, headers={"Content-Range": f"bytes */{size}"})
    start, end = part or (0, size)
    body = _blocks(stack.pop_all(), file, start, end) if request.method == "GET" else ()
    response = StreamingHttpResponse(body, content_type=content_type, status=206 if part else 200)
    response["Content-Length"] = end - start
    response["Accept-Ranges"] = "bytes"
    if part:
        response["Content-Range"] = f"bytes {start}-{end - 1}/{size}"
    response["Content-Security-Policy"] = "default-src 'none'; sandbox"
    response["X-Content-Type-Options"] = "nosniff"
    return response


def requested_range(header: str, size: int) -> tuple[int, int] | None:
    """Return the first byte asked for and the end; None where everything is.

    A header of another form, several ranges among them, asks for everything.

    Raises:
        RangeError: nothing of what is asked for exists.

    >>> requested_range("bytes=0-99", 1000), requested_range("bytes=-100", 1000)
    ((0, 100), (900, 1000))
    """
    match = _RANGE.fullmatch(header.strip())
    if not match or not any(match.groups()):
        return None
    first, last = match.groups()
    if first:
        start, end = int(first), min(int(last) + 1, size) if last else size
    else:
        start, end = max(0, size - int(last)), size
    if start >= end:
        raise RangeError
    return start, end


def _blocks(stack: ExitStack, file: Readable, start: int, end: int) -> Iterator[bytes]:
    with stack:
        file.seek(start)
        left = end - start
        while left > 0 and (block := file.read(min(BLOCK_BYTES, left))):
            left -= len(block)
            yield block
