"""Frames as annotated pictures: what COCO, YOLO and Pascal VOC have in common.

Each source that is a picture or a video gives one picture. A region is on the pictures of the
sources it names, on all of them where it names none.
"""

from __future__ import annotations

import re
import sqlite3
from dataclasses import dataclass, field
from posixpath import splitext
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.parse import unquote

from frames.formats.shapes import Shape, shape_of
from frames.formats.singleframe import written_number
from frames.media.kinds import Kind, kind_of

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Iterator, Sequence

    from frames.formats.base import FrameData, SourceData

# What became of such rings where a format keeps outlines.
NO_AREA: Final = "polygons are without those of their rings that have no area"
# Most file systems refuse a longer name; what tells two of them apart has room beside it.
_NAME_MAX_BYTES: Final = 160
# What some system refuses in a file's name, or a shell or a list of names trips over.
_UNSAFE: Final = re.compile(r'[\x00-\x1f\x7f<>:"|?*\\]')


class Region(NamedTuple):
    """A region of a picture; `number` is its place in the frame."""

    number: int
    roi: dict[str, Any]
    shape: Shape


@dataclass(slots=True)
class Picture:
    """One picture of a frame with its regions, and the labels of the whole frame."""

    frame: FrameData
    source: SourceData
    regions: list[Region] = field(default_factory=list)
    frame_labels: list[str] = field(default_factory=list)


def pictures_of(frame: FrameData, changes: Counter[str]) -> list[Picture]:
    """Return the pictures of a frame in the order of its sources; count what is on none."""
    pictures = {}
    for source in frame.sources:
        if kind_of(source.uri, source.content_type) is Kind.OTHER:
            changes["sources that are no pictures are left out"] += 1
        else:
            pictures[source.source_id] = Picture(frame, source)
    for number, roi in enumerate(frame.rois):
        labels = roi.get("label") or []
        shape = shape_of(roi)
        on = [pictures[name] for name in roi.get("sources") or pictures if name in pictures]
        if not labels:
            changes["regions without a label are left out"] += 1
        elif not on:
            changes["regions of what is no picture of their frame are left out"] += 1
        elif isinstance(shape, Shape):
            for picture in on:
                picture.regions.append(Region(number, roi, shape))
        elif shape == "labels of a whole frame":
            for picture in on:
                picture.frame_labels += [n for n in labels if n not in picture.frame_labels]
        else:
            changes[f"{shape} are left out"] += 1
    return list(pictures.values())


def path_of(source: SourceData, folder: str) -> str:
    """Return what a picture is called below `folder`, in folders of its own.

    A frame of a video, which is no file yet, is called by the video and the time.
    """
    uri = source.uri
    if folder and uri.startswith(folder):
        path = uri[len(folder) :]
    else:
        path = uri.partition("://")[2].lstrip("/")
    if not uri.startswith(("s3:", "gs:")):
        path = unquote(path.partition("?")[0] if uri.startswith("http") else path)
    parts = [_UNSAFE.sub("_", part) for part in path.split("/")]
    parts = [part for part in parts if part.strip(". ")] or ["picture"]
    name, extension = splitext(parts[-1])
    if kind_of(uri, source.content_type) is Kind.VIDEO:
        name, extension = f"{name}_{written_number(source.timestamp or 0.0)}", ".jpg"
    parts[-1] = name
    return "/".join(map(_short, parts)) + extension[:16]


def _short(name: str) -> str:
    data = name.encode()
    return name if len(data) <= _NAME_MAX_BYTES else data[:_NAME_MAX_BYTES].decode(errors="ignore")


class Taken:
    """The values given out so far, on disk where they are many."""

    def __init__(self) -> None:
        # An empty name is a private database in a temporary file that vanishes when closed.
        self._database = sqlite3.connect("", isolation_level=None)
        self._database.executescript(
            "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -2000;"
            "CREATE TABLE taken (value PRIMARY KEY) WITHOUT ROWID; BEGIN;"
        )

    def take(self, value: str | int) -> bool:
        """Give a value out; return whether it was free. Cost: 3 µs."""
        found = self._database.execute("INSERT OR IGNORE INTO taken VALUES (?)", (value,))
        return found.rowcount == 1

    def close(self) -> None:
        """Forget all."""
        self._database.close()


class Names:
    """Gives each picture a path that no other has, whatever the case of its letters."""

    def __init__(self, folder: str, changes: Counter[str]) -> None:
        self._folder = folder
        self._changes = changes
        self._taken = Taken()

    def name(self, picture: Picture) -> str:
        """Return the picture's path, with the frame's id where an earlier one has the same."""
        path = path_of(picture.source, self._folder)
        stem, extension = splitext(path)
        if self._taken.take(stem.lower()):
            return path
        self._changes["pictures of the same name have their frame's id in it"] += 1
        stem = f"{stem}_{_short(_UNSAFE.sub('_', picture.frame.frame_id).replace('/', '_'))}"
        for candidate in _numbered(stem):
            if self._taken.take(candidate.lower()):
                return candidate + extension
        raise AssertionError("the numbers have no end")

    def close(self) -> None:
        """Forget all."""
        self._taken.close()


def _numbered(stem: str) -> Iterator[str]:
    yield stem
    number = 2
    while True:
        yield f"{stem}_{number}"
        number += 1


class Categories:
    """Numbers of labels: those of the version in their order, then others as they come."""

    def __init__(self, labels: Sequence[str], first: int) -> None:
        self._numbers = {label: number for number, label in enumerate(labels, first)}
        self._first = first

    def number(self, label: str) -> int:
        """Return a label's number."""
        return self._numbers.setdefault(label, self._first + len(self._numbers))

    def __iter__(self) -> Iterator[tuple[int, str]]:
        """Yield each number and its label."""
        for label, number in self._numbers.items():
            yield number, label
