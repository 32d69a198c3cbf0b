"""COCO instances: one JSON file of pictures, their annotations and the categories of these.

An annotation may stand anywhere in the file, before its picture too. So the file is read once
into a temporary SQLite database, which spills to disk, and the frames are read out of that:
memory stays flat and the disk holds about the file's size while the reader is used.
"""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from typing import IO, TYPE_CHECKING, Any, Final

from frames.formats.base import FormatError, FrameError, Header, Item, Problem
from frames.formats.jsonstream import JsonStream, ValueProblem
from frames.formats.singleframe import MAX_POLY_NUMBERS, parse_frame
from frames.formats.uris import folder_of
from frames.index.geometry import RING_SEPARATOR

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

MAX_CATEGORIES: Final = 100_000

_SCHEMA: Final = """
    PRAGMA journal_mode = OFF;
    PRAGMA synchronous = OFF;
    PRAGMA cache_size = -16000;
    CREATE TABLE image (place INTEGER PRIMARY KEY, id TEXT, body TEXT);
    CREATE TABLE annotation (place INTEGER PRIMARY KEY, image TEXT, body TEXT);
"""
_INSERT_BATCH: Final = 1_000
# What becomes a key of a region of its own; the rest of an annotation goes into its meta.
_REGION_KEYS: Final = frozenset({"id", "image_id", "category_id", "segmentation", "bbox", "score"})
_IMAGE_KEYS: Final = frozenset({"id", "file_name", "width", "height"})


class CocoReader:
    """Reads the pictures of a COCO file as frames with their annotations as regions.

    Polygons become `poly`, with separators between rings; a run-length mask stays in the
    region's meta as `rle` beside the box; a box alone becomes its four corners. `position` and
    `total` are bytes; while the file is sorted there are no items and no progress.
    """

    def __init__(
        self,
        opened: Callable[[], AbstractContextManager[IO[bytes]]],
        uri: str,
        images: str | None = None,
    ) -> None:
        """Read what `opened()` gives; file names resolve against the folder `images`.

        Without `images` they do against the file's own folder.
        """
        self.header = Header()
        self.position = 0
        self.total: int | None = None
        self._opened = opened
        self._images = folder_of(uri) if images is None else images.rstrip("/") + "/"
        self._categories: dict[str, str] = {}
        self._index = 0

    def __iter__(self) -> Iterator[Item]:
        """Yield the frames in the order of the pictures, and what is wrong with which.

        Raises:
            FormatError: the input is not COCO, or ends too early; it says where.
        """
        self._index = 0
        # An empty name is a private database in a temporary file that vanishes when closed.
        with closing(sqlite3.connect("")) as database:
            database.executescript(_SCHEMA)
            with self._opened() as file:
                self.total = getattr(file, "size", None)
                yield from self._spool(JsonStream(file), database)
            database.execute("CREATE INDEX of_image ON annotation (image)")
            yield from self._unknown_images(database)
            yield from self._frames(database)

    def _spool(self, stream: JsonStream, database: sqlite3.Connection) -> Iterator[Item]:
        """Read the file into the database; yield the values that cannot be read."""
        seen = set()
        if not stream.take("{"):
            raise FormatError("A COCO file is a JSON object.")
        while not stream.take("}"):
            place = stream.where()
            try:
                key = stream.value()
            except ValueProblem:
                key = None
            if not isinstance(key, str) or not stream.take(":"):
                raise FormatError(f'A "key": should stand at {place}.')
            if key in seen:
                raise FormatError(f"The key {key[:60]!a} stands twice, the second at {place}.")
            seen.add(key)
            if key in ("images", "annotations", "categories"):
                yield from self._spool_list(key, stream, database)
            else:
                try:
                    value = stream.value()
                except ValueProblem as problem:
                    raise FormatError(f"{key[:60]!a} {problem}, {place}.") from None
                if key == "info" and isinstance(value, dict):
                    description = value.get("description")
                    if isinstance(description, str):
                        self.header.dataset = {"description": description[:10_000]}
            if not stream.take(",") and stream.peek() != "}":
                raise FormatError(f"A comma or }} should stand at {stream.where()}.")
        for key in ("images", "annotations", "categories"):
            if key not in seen:
                raise FormatError(f'There is no "{key}" in the file.')

    def _spool_list(
        self, key: str, stream: JsonStream, database: sqlite3.Connection
    ) -> Iterator[Item]:
        begun = stream.where()
        if not stream.take("["):
            raise FormatError(f'"{key}" must be a list, {begun}.')
        rows: list[tuple[int, str, str]] = []
        number = 0
        while not stream.take("]"):
            if not stream.peek():
                raise FormatError(f'The file ends inside "{key}", behind item {number}.')
            try:
                row = self._row(key, stream.value())
                if row is not None:
                    rows.append((number, *row))
            except ValueProblem as problem:
                yield self._problem(f"{key}[{number}]", str(problem))
            if len(rows) >= _INSERT_BATCH:
                _insert(database, key, rows)
                rows = []
            number += 1
            if not stream.take(",") and stream.peek() not in ("]", ""):
                raise FormatError(f"A comma or ] should stand at {stream.where()}.")
        _insert(database, key, rows)

    def _row(self, key: str, value: Any) -> tuple[str, str] | None:
        """Return the id of the picture and the text of an item; keep a category."""
        if not isinstance(value, dict):
            raise ValueProblem("must be an object")
        number = value.get("image_id" if key == "annotations" else "id")
        if isinstance(number, bool) or not isinstance(number, int | str):
            raise ValueProblem("has no id" if key != "annotations" else "has no image_id")
        if key != "categories":
            return _id(number), json.dumps(value)
        name = value.get("name")
        if not isinstance(name, str) or not name:
            raise ValueProblem("has no name")
        if len(self._categories) >= MAX_CATEGORIES:
            raise FormatError(f"There are more than {MAX_CATEGORIES} categories.")
        self._categories[_id(number)] = name
        return None

    def _unknown_images(self, database: sqlite3.Connection) -> Iterator[Item]:
        database.execute("CREATE INDEX by_id ON image (id)")
        for (place,) in database.execute(
            "SELECT place FROM annotation WHERE image NOT IN (SELECT id FROM image) ORDER BY place"
        ):
            yield self._problem(f"annotations[{place}].image_id", "no picture has this id")

    def _frames(self, database: sqlite3.Connection) -> Iterator[Item]:
        (count,) = database.execute("SELECT count(*) FROM image").fetchone()
        for number, (place, image_id, body) in enumerate(
            database.execute("SELECT place, id, body FROM image ORDER BY place"), 1
        ):
            annotations = database.execute(
                "SELECT place, body FROM annotation WHERE image = ? ORDER BY place", (image_id,)
            ).fetchall()
            try:
                frame = self._frame(place, json.loads(body), annotations)
                item = Item(self._next(), parse_frame(frame, self._images))
            except FrameError as error:
                path = error.problem.path
                if path.startswith("rois["):
                    roi, _, rest = path.removeprefix("rois[").partition("]")
                    path = f"annotations[{annotations[int(roi)][0]}]{rest}"
                elif path == "sources[0].uri":
                    path = f"images[{place}].file_name"
                item = self._problem(path, error.problem.reason)
            if self.total:
                self.position = self.total * number // count
            yield item

    def _frame(
        self, place: int, image: dict[str, Any], annotations: list[tuple[int, str]]
    ) -> dict[str, Any]:
        """Return the SingleFrame of a picture."""
        if not isinstance(image.get("file_name"), str):
            raise FrameError(f"images[{place}].file_name", "must be text")
        meta = {key: value for key, value in image.items() if key not in _IMAGE_KEYS}
        return {
            "sources": [
                {
                    "uri": image["file_name"],
                    "width": image.get("width"),
                    "height": image.get("height"),
                }
            ],
            "meta": {"path": image["file_name"], "coco_id": image["id"], **meta},
            "rois": [self._roi(number, json.loads(body)) for number, body in annotations],
        }

    def _roi(self, place: int, annotation: dict[str, Any]) -> dict[str, Any]:
        """Return the region of an annotation."""
        category = annotation.get("category_id")
        label = self._categories.get(_id(category))
        if label is None:
            raise FrameError(f"annotations[{place}].category_id", "no category has this id")
        meta = {key: value for key, value in annotation.items() if key not in _REGION_KEYS}
        roi: dict[str, Any] = {"label": [label], "meta": meta}
        if "id" in annotation:
            roi["id"] = str(annotation["id"])
        score = annotation.get("score")
        if score is not None:
            roi["confidence"] = score
        segmentation, bbox = annotation.get("segmentation"), annotation.get("bbox")
        if isinstance(segmentation, dict):
            meta["rle"] = segmentation
        if isinstance(segmentation, list) and segmentation:
            roi["poly"] = _rings(segmentation, f"annotations[{place}].segmentation")
            meta["_type"] = "p2d"
            if bbox is not None:
                meta["bbox"] = bbox
        elif bbox is not None:
            roi["poly"] = _corners(bbox, f"annotations[{place}].bbox")
            meta["_type"] = "b2d"
        return roi

    def _problem(self, path: str, reason: str) -> Item:
        return Item(self._next(), problem=Problem(path, reason))

    def _next(self) -> int:
        self._index += 1
        return self._index - 1


def _insert(database: sqlite3.Connection, key: str, rows: list[tuple[int, str, str]]) -> None:
    table = "image" if key == "images" else "annotation"
    database.executemany(f"INSERT INTO {table} VALUES (?, ?, ?)", rows)  # noqa: S608


def _id(value: Any) -> str:
    """Return the key of an id: 5 and "5" are different ones."""
    return json.dumps(value)


def _rings(segmentation: list[Any], place: str) -> list[Any]:
    """Return the rings of a segmentation as one `poly`."""
    # Some tools write a single ring without the list around it.
    rings = segmentation if isinstance(segmentation[0], list) else [segmentation]
    poly: list[Any] = []
    for number, ring in enumerate(rings):
        if not isinstance(ring, list):
            raise FrameError(f"{place}[{number}]", "must be a list of numbers")
        poly += [RING_SEPARATOR, *ring] if poly else ring
        if len(poly) > MAX_POLY_NUMBERS:
            raise FrameError(place, f"has over {MAX_POLY_NUMBERS} numbers")
    return poly


def _corners(bbox: Any, place: str) -> list[Any]:
    """Return the corners of a box x, y, width, height, clockwise from the top left."""
    if not isinstance(bbox, list) or len(bbox) != 4:
        raise FrameError(place, "must be four numbers: x, y, width, height")
    for number, value in enumerate(bbox):
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise FrameError(f"{place}[{number}]", "must be a number")
    x, y, width, height = bbox
    return [x, y, x + width, y, x + width, y + height, x, y + height]
