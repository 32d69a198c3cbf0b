"""What is seen, as SingleFrame regions."""

from __future__ import annotations

from math import hypot
from typing import TYPE_CHECKING, Any, Final

from frames.demo.geometry import Ring, bounds
from frames.demo.painter import CLASSES, Label, View
from frames.demo.street import VEHICLES

if TYPE_CHECKING:
    from collections.abc import Iterable

MASK_ID: Final = "seg"
# Classes that are surfaces, not things: only the mask says where they are.
_SURFACES: Final = ("sky", "building", "road", "lane marking", "pavement", "tree", "pole")
_POSE_MAX_M: Final = 32.0
_WHEEL_MIN_PX: Final = 9.0


def mask_labels() -> dict[str, Any]:
    """Return the legend of the masks, as a version's metadata keeps it."""
    legend = [{"value": list(color), "labels": [name]} for name, (_, color) in CLASSES.items()]
    return {"mask_labels": {"_all_": legend}}


def regions(view: View, source_id: str, *, masks: bool = True) -> list[dict[str, Any]]:
    """Return the regions of a picture: surfaces by the mask, then things from far to near.

    Boxes for vehicles and lights, polygons for people and signs, ellipses for wheels, key points
    for people near by. `confidence` is the share of a thing that nothing hides.
    """
    width, height = view.picture.size
    found = []
    if masks:
        for name in _SURFACES:
            index, color = CLASSES[name]
            if index in view.surfaces:
                mask = {"id": MASK_ID, "value": list(color)}
                found.append({"label": [name], "mask": mask, "sources": [source_id]})
    for label in view.labels:
        found += _of_thing(label, source_id, width, height)
    return found


def _of_thing(label: Label, source_id: str, width: int, height: int) -> Iterable[dict[str, Any]]:
    thing = label.thing
    names = [thing.kind]
    if thing.kind in VEHICLES and not thing.speed:
        names.append("parked")

    def region(
        suffix: str, names: list[str], kind: str, numbers: Iterable[float], **meta: Any
    ) -> dict[str, Any]:
        return {
            "id": f"{source_id}-{thing.track}{suffix}",
            "label": names,
            "poly": [round(number, 2) for number in numbers],
            "confidence": round(label.visible, 2),
            "sources": [source_id],
            "meta": {"_type": kind, "track": thing.track, **meta},
        }

    if thing.kind in VEHICLES or thing.kind == "traffic light":
        left, top, right, bottom = bounds(label.outline)
        box = (left, top, right, top, right, bottom, left, bottom)
        yield region("", names, "b2d", box, distance_m=label.distance_m)
    else:
        yield region("", names, "p2d", _flat(label.outline), distance_m=label.distance_m)
    for number, (cx, cy, rx, ry, angle) in enumerate(label.ellipses):
        reach = hypot(rx, ry)
        inside = reach < cx < width - reach and reach < cy < height - reach
        if inside and max(rx, ry) > _WHEEL_MIN_PX:
            wheel = region(f"-wheel-{number}", ["wheel"], "elp", (cx, cy, rx, ry))
            wheel["poly"].append(round(angle, 4))
            yield wheel
    inside = all(0 <= x < width and 0 <= y < height for x, y in label.points)
    if label.points and inside and label.distance_m < _POSE_MAX_M:
        yield region("-pose", ["pose"], "k2d", _flat(label.points))


def _flat(ring: Ring) -> list[float]:
    return [number for point in ring for number in point]
