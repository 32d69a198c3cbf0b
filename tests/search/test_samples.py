"""Samples by property equal a pass over the frames and their regions."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from hypothesis import given
from hypothesis import strategies as st

from frames.index.bitmaps import BitMap
from frames.index.cache import cache
from frames.search import samples
from frames.search.errors import QueryError
from frames.search.query import FrameQuery
from tests.factories import add_frames, make_frame, make_version
from tests.properties import tries
from tests.search.test_groups import RANKS
from tests.search.test_order_by_key import KEYS, frames_of, specs, values_in

if TYPE_CHECKING:
    from collections.abc import Callable

    from frames.models import Version
    from frames.search.samples import Sample

pytestmark = pytest.mark.django_db

MATCHES: dict[str, Callable[[dict[str, Any]], bool]] = {
    "": lambda roi: True,
    "rois.label:car": lambda roi: "car" in roi["label"],
    "confidence:[0.5 TO 1]": lambda roi: 0.5 <= roi.get("confidence", -1) <= 1,
}


def all_samples(version: Version, query: FrameQuery) -> list[Sample]:
    found: list[Sample] = []
    while True:
        page = samples.sample_page(version, query)
        found += page.items
        if page.next is None:
            return found
        query = replace(query, after=page.next)


@tries(200)
@given(
    spec=specs,
    key=st.sampled_from(KEYS),
    label=st.sampled_from(["", "car"]),
    match=st.sampled_from(list(MATCHES)),
    size=st.integers(1, 3),
)
def test_g6_samples_of_each_value_are_of_its_frames(
    spec: list[Any], key: str, label: str, match: str, size: int
) -> None:
    """A region's property counts by single regions; frames without any are in no sample."""
    of_regions = key.startswith("rois.")
    match = match if of_regions else ""
    frames = frames_of(spec)
    version = add_frames(make_version(), [replace(f, meta={"k": "old"}) for f in frames])
    version = add_frames(version, frames)
    wanted: dict[tuple[int, Any], set[str]] = {}
    without: set[str] = set()
    for frame in frames:
        if label and not any(label in roi["label"] for roi in frame.rois):
            continue
        rois = [roi for roi in frame.rois if MATCHES[match](roi)]
        parts = [replace(frame, rois=[roi]) for roi in rois] if of_regions else [frame]
        for part in parts:
            for rank, value in values_in(part, key):
                shown = value[:222] if isinstance(value, str) else value
                wanted.setdefault((rank, shown), set()).add(frame.frame_id)
            if not values_in(part, key):
                without.add(frame.frame_id)
    query = FrameQuery(group=key, label=label, sample=str(size), match=match)
    found = all_samples(version, query)
    named = [row for row in found if row.kind is not None]
    assert [
        (
            RANKS[row.kind or 0],
            row.value[:222] if isinstance(row.value, str) else row.value,
            row.frames,
        )
        for row in named
    ] == [(*value, len(names)) for value, names in sorted(wanted.items())]
    for row, names in zip(named, (names for _, names in sorted(wanted.items())), strict=True):
        shown = {item.frame.frame_id for item in row.items}
        assert len(shown) == len(row.items) == min(size, len(names))
        assert shown <= names
    assert found[len(named) :] == ([found[-1]] if without else [])
    if without:
        assert found[-1].frames == len(without)
        assert {item.frame.frame_id for item in found[-1].items} <= without


def test_samples_are_spread_over_all_and_the_same_each_time() -> None:
    assert samples.spread(BitMap(range(100, 200)), 4) == [112, 137, 162, 187]
    assert samples.spread(BitMap([5, 9]), 4) == [5, 9]


def test_samples_go_on_behind_the_last_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(samples, "FRAMES_MAX", 4)
    frames = [make_frame(f"f{n:02d}", meta={"k": n % 5}) for n in range(20)]
    version = make_version(frames=[*frames, make_frame("without")])
    query = FrameQuery(group="meta.k", sample="2")
    first = samples.sample_page(version, query)
    assert [row.value for row in first.items] == [0, 1]
    found = all_samples(version, query)
    assert [row.value for row in found] == [0, 1, 2, 3, 4, ""]
    assert [row.frames for row in found] == [4, 4, 4, 4, 4, 1]


def test_a_key_with_too_many_values_is_not_sampled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("frames.index.writer.TEXTS_PER_KEY_MAX", 2)
    version = make_version(frames=[make_frame(f"f{n}", meta={"k": f"v{n}"}) for n in range(4)])
    with pytest.raises(QueryError, match="too many"):
        samples.sample_page(version, FrameQuery(group="meta.k", sample="2"))


def test_samples_make_as_many_queries_for_a_few_frames_as_for_thousands() -> None:
    counts = []
    for count in (50, 1500):
        frames = [make_frame(f"{n:05d}", labels=[f"label {n % 20}"]) for n in range(count)]
        version = make_version(frames=frames)
        cache.clear()
        with CaptureQueriesContext(connection) as found:
            page = samples.sample_page(version, FrameQuery(group="rois.label", sample="2"))
        assert len(page.items) == 20
        counts.append(len(found))
    assert counts[0] == counts[1]
