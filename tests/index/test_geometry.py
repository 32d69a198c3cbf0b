"""Defects of geometry: what counts as one, and that a batch finds exactly those."""

from __future__ import annotations

from math import pi
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frames.formats.base import SourceData
from frames.index.geometry import (
    OUTSIDE,
    RING_SEPARATOR,
    ZERO_AREA,
    GeometryBatch,
    frame_defects,
    region_defects,
)

WIDTH, HEIGHT = 640, 480


def source(name: str = "front", width: int | None = WIDTH, height: int | None = HEIGHT) -> Any:
    return SourceData(name, f"https://example.com/{name}.jpg", "", width, height)


def region(poly: list[float], kind: str = "", **more: Any) -> dict[str, Any]:
    return {"poly": poly, **({"meta": {"_type": kind}} if kind else {}), **more}


def box(left: float, top: float, right: float, bottom: float) -> list[float]:
    return [left, top, right, top, right, bottom, left, bottom]


HOLE = [*box(10, 10, 90, 90), RING_SEPARATOR, *box(20, 20, 30, 30)]


@pytest.mark.parametrize(
    "fine",
    [
        region(box(10, 20, 30, 40), "b2d"),
        region(box(0, 0, WIDTH, HEIGHT)),
        region(box(-0.7, -1, WIDTH + 0.4, HEIGHT + 1)),
        region(box(100, 100, 100.02, 100.02)),
        region([0, 0, 600, 0.01, 0, 0.02]),
        region(HOLE, "p2d"),
        region([*box(1, 1, 2, 2), RING_SEPARATOR, 5, 5, 9, 9]),
        region([320, 240, 100, 50, pi / 4], "elp"),
        region([320, 240, 100, 1e-3, pi / 4], "elp"),
        region([320, 240, 100, 50], "elp"),
        region([5, 5], "k2d"),
        region([5, 5, 9, 9, 5, 5], "k2d"),
        region([5, 5, RING_SEPARATOR, 9, 9]),
        region([5, 5]),
        region([RING_SEPARATOR]),
        region([-9, -9, 1e6, 1, 2, 3, 4, 5], "b3d"),
        region([], label=["night"]),
        {"label": ["night"]},
        {"mask": {"id": "00", "value": [1, 2, 3]}, "label": ["road"]},
    ],
)
def test_a_sound_region_has_no_defect(fine: dict[str, Any]) -> None:
    assert region_defects(fine, [source()]) == []


@pytest.mark.parametrize(
    "flat",
    [
        region(box(10, 10, 10, 40), "b2d"),
        region(box(10, 10, 40, 10)),
        region(box(10, 10, 10, 10)),
        region([10, 10, 20, 20]),
        region([0.1, 0.1, 0.2, 0.2, 0.7, 0.7, 600.3, 600.3][:6]),
        region([10.3, 20.6, 33.1, 66.2, 100.7, 201.4]),
        region([1, 1, 9, 9, RING_SEPARATOR, 3, 3, 3, 9]),
        region([320, 240, 0, 50, 0.3], "elp"),
        region([320, 240, 0, 0, 0], "elp"),
    ],
)
def test_a_region_without_area_is_found(flat: dict[str, Any]) -> None:
    assert region_defects(flat, [source()]) == [ZERO_AREA]


@pytest.mark.parametrize(
    "out",
    [
        region(box(-1.1, 10, 30, 40)),
        region(box(10, -2, 30, 40)),
        region(box(600, 10, WIDTH + 1.1, 40), "b2d"),
        region(box(600, 10, 620, HEIGHT + 2)),
        region(box(-90, -90, -10, -10)),
        region([*HOLE, RING_SEPARATOR, *box(700, 20, 710, 30)]),
        region([630, 240, 20, 5, 0], "elp"),
        region([630, 240, 5, 20, pi / 2], "elp"),
        region([5, 5, 700, 9], "k2d"),
        region([-5, 5]),
    ],
)
def test_a_region_outside_of_its_picture_is_found(out: dict[str, Any]) -> None:
    assert region_defects(out, [source()]) == [OUTSIDE]


def test_a_turned_ellipse_reaches_as_far_as_it_is_turned() -> None:
    assert region_defects(region([635, 240, 5, 20, 0], "elp"), [source()]) == []
    assert region_defects(region([635, 240, 20, 5, pi / 2], "elp"), [source()]) == []


def test_a_picture_of_unknown_size_has_no_edge() -> None:
    far = region(box(5_000, 10, 6_000, 40))
    assert region_defects(far, [source(width=None)]) == []
    assert region_defects(far, [source(height=None)]) == []


def test_a_region_is_measured_on_the_sources_it_is_on() -> None:
    sources = [source("small"), source("large", 1920, 1080)]
    wide = box(10, 10, 1_000, 40)
    assert region_defects(region(wide, sources=["small"]), sources) == [OUTSIDE]
    assert region_defects(region(wide, sources=["large"]), sources) == []
    assert region_defects(region(wide, sources=["small", "large"]), sources) == []
    assert region_defects(region(wide), sources) == []
    assert region_defects(region(wide, sources=["gone"]), sources) == []
    assert region_defects(region(box(10, 10, 2_000, 40)), sources) == [OUTSIDE]


coordinates = st.one_of(
    st.integers(-3, 12),
    st.sampled_from([639, 640, 641, 641.5, 700, 0.1, 0.3, 1e15, -1e15, RING_SEPARATOR]),
    st.floats(-1e6, 1e6),
)
kinds = st.sampled_from(["", "b2d", "p2d", "elp", "k2d", "p3d", "b3d"])


@st.composite
def frames(draw: st.DrawFn) -> tuple[list[dict[str, Any]], list[Any]]:
    """Return regions of every shape, most of them with a straight line or an edge, and sources."""
    names = draw(st.lists(st.sampled_from(["a", "b"]), min_size=1, max_size=2, unique=True))
    sizes = st.sampled_from([None, 5, 640])
    sources = [source(name, draw(sizes), draw(sizes)) for name in names]
    rois = []
    for _ in range(draw(st.integers(0, 4))):
        poly = draw(st.lists(coordinates, max_size=12))
        if draw(st.booleans()):
            x, y = draw(st.tuples(coordinates, coordinates))
            dx, dy = draw(st.tuples(st.floats(-9, 9), st.floats(-9, 9)))
            steps = draw(st.lists(st.floats(-9, 9), min_size=1, max_size=5))
            poly = [number for step in steps for number in (x + step * dx, y + step * dy)]
        on = draw(st.lists(st.sampled_from(["a", "b", "c"]), max_size=2))
        rois.append(region(poly, draw(kinds), **({"sources": on} if on else {})))
    return rois, sources


@given(batch=st.lists(frames(), max_size=8))
def test_a_batch_finds_what_each_region_has(
    batch: list[tuple[list[dict[str, Any]], list[Any]]],
) -> None:
    found = GeometryBatch()
    for number, (rois, sources) in enumerate(batch):
        if rois:
            found.add(number, rois, sources)
    found.flush()
    for defect in (ZERO_AREA, OUTSIDE):
        wanted = [n for n, (rois, on) in enumerate(batch) if defect in frame_defects(rois, on)]
        assert found.found[defect].tolist() == wanted


def test_a_batch_is_asked_in_parts_and_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("frames.index.geometry._NUMBERS_AT_ONCE", 20)
    found = GeometryBatch()
    for number in range(50):
        found.add(number, [region(box(1, 1, 1 + number % 2, 9))] * 2, [source()])
    found.flush()
    assert found.found[ZERO_AREA].tolist() == list(range(0, 50, 2))
    assert found.found[OUTSIDE].tolist() == []
