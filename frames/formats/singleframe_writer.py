"""SingleFrame JSON written: one object of all frames, or a frame to a line.

What was read from either comes back equal. URIs come back absolute; what reading fills in (ids,
contexts, empty lists) is written out; what tells where another server keeps a frame is not.
"""

from __future__ import annotations

from collections import Counter
from typing import IO, TYPE_CHECKING

from frames.formats.jsontext import dump
from frames.formats.singleframe import write_frame

if TYPE_CHECKING:
    from frames.formats.base import About, FrameData


class LinesWriter:
    """Writes a frame to a line."""

    def __init__(self, file: IO[bytes], about: About) -> None:
        self.changes = Counter[str]()
        if about.header.version.get("metadata"):
            self.changes["the version's metadata, which lines have no place for, is left out"] = 1
        self._file = file

    def write(self, frame: FrameData) -> None:
        """Write the next frame."""
        self._file.write(dump(write_frame(frame)) + b"\n")

    def finish(self) -> None:
        """Write nothing more."""


class ManifestWriter:
    """Writes an object with `dataset`, `version` and `frames`, each frame on a line of its own."""

    def __init__(self, file: IO[bytes], about: About) -> None:
        self.changes = Counter[str]()
        self._file = file
        self._separator = b"\n"
        header = b'{"dataset":%b,"version":%b,"frames":['
        file.write(header % (dump(about.header.dataset), dump(about.header.version)))

    def write(self, frame: FrameData) -> None:
        """Write the next frame."""
        self._file.write(self._separator + dump(write_frame(frame)))
        self._separator = b",\n"

    def finish(self) -> None:
        """Close the list and the object."""
        self._file.write(b"\n]}\n")
