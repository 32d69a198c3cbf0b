"""Regions as shapes to draw over a picture and as words for who does not see them.

Pure: regions as SingleFrame JSON in, shapes out. A region's numbers are pixels of the source,
origin top left, y down.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby, pairwise
from math import degrees
from typing import TYPE_CHECKING, Any, Final

from frames.formats.singleframe import RING_SEPARATOR
from frames.web.labels import Label
from frames.web.text import plural, value_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

# `meta._type` of regions in space, which a picture cannot show without a calibration.
SPATIAL_TYPES: Final = {"p3d": "3D polygon", "k3d": "3D key points", "b3d": "3D box"}


@dataclass(frozen=True, slots=True)
class Ellipse:
    """An ellipse; radii in px along its own axes, turned by `angle` degrees clockwise."""

    cx: str
    cy: str
    rx: str
    ry: str
    angle: str


@dataclass(frozen=True, slots=True)
class Shape:
    """One region.

    One of `path` (SVG path data), `ellipse` and `points` is set where it can be drawn; `box` is
    what it lies in: x and y of its least and greatest corner. `in_mask` says that it is a value
    of a mask. `words` say its geometry: "box 12,40-96,210".
    """

    number: int
    labels: tuple[Label, ...]
    confidence: float | None
    words: str
    meta: dict[str, Any]
    sources: tuple[str, ...]
    path: str = ""
    ellipse: Ellipse | None = None
    points: tuple[tuple[str, str], ...] = ()
    box: tuple[float, float, float, float] = (0, 0, 0, 0)
    in_mask: bool = False

    @property
    def name(self) -> str:
        """The labels as one text."""
        return ", ".join(label.text for label in self.labels) or "no label"

    @property
    def meta_text(self) -> str:
        """The metadata in words, empty where there is none."""
        return " · ".join(f"{key} {value_text(value)}" for key, value in self.meta.items())

    @property
    def style(self) -> str:
        """CSS classes of the first label's look."""
        return self.labels[0].style if self.labels else "hue-none dash-0"

    @property
    def edge(self) -> float:
        """The longer side of its box."""
        return max(self.box[2] - self.box[0], self.box[3] - self.box[1])

    @property
    def is_drawn(self) -> bool:
        """Whether there is something to draw."""
        return bool(self.path or self.ellipse or self.points)

    @property
    def confidence_text(self) -> str:
        """The confidence with two decimals, empty when unknown."""
        return "" if self.confidence is None else f"{self.confidence:.2f}"

    @property
    def description(self) -> str:
        """The region in one line: "car, box 12,40-96,210, 0.93"."""
        return ", ".join(part for part in (self.name, self.words, self.confidence_text) if part)


def is_frame_label(roi: dict[str, Any]) -> bool:
    """Tell whether a region has labels and no geometry: it labels the frame as a whole."""
    return not roi.get("poly") and not roi.get("mask")


def shapes_on(rois: Iterable[dict[str, Any]], source_id: str) -> list[Shape]:
    """Return the regions of one source in order; a region that names no source is on all."""
    return [
        shape_of(roi, number)
        for number, roi in enumerate(rois)
        if not is_frame_label(roi) and source_id in (roi.get("sources") or (source_id,))
    ]


def shape_of(roi: dict[str, Any], number: int) -> Shape:
    """Return one region as a shape; `number` tells it from the frame's others."""
    meta = roi.get("meta") or {}
    poly = roi.get("poly") or []
    kind = meta.get("_type")
    path, ellipse = "", None
    box: tuple[float, float, float, float] = (0, 0, 0, 0)
    points: tuple[tuple[str, str], ...] = ()
    if not poly:
        mask = roi.get("mask") or {}
        words = f"mask {mask.get('id', '')} value {_values(mask.get('value'))}".replace("  ", " ")
    elif kind in SPATIAL_TYPES:
        words = f"{SPATIAL_TYPES[kind]}, not drawn"
    elif kind == "elp" and len(poly) == 5:
        # The SDK's ellipse is cx, cy, rx, ry and an angle in radians.
        x, y, *radii, theta = poly
        cx, cy, rx, ry = map(_px, poly[:4])
        ellipse = Ellipse(cx, cy, rx, ry, _px(degrees(theta)))
        words = f"ellipse at {cx},{cy}, radii {rx},{ry}, turned {ellipse.angle}°"
        # Whatever its angle, it reaches no further than its longer radius.
        reach = max(map(abs, radii))
        box = (x - reach, y - reach, x + reach, y + reach)
    elif kind == "elp":
        words = "ellipse without its five numbers, not drawn"
    else:
        rings = _rings(poly)
        xs = [x for ring in rings for x, _ in ring]
        ys = [y for ring in rings for _, y in ring]
        box = (min(xs), min(ys), max(xs), max(ys))
        corners = "{},{}-{},{}".format(*map(_px, box))
        if kind == "k2d" or max(map(len, rings)) < 2:
            points = tuple((_px(x), _px(y)) for ring in rings for x, y in ring)
            words = f"{plural(len(points), 'key point')} within {corners}"
        else:
            path = "".join(_ring_path(ring) for ring in rings)
            if len(rings) == 1 and _is_box(rings[0]):
                words = f"box {corners}"
            else:
                words = f"polygon of {plural(len(xs), 'point')} within {corners}"
                if len(rings) > 1:
                    words = f"{words}, {len(rings)} rings"
    return Shape(
        number=number,
        labels=tuple(map(Label, roi.get("label") or ())),
        confidence=roi.get("confidence"),
        words=words,
        meta={key: value for key, value in meta.items() if not key.startswith("_")},
        sources=tuple(roi.get("sources") or ()),
        path=path,
        ellipse=ellipse,
        points=points,
        box=box,
        in_mask=not poly,
    )


def _rings(poly: Sequence[float]) -> list[list[tuple[float, float]]]:
    """Split x, y, x, y, … at the separator; never empty."""
    rings = []
    for is_separator, numbers in groupby(poly, lambda number: number == RING_SEPARATOR):
        if not is_separator:
            ring = list(numbers)
            rings.append(list(zip(ring[::2], ring[1::2], strict=False)))
    return rings or [[(0, 0)]]


def _ring_path(ring: list[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{_px(x)} {_px(y)}" for x, y in ring) + "Z"


def _is_box(ring: list[tuple[float, float]]) -> bool:
    """Tell whether four points are the corners of an upright rectangle, in order."""
    if len(ring) != 4 or len({x for x, _ in ring}) != 2 or len({y for _, y in ring}) != 2:
        return False
    return all((a[0] == b[0]) != (a[1] == b[1]) for a, b in pairwise(ring))


def _px(value: float) -> str:
    """Return a coordinate with two decimals at most: 12, 12.5, 12.25."""
    text = f"{value:.2f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def _values(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)
