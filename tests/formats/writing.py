"""Frames written in memory, for the tests of the writers."""

from __future__ import annotations

import io
import zipfile
from typing import TYPE_CHECKING, Any

from frames.formats.base import About, FrameData
from frames.formats.singleframe import parse_frame
from frames.formats.writers import BY_NAME

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

BASE = "file:///data/frames.json"
BOX = [10, 20, 50, 20, 50, 80, 10, 80]
TRIANGLE = [0, 0, 30, 0, 0, 40]
RING_SEPARATOR = -999999999


def frame(**given: Any) -> FrameData:
    """Return a frame of one picture of 100 x 200 px, but for what is given."""
    value = {
        "id": "f",
        "context_id": "drive",
        "sources": [{"uri": "file:///data/a.png", "width": 100, "height": 200}],
        **given,
    }
    return parse_frame(value, BASE)


def region(poly: Sequence[float] | None = None, kind: str = "", **given: Any) -> dict[str, Any]:
    """Return a car, but for what is given; `kind` is `meta._type`."""
    meta = {**({"_type": kind} if kind else {}), **given.pop("meta", {})}
    found: dict[str, Any] = {"label": ["car"], **({"meta": meta} if meta else {}), **given}
    return found if poly is None else {**found, "poly": poly}


def write(
    name: str, frames: Iterable[FrameData], about: About | None = None
) -> tuple[bytes, dict[str, int]]:
    """Return the bytes of a format and its changes."""
    file = io.BytesIO()
    writer = BY_NAME[name].writer(file, about or About())
    for one in frames:
        writer.write(one)
    writer.finish()
    return file.getvalue(), dict(writer.changes)


def unzip(data: bytes) -> dict[str, str]:
    """Return the texts in a zip file by their names, in order."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name).decode() for name in archive.namelist()}
