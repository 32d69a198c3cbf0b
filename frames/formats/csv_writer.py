"""CSV as spreadsheets read it: a row for each region, or for each frame."""

from __future__ import annotations

import csv
import io
from collections import Counter
from typing import IO, TYPE_CHECKING, Any, Final

from frames.formats.jsontext import dump
from frames.formats.shapes import Shape, shape_of
from frames.formats.singleframe import written_number

if TYPE_CHECKING:
    from collections.abc import Sequence

    from frames.formats.base import About, FrameData, SourceData

# Stands between several labels or sources in a cell; no JSON and no usual label holds it.
_BETWEEN: Final = " | "
_FRAME_COLUMNS: Final = ("frame_id", "context_id", "timestamp")
_SOURCE_COLUMNS: Final = ("sources", "uri", "width", "height")
_REGION_COLUMNS: Final = (
    *("region", "labels", "confidence", "type", "x_min", "y_min", "x_max", "y_max"),
    *("poly", "mask", "region_meta"),
)


def inert(cell: str) -> str:
    """Keep a spreadsheet from taking a text of the data for a formula."""
    return f"'{cell}" if cell.startswith(("=", "+", "-", "@", "\t", "\r")) else cell


class Rows:
    """Writes rows of cells below the columns' names; texts of the data are made inert."""

    def __init__(self, file: IO[bytes], columns: Sequence[str]) -> None:
        self._file = file
        self._line = io.StringIO()
        self._csv = csv.writer(self._line)
        self.write(columns)

    def write(self, cells: Sequence[Any]) -> None:
        """Write the next row."""
        self._csv.writerow([inert(cell) if isinstance(cell, str) else cell for cell in cells])
        self._file.write(self._line.getvalue().encode())
        self._line.seek(0)
        self._line.truncate()


class RegionsCsvWriter:
    """Writes a row for each region, and one without a region for a frame that has none.

    The source is the first that the region names. Corners are of what the region lies in; its
    exact numbers are the JSON in `poly`.
    """

    def __init__(self, file: IO[bytes], about: About) -> None:
        self.changes = Counter[str]()
        columns = (*_FRAME_COLUMNS, *_REGION_COLUMNS, *_SOURCE_COLUMNS, "meta")
        self._rows = Rows(file, columns)

    def write(self, frame: FrameData) -> None:
        """Write the next frame."""
        _count(frame, self.changes)
        begin = _frame_cells(frame)
        meta = dump(frame.meta).decode()
        for number, roi in enumerate(frame.rois):
            names = roi.get("sources") or [source.source_id for source in frame.sources]
            if any(key not in _ROI_KEYS for key in roi):
                self.changes["regions' keys of other programs are left out"] += 1
            cells = (*begin, number, *_region_cells(roi), *_source_cells(frame, names), meta)
            self._rows.write(cells)
        if not frame.rois:
            names = [source.source_id for source in frame.sources]
            blank = [None] * len(_REGION_COLUMNS)
            self._rows.write((*begin, *blank, *_source_cells(frame, names), meta))

    def finish(self) -> None:
        """Write nothing more."""


class FramesCsvWriter:
    """Writes a row for each frame, with its labels and the number of its regions."""

    def __init__(self, file: IO[bytes], about: About) -> None:
        self.changes = Counter[str]()
        columns = (*_FRAME_COLUMNS, *_SOURCE_COLUMNS, "regions", "labels", "meta")
        self._rows = Rows(file, columns)

    def write(self, frame: FrameData) -> None:
        """Write the next frame."""
        _count(frame, self.changes)
        if frame.rois:
            self.changes["regions are counted, and only their labels listed"] += len(frame.rois)
        names = [source.source_id for source in frame.sources]
        labels = dict.fromkeys(label for roi in frame.rois for label in roi.get("label") or ())
        cells = (*_frame_cells(frame), *_source_cells(frame, names), len(frame.rois))
        self._rows.write((*cells, _BETWEEN.join(labels), dump(frame.meta).decode()))

    def finish(self) -> None:
        """Write nothing more."""


_ROI_KEYS: Final = frozenset({"label", "poly", "confidence", "sources", "mask", "meta"})


def _count(frame: FrameData, changes: Counter[str]) -> None:
    """Count what no column holds."""
    if frame.extra:
        changes["frames' keys of other programs are left out"] += 1
    more = sum(bool(s.masks or s.preview or s.meta or s.extra) for s in frame.sources)
    if more:
        changes["sources' masks, previews, metadata and other keys are left out"] += more


def _frame_cells(frame: FrameData) -> tuple[Any, ...]:
    return frame.frame_id, frame.context_id, written_number(frame.timestamp)


def _source_cells(frame: FrameData, names: Sequence[str]) -> tuple[Any, ...]:
    first: SourceData = next((s for s in frame.sources if s.source_id in names), frame.sources[0])
    return _BETWEEN.join(names), first.uri, first.width, first.height


def _region_cells(roi: dict[str, Any]) -> tuple[Any, ...]:
    labels = _BETWEEN.join(roi.get("label") or ())
    shape = shape_of(roi)
    box: tuple[Any, ...] = shape.box if isinstance(shape, Shape) else (None, None, None, None)
    return (
        labels,
        roi.get("confidence"),
        (roi.get("meta") or {}).get("_type"),
        *box,
        *(_json(roi.get(key)) for key in ("poly", "mask", "meta")),
    )


def _json(value: Any) -> str | None:
    return None if value is None else dump(value).decode()
