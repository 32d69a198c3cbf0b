"""Distributions equal a count over the frames' JSON; each bar's text finds what it counts."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from django.core.cache import cache as shared_cache
from django.db import connection
from django.test.utils import CaptureQueriesContext
from hypothesis import given
from hypothesis import strategies as st

from frames.index.cache import cache
from frames.index.reader import DatasetIndex
from frames.models import Frame, Version
from frames.search.errors import QueryError
from frames.search.lucene import frames_matching
from frames.search.query import FrameQuery
from frames.search.statistics import Count, Statistics, StatisticsQuery, statistics
from tests.factories import make_frame, make_version
from tests.properties import tries
from tests.search import brute

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.django_db

KEYS = ["rois.label", "rois.confidence", "rois.sources", "rois.meta.n", "meta.n", "meta.weather"]
KEYS += ["label", "timestamp", "sources.id", "sources.width", "meta.n.deep"]


def frames_with(version: Version, text: str) -> set[str]:
    index = DatasetIndex(version.dataset)
    found = frames_matching(index, index.members(version), text)
    return set(Frame.objects.at(version.dataset, found).values_list("frame_id", flat=True))


def scalars(frame: dict[str, Any], region: dict[str, Any] | None, key: str) -> list[Any]:
    """Return the values of a key that a region has, or a frame."""
    if region is not None and key.startswith("rois."):
        return list(brute._scalars(region, key.split(".")[1:], False))
    return list(brute._frame_values(frame, key, False))


def having_any(frame: dict[str, Any], region: dict[str, Any] | None, key: str) -> bool:
    if region is not None and key.startswith("rois."):
        found: Iterator[Any] = brute._scalars(region, key.split(".")[1:], True)
    else:
        found = brute._frame_values(frame, key, True)
    return any(value is not None for value in found)


def assert_equals_frames(
    found: Statistics,
    wanted: StatisticsQuery,
    counted: list[tuple[dict[str, Any], dict[str, Any] | None]],
) -> None:
    key = in_space(wanted)
    values = [scalars(frame, region, key) for frame, region in counted]
    spelt: Counter[str] = Counter()
    for own in values:
        spelt.update({value for value in own if isinstance(value, str)})
        # Apart from the texts: true and "true" are two rows.
        spelt.update({str(value).lower() for value in own if isinstance(value, bool)})
    got: Counter[str] = Counter()
    for item in found.values:
        got[item.value] += item.count
    assert got == spelt
    for item in found.bins:
        is_last = item is found.bins[-1]
        assert item.count == sum(
            any(lies_in(item, value, is_last=is_last) for value in own) for own in values
        )
    if not found.bins:
        assert not any(type(value) in (int, float) for own in values for value in own)
    if found.is_known:
        assert found.missing == sum(not having_any(f, region, key) for f, region in counted)


@tries(40)
@given(
    frames=brute.datasets(),
    asked=st.one_of(st.none(), brute.filters()),
    where=st.one_of(st.none(), brute.filters("rois")),
    key=st.sampled_from(KEYS),
    by_region=st.booleans(),
)
def test_s1_s2_s3_s4_any_property_under_any_filter_equals_a_count_of_the_json(
    frames: list[Any],
    asked: brute.Filter | None,
    where: brute.Filter | None,
    key: str,
    by_region: bool,
) -> None:
    version = make_version(frames=frames)
    plain = list(brute.as_json(version).values())
    query = FrameQuery(q=brute.text_of(asked, version) if asked else "")
    text = brute.text_of(where) if where and by_region else ""
    wanted = StatisticsQuery("roi" if by_region else "frame", text, key)
    found = statistics(version, query, wanted)
    kept = [frame for frame in plain if not asked or brute.holds(asked, frame)]
    regions = [
        (frame, roi)
        for frame in kept
        for at, roi in enumerate(frame["rois"])
        if not text or (where and at in brute.regions_of(where, frame))
    ]
    assert found.frames == len(kept)
    assert found.annotations == len(regions)
    assert found.annotated == len({frame["id"] for frame, _ in regions})
    counted: list[tuple[dict[str, Any], dict[str, Any] | None]] = [*regions]
    if not by_region:
        counted = [(frame, None) for frame in kept]
    assert_equals_frames(found, wanted, counted)
    last = found.bins[-1] if found.bins else None
    for item in [*found.values, *found.bins]:
        if item.clause:
            assert frames_with(version, item.clause) == {
                frame["id"]
                for frame, region in counted
                if has(item, scalars(frame, region, in_space(wanted)), is_last=item is last)
            }, item.clause
    if found.is_known and found.missing:
        assert frames_with(version, found.missing_clause) == {
            frame["id"]
            for frame, region in counted
            if not having_any(frame, region, in_space(wanted))
        }


def in_space(wanted: StatisticsQuery) -> str:
    return "rois.label" if wanted.key == "label" and wanted.counted == "roi" else wanted.key


def has(item: Count, own: list[Any], *, is_last: bool) -> bool:
    if item.low is None or item.high is None:
        return any(brute._is_equal(value, item.value) for value in own)
    return any(lies_in(item, value, is_last=is_last) for value in own)


def lies_in(item: Count, value: Any, *, is_last: bool) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    assert item.low is not None
    assert item.high is not None
    return item.low <= value and (value < item.high or (is_last and value == item.high))


@pytest.fixture
def street() -> Version:
    """Three frames: four cars of which two are sure, a person, a region without a label."""
    car: dict[str, Any] = {"label": ["car"], "confidence": 0.4}
    sure: dict[str, Any] = {"label": ["car"], "confidence": 0.9}
    rois: list[list[dict[str, Any]]] = [
        [car, sure, {"label": ["person"], "confidence": 0.9}],
        [sure, car, {"label": []}],
        [],
    ]
    return make_version(
        frames=[
            make_frame(f"f{n}", rois=own, meta={"light": ["dusk", "day", "day"][n]})
            for n, own in enumerate(rois)
        ]
    )


def counts(found: Statistics) -> dict[str, int]:
    return {item.value: item.count for item in found.values}


def test_s1_the_filter_scopes_what_is_counted(street: Version) -> None:
    found = statistics(street, FrameQuery(q="meta.light:day"), StatisticsQuery())
    assert counts(found) == {"car": 2}
    assert (found.annotations, found.annotated, found.frames, found.missing) == (3, 1, 2, 1)
    labelled = statistics(street, FrameQuery(label="person"), StatisticsQuery())
    assert counts(labelled) == {"car": 2, "person": 1}


def test_s2_type_counts_regions_or_frames(street: Version) -> None:
    assert counts(statistics(street, FrameQuery(), StatisticsQuery("roi"))) == {
        "car": 4,
        "person": 1,
    }
    by_frame = statistics(street, FrameQuery(), StatisticsQuery("frame"))
    assert counts(by_frame) == {"car": 2, "person": 1}
    assert by_frame.missing == 1
    lights = statistics(street, FrameQuery(), StatisticsQuery("roi", key="meta.light"))
    assert counts(lights) == {"dusk": 3, "day": 3}


def test_s3_only_regions_that_match_are_counted(street: Version) -> None:
    wanted = StatisticsQuery(where="confidence:[0.8 TO 1]")
    found = statistics(street, FrameQuery(), wanted)
    assert counts(found) == {"car": 2, "person": 1}
    assert (found.annotations, found.annotated, found.frames) == (3, 2, 3)
    assert found.values[0].clause == 'rois:((confidence:[0.8 TO 1]) AND label:"car")'
    with pytest.raises(QueryError) as refused:
        statistics(street, FrameQuery(), StatisticsQuery(where="label:(car"))
    assert refused.value.field == "where"
    by_frame = StatisticsQuery.from_params({"count": "frame", "where": "car"})
    assert by_frame == StatisticsQuery("frame")


def test_s4_numbers_are_a_histogram_and_texts_a_list(street: Version) -> None:
    found = statistics(street, FrameQuery(), StatisticsQuery(key="rois.confidence"))
    assert not found.values
    assert sum(item.count for item in found.bins) == 5
    assert found.missing == 1
    unknown = statistics(street, FrameQuery(), StatisticsQuery(key="meta.none"))
    assert not unknown.is_known
    with pytest.raises(QueryError) as refused:
        StatisticsQuery.from_params({"property": "colour"})
    assert refused.value.field == "property"


def test_s5_the_default_is_the_regions_labels_of_the_whole_version(street: Version) -> None:
    wanted = StatisticsQuery.from_params({})
    assert (wanted.counted, wanted.where, wanted.key) == ("roi", "", "rois.label")
    assert wanted.params() == {}
    given = {"count": "frame", "property": "meta.light"}
    assert StatisticsQuery.from_params(given).params() == given


def test_a_key_of_many_texts_counts_the_most_frequent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("frames.search.statistics.TEXTS_COUNTED_MAX", 2)
    version = make_version(frames=[make_frame(f"f{n}", labels=[f"l{n % 3}"]) for n in range(7)])
    found = statistics(version, FrameQuery(), StatisticsQuery())
    assert found.is_partial
    assert counts(found) == {"l0": 3, "l1": 2}
    assert found.texts == 3
    by_frame = statistics(version, FrameQuery(), StatisticsQuery("frame"))
    assert counts(by_frame) == {"l0": 3, "l1": 2}


def test_what_was_counted_is_kept_until_the_next_write(street: Version) -> None:
    first = statistics(street, FrameQuery(), StatisticsQuery())
    with CaptureQueriesContext(connection) as captured:
        assert statistics(street, FrameQuery(), StatisticsQuery()) == first
    assert len(captured) == 0


@pytest.mark.parametrize("key", ["rois.label", "rois.confidence", "meta.light"])
@pytest.mark.parametrize("counted", ["roi", "frame"])
def test_queries_do_not_grow_with_the_frames(key: str, counted: str) -> None:
    queries = {}
    for frames in (50, 500):
        version = make_version(
            frames=[
                make_frame(
                    f"f{n}",
                    rois=[{"label": [f"l{n % 9}"], "confidence": n % 8 / 8}],
                    meta={"light": "dusk"},
                )
                for n in range(frames)
            ]
        )
        cache.clear()
        shared_cache.clear()
        wanted = StatisticsQuery("roi" if counted == "roi" else "frame", "", key)
        with CaptureQueriesContext(connection) as captured:
            statistics(version, FrameQuery(q="meta.light:dusk"), wanted)
        queries[frames] = len(captured)
    assert queries[50] == queries[500] <= 20
