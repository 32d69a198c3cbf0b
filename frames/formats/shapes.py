"""What a region looks like on a picture, for formats that know boxes, polygons and points.

Numbers are pixels of the source, origin top left, y down.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import groupby
from math import cos, hypot, pi, sin
from typing import TYPE_CHECKING, Any, Final

from frames.index.geometry import RING_SEPARATOR, SPATIAL_TYPES

if TYPE_CHECKING:
    from collections.abc import Sequence

# Points of the polygon that stands for an ellipse: off by 0.12 % of a radius at most.
ELLIPSE_POINTS: Final = 64


@dataclass(frozen=True, slots=True)
class Shape:
    """A region with a place: `box` is what it lies in, as least x, least y, greatest x and y.

    `rings` are its outlines as x, y, x, y, ...: none for key points and for what is no area.
    `ellipse` is centre x and y, two radii and the angle in radians. `is_partial` tells that some
    of its rings have no area and are not among them.
    """

    box: tuple[float, float, float, float]
    rings: list[list[float]] = field(default_factory=list)
    points: list[float] | None = None
    ellipse: list[float] | None = None
    is_box: bool = False
    is_partial: bool = False


def shape_of(roi: dict[str, Any]) -> Shape | str:
    """Return the shape of a region, or why it has none on a picture."""
    poly = roi.get("poly")
    if not poly:
        return "regions that are values of a mask" if roi.get("mask") else "labels of a whole frame"
    kind = (roi.get("meta") or {}).get("_type")
    if kind in SPATIAL_TYPES:
        return "regions in space"
    if kind == "elp":
        return _ellipse(poly) if len(poly) == 5 else "ellipses without their five numbers"
    rings = _rings(poly) if RING_SEPARATOR in poly else [poly]
    if not rings:
        return "polygons without points"
    xs = [x for ring in rings for x in ring[::2]]
    ys = [y for ring in rings for y in ring[1::2]]
    box = (min(xs), min(ys), max(xs), max(ys))
    if kind == "k2d" or len(xs) == len(rings):
        return Shape(box, points=[number for ring in rings for number in ring])
    # What is less than a triangle has no area: it leaves its box.
    areas = [ring for ring in rings if len(ring) >= 6]
    is_partial = 0 < len(areas) < len(rings)
    is_box = len(rings) == 1 and _is_upright(rings[0])
    return Shape(box, areas, is_box=is_box, is_partial=is_partial)


def _rings(poly: Sequence[float]) -> list[list[float]]:
    return [
        list(ring)
        for is_separator, ring in groupby(poly, lambda number: number == RING_SEPARATOR)
        if not is_separator
    ]


def corners(box: Sequence[float]) -> list[float]:
    """Return the corners of a box, clockwise from the top left."""
    x0, y0, x1, y1 = box
    return [x0, y0, x1, y0, x1, y1, x0, y1]


def area_of(ring: Sequence[float]) -> float:
    """Return the area of a polygon in square pixels."""
    # Around its first point: far from the origin the products would lose what they differ in.
    xs = [x - ring[0] for x in ring[::2]]
    ys = [y - ring[1] for y in ring[1::2]]
    return abs(sum(xs[i - 1] * y - xs[i] * ys[i - 1] for i, y in enumerate(ys))) / 2


def _ellipse(poly: Sequence[float]) -> Shape:
    x, y, a, b, angle = poly
    width, height = hypot(a * cos(angle), b * sin(angle)), hypot(a * sin(angle), b * cos(angle))
    ring: list[float] = []
    for number in range(ELLIPSE_POINTS):
        turn = 2 * pi * number / ELLIPSE_POINTS
        along, across = a * cos(turn), b * sin(turn)
        ring.append(round(x + along * cos(angle) - across * sin(angle), 3))
        ring.append(round(y + along * sin(angle) + across * cos(angle), 3))
    box = (x - width, y - height, x + width, y + height)
    return Shape(box, [ring], ellipse=list(poly))


def _is_upright(ring: Sequence[float]) -> bool:
    """Tell whether a ring is an upright rectangle, from whatever corner and in either turn."""
    if len(ring) != 8:
        return False
    x0, y0, x1, y1, x2, y2, x3, y3 = ring
    first_across = y0 == y1 and x1 == x2 and y2 == y3 and x3 == x0
    first_along = x0 == x1 and y1 == y2 and x2 == x3 and y3 == y0
    return first_across or first_along
