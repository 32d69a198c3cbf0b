"""Where a camera sees the points of the street."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from frames.demo.geometry import (
    Camera,
    Ring,
    area,
    bounds,
    clipped_to_picture,
    convex_hull,
    projected_circle,
)

CAMERA = Camera(x=1.0, y=1.5, z=10.0, width=640, height=480, focal_px=500, horizon=0.5)
BACKWARD = Camera(
    x=1.0, y=1.5, z=10.0, width=640, height=480, focal_px=500, horizon=0.5, backward=True
)

points = st.lists(
    st.tuples(st.floats(-900, 1500), st.floats(-900, 1500)), min_size=3, max_size=12, unique=True
)


def test_the_middle_of_the_picture_is_straight_ahead() -> None:
    (ahead, *_) = CAMERA.ring([(1.0, 1.5, 60.0), (2.0, 1.5, 60.0), (1.0, 2.5, 60.0)])
    assert ahead == (320, 240)


def test_right_is_right_and_up_is_up() -> None:
    ring = CAMERA.ring([(1.0, 1.5, 60.0), (2.0, 1.5, 60.0), (1.0, 2.5, 60.0)])
    assert ring == [(320, 240), (330, 240), (320, 230)]


def test_a_camera_that_looks_back_sees_the_other_side_on_its_right() -> None:
    ring = BACKWARD.ring([(1.0, 1.5, -40.0), (2.0, 1.5, -40.0), (1.0, 2.5, -40.0)])
    assert ring == [(320, 240), (310, 240), (320, 230)]


def test_what_lies_behind_is_cut_away() -> None:
    road = [(-3.0, 0.0, 0.0), (3.0, 0.0, 0.0), (3.0, 0.0, 100.0), (-3.0, 0.0, 100.0)]
    ring = CAMERA.ring(road)
    assert len(ring) == 4
    assert all(math.isfinite(x) and y > 240 for x, y in ring)
    assert CAMERA.ring([(x, y, z - 200) for x, y, z in road]) == []
    assert CAMERA.hull([(x, y, z) for x, y, z in road]) == []


def is_convex(ring: Ring) -> bool:
    turns = [
        (b[0] - a[0]) * (c[1] - b[1]) - (b[1] - a[1]) * (c[0] - b[0])
        for a, b, c in zip(ring, ring[1:] + ring[:1], ring[2:] + ring[:2], strict=True)
    ]
    return all(turn > 0 for turn in turns)


@given(points)
def test_a_hull_is_convex_and_holds_its_points(given_points: Ring) -> None:
    hull = convex_hull(given_points)
    assume(len(hull) > 2)
    assert set(hull) <= set(given_points)
    assert is_convex(hull)
    assert convex_hull(hull) == hull
    # A corner 1e-97 off the line of its neighbours is on it, as far as floats can tell.
    assert bounds(hull) == pytest.approx(bounds(given_points), abs=1e-9)


@given(points)
def test_a_clipped_polygon_lies_in_the_picture(given_points: Ring) -> None:
    hull = convex_hull(given_points)
    assume(len(hull) > 2)
    clipped = clipped_to_picture(hull, 640, 480)
    if clipped:
        left, top, right, bottom = bounds(clipped)
        assert left >= 0
        assert top >= 0
        assert right <= 640
        assert bottom <= 480
    assert area(clipped) <= area(hull) * (1 + 1e-9) if clipped else True
    if all(0 <= x <= 640 and 0 <= y <= 480 for x, y in hull):
        assert clipped == hull


@given(
    st.tuples(st.floats(-20, 20), st.floats(-1, 6), st.floats(14, 80)),
    st.floats(0.1, 2),
    st.floats(0, math.tau),
)
def test_a_circle_is_seen_as_the_ellipse_through_its_points(
    centre: tuple[float, float, float], radius: float, turn: float
) -> None:
    u, v = (0.0, 0.0, radius), (0.0, radius, 0.0)
    assume(abs(centre[0] - CAMERA.x) > 0.5)
    ellipse = projected_circle(CAMERA, centre, u, v)
    assert ellipse is not None
    point = np.array(centre) + math.cos(turn) * np.array(u) + math.sin(turn) * np.array(v)
    (x, y), *_ = CAMERA.ring([point.tolist()] * 3)
    cx, cy, rx, ry, angle = ellipse
    along = (x - cx) * math.cos(angle) + (y - cy) * math.sin(angle)
    across = -(x - cx) * math.sin(angle) + (y - cy) * math.cos(angle)
    assert math.hypot(along / rx, across / ry) == pytest.approx(1, abs=1e-4)


def test_a_circle_partly_behind_the_camera_is_none() -> None:
    assert projected_circle(CAMERA, (3, 0, 10.5), (0, 0, 1), (0, 1, 0)) is None
