"""YOLO written: a text file for each picture, and data.yaml, as Ultralytics' tools read them.

https://docs.ultralytics.com/datasets/detect/ and /segment/. Numbers are shares of the picture's
width and height.
"""

from __future__ import annotations

import json
import re
import tempfile
from collections import Counter
from itertools import chain
from posixpath import splitext
from typing import IO, TYPE_CHECKING, Final

from frames.formats.csv_writer import Rows
from frames.formats.pictures import NO_AREA, Categories, Names, Picture, Region, pictures_of
from frames.formats.shapes import ELLIPSE_POINTS, corners
from frames.formats.singleframe import written_number
from frames.formats.zip_writer import ZipWriter

if TYPE_CHECKING:
    from frames.formats.base import About, FrameData

_LIST_COLUMNS: Final = (
    *("label_file", "picture", "frame_id", "context_id", "timestamp", "source", "uri"),
    *("width", "height"),
)
# What YAML refuses in a text and JSON does not.
_NOT_IN_YAML: Final = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")


class YoloWriter:
    """Writes boxes, or with `segments` polygons, a line for each label of a region.

    Classes are numbered from 0. `pictures.csv` tells which frame and address a label file is of.
    """

    def __init__(self, file: IO[bytes], about: About, *, segments: bool = False) -> None:
        self.changes = Counter[str]()
        self._segments = segments
        self._folder = about.folder
        self._categories = Categories(about.labels, first=0)
        self._names = Names(about.folder, self.changes)
        self._zip = ZipWriter(file, about.scratch)
        self._list = tempfile.TemporaryFile(dir=about.scratch)  # noqa: SIM115  closed by finish
        self._rows = Rows(self._list, _LIST_COLUMNS)

    def write(self, frame: FrameData) -> None:
        """Write the next frame."""
        if frame.meta or frame.extra:
            self.changes["frames' metadata is left out"] += 1
        for picture in pictures_of(frame, self.changes):
            self._write_picture(picture)

    def finish(self) -> None:
        """Write data.yaml and the list of the pictures."""
        self._zip.add_file("pictures.csv", self._list)
        self._list.close()
        names = "".join(f"  {number}: {_quoted(label)}\n" for number, label in self._categories)
        self._zip.add(
            "data.yaml",
            f"# Put the pictures into images/ beside this file; pictures.csv lists them.\n"
            f"# Their addresses begin with {_quoted(self._folder)}.\n"
            f"path: .\ntrain: images\nval: images\nnames:{' {}' if not names else ''}\n"
            f"{names}".encode(),
        )
        self._zip.finish()
        self._names.close()

    def _write_picture(self, picture: Picture) -> None:
        source, frame = picture.source, picture.frame
        if picture.frame_labels:
            self.changes["labels of a whole frame are left out"] += len(picture.frame_labels)
        if picture.regions and not (source.width and source.height):
            self.changes["pictures of unknown size with regions are left out"] += 1
            return
        path = self._names.name(picture)
        name = f"labels/{splitext(path)[0]}.txt"
        width, height = source.width or 0, source.height or 0
        lines = [line for region in picture.regions for line in self._lines(region, width, height)]
        self._zip.add(name, "".join(lines).encode())
        when = written_number(frame.timestamp)
        cells = (name, f"images/{path}", frame.frame_id, frame.context_id, when)
        self._rows.write((*cells, source.source_id, source.uri, source.width, source.height))

    def _lines(self, region: Region, width: int, height: int) -> list[str]:
        roi, shape = region.roi, region.shape
        x0, y0, x1, y1 = shape.box
        box = (max(x0, 0), max(y0, 0), min(x1, width), min(y1, height))
        left, top, right, bottom = box
        if left >= right or top >= bottom:
            self.changes["regions without an area inside of their picture are left out"] += 1
            return []
        if box != shape.box:
            self.changes["regions that leave their picture are cut off at its edge"] += 1
        if shape.points is not None:
            self.changes["key points are the boxes they lie in"] += 1
        if roi.get("confidence") is not None:
            self.changes["regions' confidence is left out"] += 1
        if any(key not in ("_type", "rle") for key in roi.get("meta") or ()):
            self.changes["regions' metadata is left out"] += 1
        if (roi.get("meta") or {}).get("rle"):
            self.changes["run-length masks are the boxes they lie in"] += 1
        if self._segments:
            rings = shape.rings or [corners(box)]
            if len(rings) > 1:
                self.changes["regions of several rings have a line for each"] += 1
            if shape.ellipse:
                self.changes[f"ellipses are polygons of {ELLIPSE_POINTS} points"] += 1
            elif shape.is_partial:
                self.changes[NO_AREA] += 1
            elif not shape.rings and shape.points is None:
                self.changes["lines are the boxes they lie in"] += 1
            shapes = [_polygon(ring, width, height) for ring in rings]
        else:
            if not shape.is_box and shape.points is None:
                self.changes["polygons, ellipses and lines are the boxes they lie in"] += 1
            middle = ((left + right) / 2, (top + bottom) / 2, right - left, bottom - top)
            shapes = [_shares(middle, width, height)]
        labels = roi["label"]
        if len(labels) > 1:
            self.changes["regions of several labels have a line for each"] += 1
        return [
            f"{self._categories.number(label)} {numbers}\n"
            for label in labels
            for numbers in shapes
        ]


def _polygon(ring: list[float], width: int, height: int) -> str:
    inside = chain.from_iterable(
        (min(max(x, 0), width), min(max(y, 0), height))
        for x, y in zip(ring[::2], ring[1::2], strict=True)
    )
    return _shares(tuple(inside), width, height)


def _shares(numbers: tuple[float, ...], width: int, height: int) -> str:
    """Return x, y, x, y, ... as shares of the edges: good to a hundredth of a pixel and more."""
    edges = (width, height)
    return " ".join(f"{number / edges[i % 2]:.8f}" for i, number in enumerate(numbers))


def _quoted(text: str) -> str:
    """Return a text as YAML, in which it is JSON but for a few characters."""
    quoted = json.dumps(text, ensure_ascii=False)
    return _NOT_IN_YAML.sub(lambda match: f"\\u{ord(match[0]):04x}", quoted)
