"""The labels are where the picture shows the things."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter

from frames.demo import painter
from frames.demo.geometry import Camera, bounds
from frames.demo.labels import mask_labels, regions
from frames.demo.moods import CLEAR, MOODS, RAIN
from frames.demo.painter import CLASSES, View, ellipse_ring, paint
from frames.demo.street import LANE_M, build_street

WIDTH, HEIGHT = 640, 360


@cache
def view(mood: str = "clear", time_s: float = 1.0, *, backward: bool = False) -> View:
    street = build_street(7, ego_speed=12, lit_share=0.2, start=-140, end=300)
    camera = Camera(
        LANE_M / 2, 1.45, 12 * time_s, WIDTH, HEIGHT, 410, horizon=0.47, backward=backward
    )
    return paint(street, camera, {one.name: one for one in MOODS}[mood], time_s)


@pytest.mark.parametrize("backward", [False, True])
def test_the_pixels_of_a_thing_lie_in_its_outline(
    monkeypatch: pytest.MonkeyPatch, backward: bool
) -> None:
    """Pixels of a class are covered by the outlines of the things of that class."""
    monkeypatch.setattr(painter, "MIN_VISIBLE_PX", 1)
    seen = view.__wrapped__(backward=backward)
    classes = np.asarray(seen.classes)
    for name in ("car", "pedestrian", "bicyclist", "van", "truck", "bus"):
        covered = Image.new("L", (WIDTH, HEIGHT))
        for label in seen.labels:
            if label.thing.kind == name:
                ImageDraw.Draw(covered).polygon(label.outline, fill=255)
        # Pillow rounds an edge that leaves the picture a little differently.
        covered = covered.filter(ImageFilter.MaxFilter(5))
        of_class = classes == CLASSES[name][0]
        assert not (of_class & (np.asarray(covered) == 0)).any()


def test_a_thing_that_nothing_hides_fills_its_outline() -> None:
    whole = [label for label in view().labels if label.visible > 0.98]
    assert whole
    classes = np.asarray(view().classes)
    for label in whole:
        inside = Image.new("L", (WIDTH, HEIGHT))
        ImageDraw.Draw(inside).polygon(label.outline, fill=255)
        pixels = classes[np.asarray(inside) > 0]
        assert (pixels == CLASSES[label.thing.kind][0]).mean() > 0.9


def test_boxes_are_the_bounds_of_the_outlines() -> None:
    seen = view()
    boxes = {
        roi["meta"]["track"]: roi["poly"]
        for roi in regions(seen, "front")
        if roi.get("meta", {}).get("_type") == "b2d"
    }
    assert boxes
    for label in seen.labels:
        if label.thing.track in boxes:
            left, top, right, bottom = (round(edge, 2) for edge in bounds(label.outline))
            box = [left, top, right, top, right, bottom, left, bottom]
            assert boxes[label.thing.track] == box


@pytest.mark.parametrize("backward", [False, True])
@pytest.mark.parametrize("time_s", [0.0, 1.0, 2.4])
def test_every_region_lies_in_the_picture(time_s: float, backward: bool) -> None:
    found = regions(view(time_s=time_s, backward=backward), "front")
    for roi in found:
        poly = roi.get("poly", [])
        if roi.get("meta", {}).get("_type") == "elp":
            ring = ellipse_ring((poly[0], poly[1], poly[2], poly[3], poly[4]))
            poly = [number for point in ring for number in point]
        assert all(0 <= x <= WIDTH for x in poly[0::2])
        assert all(0 <= y <= HEIGHT for y in poly[1::2])
        assert 0 <= roi.get("confidence", 1) <= 1


def test_there_is_a_shape_of_every_kind() -> None:
    kinds = {roi.get("meta", {}).get("_type") for roi in regions(view(), "front")}
    assert kinds == {None, "b2d", "p2d", "elp", "k2d"}


def test_regions_differ_in_their_ids() -> None:
    ids = [roi["id"] for roi in regions(view(), "front") if "id" in roi]
    assert len(ids) == len(set(ids))


def test_surfaces_are_labelled_by_the_mask() -> None:
    seen = view()
    legend = {entry["labels"][0]: entry["value"] for entry in mask_labels()["mask_labels"]["_all_"]}
    for roi in regions(seen, "front"):
        if "mask" in roi:
            (name,) = roi["label"]
            assert roi["mask"]["value"] == legend[name]
            assert (np.asarray(seen.classes) == CLASSES[name][0]).any()


def test_nothing_is_seen_through_another_thing() -> None:
    for label in view().labels:
        assert 0 < label.visible <= 1
        assert label.visible_px > 0


def test_the_same_street_looks_the_same_again() -> None:
    again = view.__wrapped__("rain", 0.5)
    assert again.picture.tobytes() == view("rain", 0.5).picture.tobytes()
    assert again.classes.tobytes() == view("rain", 0.5).classes.tobytes()


def test_rain_changes_the_picture_and_not_the_classes() -> None:
    street = build_street(7, ego_speed=12, lit_share=0.2, start=-140, end=300)
    camera = Camera(LANE_M / 2, 1.45, 0, WIDTH, HEIGHT, 410)
    dry, wet = (paint(street, camera, mood, 0.0) for mood in (CLEAR, RAIN))
    assert dry.picture.tobytes() != wet.picture.tobytes()
    lamps = {CLASSES["pole"][0]}
    different = np.asarray(dry.classes) != np.asarray(wet.classes)
    assert set(np.asarray(wet.classes)[different]) <= lamps
