"""What every format speaks: frames as plain data, problems with their place, both directions."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


@dataclass(slots=True)
class SourceData:
    """One source of a frame, as `frames.models.Source` keeps it; the URI is absolute."""

    source_id: str
    uri: str
    content_type: str = ""
    width: int | None = None
    height: int | None = None
    timestamp: float | None = None
    masks: list[dict[str, Any]] | None = None
    preview: dict[str, Any] | str | None = None
    meta: dict[str, Any] | None = None
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class FrameData:
    """One frame as it is imported, valid in itself.

    `frame_id` is empty where the input gave none; then the importer takes
    `singleframe.derived_id`, so that the same input gives the same id again.
    """

    frame_id: str
    context_id: str
    timestamp: float
    sources: list[SourceData]
    rois: list[dict[str, Any]] = field(default_factory=list)
    meta: dict[str, Any] = field(default_factory=dict)
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Problem:
    """Why an item of the input is not imported: its JSON path inside the item, and the reason."""

    path: str
    reason: str


class FormatError(Exception):
    """The input as a whole cannot be read; the message says where and why."""


class FrameError(Exception):
    """One frame of the input is wrong."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.problem = Problem(path, reason)


@dataclass(slots=True)
class Item:
    """One item of the input: a frame, or the problem that kept it from being one."""

    index: int
    frame: FrameData | None = None
    problem: Problem | None = None


@dataclass(slots=True)
class Header:
    """What the input says of its dataset and version: SingleFrame JSON, empty if nothing."""

    dataset: dict[str, Any] = field(default_factory=dict)
    version: dict[str, Any] = field(default_factory=dict)


class FrameReader(Protocol):
    """Reads one input, once, in order, in memory that does not grow with it.

    `header` is complete when iteration ends: a manifest may name its version after its frames.
    `position` of `total` says how far the reading is, in the reader's own unit (bytes of a
    manifest, files of a folder); `total` is None while it is unknown.
    """

    header: Header

    @property
    def position(self) -> int:
        """How far the reading is."""
        ...

    @property
    def total(self) -> int | None:
        """How far it goes, None while that is unknown."""
        ...

    def __iter__(self) -> Iterator[Item]:
        """Yield the items in input order; raise FormatError where the input cannot go on."""
        ...


@dataclass(frozen=True, slots=True)
class About:
    """What a writer is told before the first frame.

    `labels` are those of the whole version in byte order, so that a label has the same number in
    every export of it. `folder` is what the URIs of all sources begin with, up to and with a
    slash, or empty. In `scratch` a writer keeps aside what stands at the end of its file.
    """

    header: Header = field(default_factory=Header)
    labels: Sequence[str] = ()
    folder: str = ""
    scratch: str | None = None


class FrameWriter(Protocol):
    """Writes frames to one file, once, in order, in memory that does not grow with them.

    The same frames and the same `About` give the same bytes. `changes` counts what the format
    cannot hold, by what became of it.
    """

    changes: Counter[str]

    def write(self, frame: FrameData) -> None:
        """Write the next frame."""
        ...

    def finish(self) -> None:
        """Write what stands at the end; the file stays open."""
        ...
