"""A context along its time: hits, gaps and doubtful timestamps are exactly where they are."""

from __future__ import annotations

import numpy as np
import pytest

from frames.index.cache import cache
from frames.search import contexts, pages, strips
from frames.search.query import FrameQuery
from tests.factories import make_frame, make_version

FRAMES = 70_000
STEP_MS = 100.0
# The frame before each pause, and how long it is.
PAUSES = {9_999: 60_000.0, 40_000: 5_000.0, 69_000: 1_000.0}
HITS = [0, 1, 777, 9_999, 10_000, 33_333, 40_000, 40_001, 50_505, 69_000, 69_998, 69_999]


def moments() -> np.ndarray:
    steps = np.full(FRAMES, STEP_MS)
    steps[0] = 0
    for before, pause in PAUSES.items():
        steps[before + 1] = pause
    return np.cumsum(steps)


def laid(times: list[float], hits: list[int] | None = None) -> strips.Timeline:
    is_hit = np.zeros(len(times), dtype=bool)
    is_hit[hits or []] = True
    return strips.timeline(np.array(times, dtype=np.float64), is_hit)


def test_context_of_70_000_frames_shows_each_of_12_hits_and_3_gaps() -> None:
    times = moments()
    is_hit = np.zeros(FRAMES, dtype=bool)
    is_hit[HITS] = True
    found = strips.timeline(times, is_hit)
    assert found.hits.tolist() == HITS
    length = times[-1]
    assert found.places[HITS] == pytest.approx(times[HITS] / length)
    assert [gap.length for gap in found.gaps] == list(PAUSES.values())
    for gap, before in zip(found.gaps, PAUSES, strict=True):
        assert gap.begin == pytest.approx(times[before] / length)
        assert gap.end == pytest.approx(times[before + 1] / length)
    assert not len(found.shared)
    assert not len(found.stray)


def test_frames_at_the_time_of_another_are_doubtful() -> None:
    assert laid([0, 33, 33, 66, 99]).shared.tolist() == [2]


def test_cameras_that_record_together_are_not_doubtful() -> None:
    assert laid([0, 0, 33, 33, 66, 66]).shared.tolist() == []


def test_a_clock_that_was_not_set_does_not_stretch_the_rest() -> None:
    """One timestamp of 1970 among those of a day leaves that day as wide as it is."""
    day = 1_598_982_880_000.0
    found = laid([0, 12, day, day + 100, day + 200, day + 300, day + 400])
    assert found.stray.tolist() == [0, 1]
    assert found.places.tolist() == [0, 0, 0, 0.25, 0.5, 0.75, 1]
    assert found.gaps == []
    assert (found.first, found.last) == (day, day + 400)


def test_one_moment_only_has_nothing_to_doubt() -> None:
    found = laid([5, 5, 5], [1])
    assert found.places.tolist() == [0, 0.5, 1]
    assert (found.shared.tolist(), found.stray.tolist(), found.gaps) == ([], [], [])
    assert laid([7], [0]).places.tolist() == [0]


@pytest.mark.django_db
def test_marks_of_a_context_are_its_hits_and_lead_to_them() -> None:
    frames = [
        make_frame(f"f{n:04d}", timestamp=n * 10, labels=["car"] if n in (3, 4, 250) else [])
        for n in range(300)
    ]
    version = make_version(frames=frames)
    strip = pages.context_strip(version, "drive", FrameQuery(label="car"))
    assert strip is not None
    assert [mark.frame_id for mark in strip.marks] == ["f0003", "f0004", "f0250"]
    assert [mark.position for mark in strip.marks] == [3, 4, 250]
    assert [mark.place for mark in strip.marks] == pytest.approx([3 / 299, 4 / 299, 250 / 299])


@pytest.mark.django_db
def test_cards_read_no_more_rows_than_a_page_may(monkeypatch: pytest.MonkeyPatch) -> None:
    """Contexts beyond the bound come without a strip, until something else has read them."""
    frames = [
        make_frame(f"{c}{n}", context_id=c, timestamp=n, labels=["car"])
        for c in "abc"
        for n in range(4)
    ]
    version = make_version(frames=frames)
    monkeypatch.setattr(strips, "READ_MAX", 9)
    cache.clear()
    page = pages.group_page(version, FrameQuery(label="car"), 10)
    assert [row.timeline is not None for row in page.items] == [True, True, False]
    pages.context_strip(version, "c", FrameQuery())
    page = pages.group_page(version, FrameQuery(label="car"), 10)
    assert [row.timeline is not None for row in page.items] == [True, True, True]


@pytest.mark.django_db
def test_a_large_context_is_read_like_a_small_one(monkeypatch: pytest.MonkeyPatch) -> None:
    frames = [
        make_frame(f"{c}{n}", context_id=c, timestamp=9 - n, labels=["car"] * (n == 2))
        for c in "ab"
        for n in range(4)
    ]
    version = make_version(frames=frames)
    found = []
    for small in (2_000, 1):
        monkeypatch.setattr(contexts, "_SMALL", small)
        cache.clear()
        page = pages.group_page(version, FrameQuery(label="car"), 10)
        found.append([row.timeline.hits.tolist() for row in page.items if row.timeline])
    assert found == [[[1], [1]], [[1], [1]]]
