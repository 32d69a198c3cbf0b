"""Gathering the terms of many frames, before it is known which of them will be written where.

Knows no database, so that it can be done ahead, in another process.
"""

from __future__ import annotations

from array import array
from collections import defaultdict
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from frames.index.geometry import GeometryBatch
from frames.index.numbers import buckets
from frames.index.terms import (
    ANY,
    BOOLEAN,
    NUMBER,
    SAVED_IN_VERSION,
    TEXT,
    TYPE_NUMBER,
    TYPE_TEXT,
    emit_frame,
    emit_region,
    number_text,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from frames.index.numbers import Float64Array
    from frames.index.terms import SourceLike

PlainToken: TypeAlias = tuple[str, int, str]


def _positions() -> array[int]:
    return array("q")


class TermBatch:
    """The terms of consecutive frames: a `Sink` for the frames and one for their regions.

    Frames are numbered from 0 in the order they were added, and so are all their regions.
    `positions` are (n,) int64 and ascending; `numbers` holds, for the terms of buckets, the exact
    number at each position, (n,) float64.
    """

    def __init__(self) -> None:
        self.frames = 0
        self.region_counts: array[int] = array("q")
        self.positions: defaultdict[PlainToken, array[int]] = defaultdict(_positions)
        self.numbers: dict[PlainToken, Float64Array] = {}
        self._columns: dict[str, tuple[array[int], array[float]]] = {}
        self._geometry = GeometryBatch()
        self._position = 0
        self._regions = 0

    def add(
        self,
        *,
        context_id: str,
        timestamp: float,
        meta: dict[str, Any],
        sources: Sequence[SourceLike],
        rois: list[dict[str, Any]],
    ) -> None:
        """Gather the terms of the next frame."""
        self._position = self.frames
        emit_frame(self, context_id=context_id, timestamp=timestamp, meta=meta, sources=sources)
        self._position = self._regions
        for roi in rois:
            emit_region(self, roi)
            self._position += 1
        self._regions = self._position
        if rois:
            self._geometry.add(self.frames, rois, sources)
        self.region_counts.append(len(rois))
        self.frames += 1

    def note_version(self, version_pk: int, frames: Iterable[int]) -> None:
        """Note which version writes some of the frames, given by their numbers."""
        self.positions[SAVED_IN_VERSION, TEXT, str(version_pk)] = array("q", frames)

    def token(self, key: str, kind: int, value: str) -> None:
        """Note that the present frame or region has the term."""
        self.positions[key, kind, value].append(self._position)

    def number(self, key: str, value: float) -> None:
        """Note that the present frame or region has the number."""
        column = self._columns.get(key)
        if column is None:
            column = self._columns[key] = (array("q"), array("d"))
        column[0].append(self._position)
        column[1].append(value)

    def close(self) -> None:
        """Finish what is cheaper for all frames at once than for each of them."""
        self._sort_numbers()
        self._gather_labels()
        self._geometry.flush()
        for defect, frames in self._geometry.found.items():
            if frames:
                self.positions[defect, BOOLEAN, "true"] = frames

    def _gather_labels(self) -> None:
        """Derive the frames' labels from their regions': what `emit_labels` would send."""
        counts = np.frombuffer(self.region_counts, dtype=np.int64)
        frame_of = np.repeat(np.arange(self.frames, dtype=np.int64), counts)
        labelled = np.zeros(self.frames, dtype=bool)
        for key, kind, value in list(self.positions):
            if key == "rois.label":
                regions = np.frombuffer(self.positions[key, kind, value], dtype=np.int64)
                frames = np.unique(frame_of[regions])
                labelled[frames] = True
                self.positions["label", kind, value] = array("q", frames.tobytes())
        if labelled.any():
            frames = np.flatnonzero(labelled).astype(np.int64)
            self.positions["label", ANY, TYPE_TEXT] = array("q", frames.tobytes())

    def _sort_numbers(self) -> None:
        """Put the numbers into their buckets, all of a key at once: 0.1 us each, not 1 us."""
        for key, (positions, values) in self._columns.items():
            having = np.unique(np.frombuffer(positions, dtype=np.int64))
            self.positions[key, ANY, TYPE_NUMBER] = array("q", having.tobytes())
            exact = np.frombuffer(values, dtype=np.float64)
            found = buckets(exact)
            order = np.argsort(found, kind="stable")
            representatives, starts = np.unique(found[order], return_index=True)
            members = np.frombuffer(positions, dtype=np.int64)[order]
            ends = [*starts[1:].tolist(), len(order)]
            for number, start, end in zip(
                representatives.tolist(), starts.tolist(), ends, strict=True
            ):
                token = (key, NUMBER, number_text(number))
                self.positions[token] = array("q", members[start:end].tobytes())
                self.numbers[token] = exact[order[start:end]]
        self._columns.clear()
