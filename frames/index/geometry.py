"""What is wrong with the geometry of regions: one without an area, one outside of its picture.

`frame_defects` says what that means. `GeometryBatch` asks it only about frames that may have one,
since asking takes 5 us a region: it passes sound boxes at once, and looks at thousands of other
outlines together.
"""

from __future__ import annotations

from array import array
from itertools import chain, groupby, pairwise
from math import cos, hypot, inf, sin
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from frames.index.terms import SourceLike

ZERO_AREA: Final = "_defects.zero_area"
OUTSIDE: Final = "_defects.outside"

# Stands in `poly` between the rings of one region.
RING_SEPARATOR: Final = -999999999
# `meta._type` of regions in space, which no picture bounds.
SPATIAL_TYPES: Final = frozenset({"p3d", "k3d", "b3d"})
# Tools disagree whether a picture ends at the centre or the edge of its last pixel, and round.
TOLERANCE_PX: Final = 1.0
# Of the box around a region. What floating point makes of a straight line is far below it.
LEAST_AREA_SHARE: Final = 1e-9

# Asked of at once: enough to make numpy's calls cheap, few enough to weigh little.
_NUMBERS_AT_ONCE: Final = 65_536
# Stands for an odd number of numbers, which is suspect already.
_PLAIN: Final = (0.0, 0.0, 1.0, 0.0, 1.0, 1.0)


class _Extent(NamedTuple):
    """The box around a region in px, and the area it encloses, None for points."""

    left: float
    top: float
    right: float
    bottom: float
    area: float | None


class _Waiting(NamedTuple):
    """A frame of which some outlines wait; `width` and `height` are of its smallest source."""

    number: int
    rois: list[dict[str, Any]]
    sources: Sequence[SourceLike]
    width: float
    height: float


def frame_defects(rois: Sequence[dict[str, Any]], sources: Sequence[SourceLike]) -> set[str]:
    """Return the defects, ZERO_AREA and OUTSIDE, that a frame's regions have."""
    return {defect for roi in rois for defect in region_defects(roi, sources)}


def region_defects(roi: dict[str, Any], sources: Sequence[SourceLike]) -> list[str]:
    """Return the defects of one region.

    It has no area where its outline encloses none; points have none to enclose. It is outside
    where it reaches more than a pixel over the edge of each source that it is on; a source of
    unknown size has no edge.
    """
    extent = _extent(roi)
    if extent is None:
        return []
    left, top, right, bottom, area = extent
    found = []
    if area is not None and area <= LEAST_AREA_SHARE * (right - left) * (bottom - top):
        found.append(ZERO_AREA)
    named = roi.get("sources") or ()
    on = [source for source in sources if source.source_id in named] or sources
    slack = TOLERANCE_PX
    if all(
        source.width is not None
        and source.height is not None
        and (
            min(left, top) < -slack
            or right > source.width + slack
            or bottom > source.height + slack
        )
        for source in on
    ):
        found.append(OUTSIDE)
    return found


def _extent(roi: dict[str, Any]) -> _Extent | None:
    """Return the extent of a region; None for a label, a mask, and what lies in space."""
    poly = roi.get("poly")
    kind = (roi.get("meta") or {}).get("_type")
    if not poly or kind in SPATIAL_TYPES:
        return None
    if kind == "elp":
        if len(poly) != 5:
            return None
        x, y, rx, ry, angle = poly
        reach_x = hypot(rx * cos(angle), ry * sin(angle))
        reach_y = hypot(rx * sin(angle), ry * cos(angle))
        # In units of its box's area, so that a needle at an angle is not taken for a line.
        area = abs(rx * ry) and 4 * reach_x * reach_y
        return _Extent(x - reach_x, y - reach_y, x + reach_x, y + reach_y, area)
    rings = [
        list(zip(numbers[::2], numbers[1::2], strict=False))
        for is_separator, group in groupby(poly, lambda number: number == RING_SEPARATOR)
        if not is_separator and len(numbers := list(group)) > 1
    ]
    if not rings:
        return None
    xs, ys = zip(*chain.from_iterable(rings), strict=True)
    has_outline = kind != "k2d" and max(map(len, rings)) > 1
    area = sum(map(_ring_area, rings)) if has_outline else None
    return _Extent(min(xs), min(ys), max(xs), max(ys), area)


def _ring_area(ring: list[tuple[float, float]]) -> float:
    """Return the area that a ring encloses, by the shoelace formula around its first point."""
    x0, y0 = ring[0]
    moved = [(x - x0, y - y0) for x, y in ring]
    return abs(sum(x * v - u * y for (x, y), (u, v) in pairwise([*moved, moved[0]]))) / 2


class GeometryBatch:
    """Finds the frames with defects among many: `found` holds their numbers, ascending."""

    def __init__(self) -> None:
        self.found: dict[str, array[int]] = {ZERO_AREA: array("q"), OUTSIDE: array("q")}
        self._start()

    def _start(self) -> None:
        # The outlines that wait, and which of the frames that wait each belongs to.
        self._polys: list[Sequence[float]] = []
        self._owners: list[int] = []
        self._numbers = 0
        self._frames: list[_Waiting] = []

    def add(self, number: int, rois: list[dict[str, Any]], sources: Sequence[SourceLike]) -> None:
        """Add the frame with a number, greater than all before."""
        width = min([source.width or inf for source in sources], default=inf)
        height = min([source.height or inf for source in sources], default=inf)
        before = len(self._polys)
        for roi in rois:
            poly = roi.get("poly")
            if not poly:
                continue
            if len(poly) == 8:
                # Most regions are upright boxes, and almost all of those are sound.
                left, top, right, top_too, right_too, bottom, left_too, bottom_too = poly
                if (
                    0 <= left < right == right_too <= width
                    and 0 <= top < bottom == bottom_too <= height
                    and left == left_too
                    and top == top_too
                ):
                    continue
            self._polys.append(poly)
            self._numbers += len(poly)
        if waiting := len(self._polys) - before:
            self._owners += [len(self._frames)] * waiting
            self._frames.append(_Waiting(number, rois, sources, width, height))
            if self._numbers > _NUMBERS_AT_ONCE:
                self.flush()

    def flush(self) -> None:
        """Ask about all frames that wait."""
        for place in self._suspects():
            frame = self._frames[place]
            for defect in frame_defects(frame.rois, frame.sources):
                self.found[defect].append(frame.number)
        self._start()

    def _suspects(self) -> list[int]:
        """Return the places of the frames that may have a defect: all that have one, and few more.

        Every outline is taken for a polygon of one ring on the smallest source. That keeps what
        has a defect in any other reading: thresholds are wide, a ring's separator is negative,
        and an ellipse has an odd number of numbers.
        """
        if not self._frames:
            return []
        lengths = np.fromiter(map(len, self._polys), dtype=np.int64, count=len(self._polys))
        suspects = lengths % 2 == 1
        for place in np.flatnonzero(suspects).tolist():
            self._polys[place] = _PLAIN
        lengths[suspects] = len(_PLAIN)
        flat = np.fromiter(
            chain.from_iterable(self._polys), dtype=np.float64, count=int(lengths.sum())
        )
        xs, ys = flat[::2], flat[1::2]
        ends = np.cumsum(lengths) // 2
        first, last = ends - lengths // 2, ends - 1
        left, right = np.minimum.reduceat(xs, first), np.maximum.reduceat(xs, first)
        top, bottom = np.minimum.reduceat(ys, first), np.maximum.reduceat(ys, first)
        cross = np.empty_like(xs)
        cross[:-1] = xs[:-1] * ys[1:] - xs[1:] * ys[:-1]
        cross[last] = xs[last] * ys[first] - xs[first] * ys[last]
        area = np.abs(np.add.reduceat(cross, first))
        suspects |= area <= 1e-6 * (right - left) * (bottom - top) + 1e-9 * right * bottom
        owners = np.array(self._owners)
        suspects |= (left < 0) | (right > np.array([f.width for f in self._frames])[owners])
        suspects |= (top < 0) | (bottom > np.array([f.height for f in self._frames])[owners])
        found: list[int] = np.unique(owners[suspects]).tolist()
        return found
