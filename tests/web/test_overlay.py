"""Regions become shapes and words."""

from __future__ import annotations

from typing import Any

import pytest

from frames.formats.singleframe import RING_SEPARATOR
from frames.web.labels import Label, distinct_labels
from frames.web.overlay import is_frame_label, shape_of, shapes_on

BOX = [0, 0, 10, 0, 10, 5, 0, 5]


@pytest.mark.parametrize(
    ("roi", "words", "path"),
    [
        ({"poly": BOX}, "box 0,0-10,5", "M0 0L10 0L10 5L0 5Z"),
        (
            {"poly": [0, 0, 10, 5, 10, 0, 0, 5]},  # crossed, so no box
            "polygon of 4 points within 0,0-10,5",
            "M0 0L10 5L10 0L0 5Z",
        ),
        (
            {"poly": [0.5, 1.255, 3, 0, 2, 2]},
            "polygon of 3 points within 0.5,0-3,2",
            "M0.5 1.25L3 0L2 2Z",
        ),
        (
            {"poly": [0, 0, 9, 0, 9, 9, RING_SEPARATOR, 1, 1, 2, 1, 2, 2]},
            "polygon of 6 points within 0,0-9,9, 2 rings",
            "M0 0L9 0L9 9ZM1 1L2 1L2 2Z",
        ),
        (
            {"poly": [0, 0, 9, 0, 9, 9, float(RING_SEPARATOR), 1, 1, 2, 1, 2, 2]},
            "polygon of 6 points within 0,0-9,9, 2 rings",
            "M0 0L9 0L9 9ZM1 1L2 1L2 2Z",
        ),
        ({"poly": [-1, -2, 3, 4]}, "polygon of 2 points within -1,-2-3,4", "M-1 -2L3 4Z"),
    ],
)
def test_polygons(roi: dict[str, Any], words: str, path: str) -> None:
    shape = shape_of(roi, 0)
    assert (shape.words, shape.path) == (words, path)
    assert shape.is_drawn


def test_key_points_are_points() -> None:
    shape = shape_of({"poly": [1, 2, 3, 4.5], "meta": {"_type": "k2d"}}, 0)
    assert shape.points == (("1", "2"), ("3", "4.5"))
    assert shape.words == "2 key points within 1,2-3,4.5"
    assert shape_of({"poly": [7, 8]}, 0).points == (("7", "8"),)


def test_ellipse_is_turned_by_degrees_that_were_radians() -> None:
    shape = shape_of({"poly": [50, 40, 20, 10, 3.141592653589793 / 2], "meta": {"_type": "elp"}}, 0)
    assert shape.ellipse is not None
    assert shape.ellipse.angle == "90"
    assert shape.words == "ellipse at 50,40, radii 20,10, turned 90°"


@pytest.mark.parametrize(
    "roi",
    [
        {"poly": list(range(9)), "meta": {"_type": "b3d"}},
        {"poly": [1, 2, 3], "meta": {"_type": "elp"}},
        {"mask": {"id": "seg", "value": [1, 2, 3]}},
        {"mask": {}},
    ],
)
def test_what_cannot_be_drawn_is_said(roi: dict[str, Any]) -> None:
    shape = shape_of(roi, 0)
    assert not shape.is_drawn
    assert shape.words


def test_box_holds_the_region() -> None:
    assert shape_of({"poly": [4, 9, 1, 2, 7, 3]}, 0).box == (1, 2, 7, 9)
    turned = shape_of({"poly": [50, 40, 20, -10, 1], "meta": {"_type": "elp"}}, 0)
    assert turned.box == (30, 20, 70, 60)
    assert turned.edge == 40


@pytest.mark.parametrize("poly", [[RING_SEPARATOR], [RING_SEPARATOR, RING_SEPARATOR]])
def test_empty_rings_are_no_error(poly: list[float]) -> None:
    assert shape_of({"poly": poly}, 0).points == (("0", "0"),)


def test_description_is_one_line() -> None:
    roi = {"label": ["car", "parked"], "poly": BOX, "confidence": 0.934}
    assert shape_of(roi, 0).description == "car, parked, box 0,0-10,5, 0.93"
    assert shape_of({"poly": BOX}, 0).description == "no label, box 0,0-10,5"


def test_region_is_on_its_sources_and_a_global_one_on_all() -> None:
    rois: list[dict[str, Any]] = [
        {"label": ["a"], "poly": BOX, "sources": ["front"]},
        {"label": ["b"], "poly": BOX, "sources": ["rear", "front"]},
        {"label": ["c"], "poly": BOX, "sources": []},
        {"label": ["d"], "poly": BOX},
        {"label": ["frame"]},
    ]
    assert [shape.name for shape in shapes_on(rois, "front")] == ["a", "b", "c", "d"]
    assert [shape.name for shape in shapes_on(rois, "rear")] == ["b", "c", "d"]
    # The number tells a shape from all others of its frame, whatever the source.
    assert [shape.number for shape in shapes_on(rois, "rear")] == [1, 2, 3]


def test_private_metadata_is_not_shown() -> None:
    roi = {"poly": BOX, "meta": {"_type": "b2d", "_id": "x", "alive": "no"}}
    assert shape_of(roi, 0).meta == {"alive": "no"}


def test_frame_label_has_no_geometry() -> None:
    assert is_frame_label({"label": ["rain"]})
    assert not is_frame_label({"label": ["car"], "mask": {"id": "seg"}})


def test_look_of_a_label_never_changes() -> None:
    # Kept in people's eyes and screenshots: a change here is a change for everyone.
    assert Label("car").style == "hue-5 dash-3"
    assert Label("person").style == "hue-6 dash-2"
    assert Label("").style == "hue-0 dash-0"


def test_labels_of_a_frame_are_named_once() -> None:
    rois = [{"label": ["car", "bus"]}, {"label": ["bus"]}, {}, {"label": ["sign"]}]
    assert distinct_labels(rois) == ["car", "bus", "sign"]
