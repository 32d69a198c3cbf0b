"""Frames in the order of any key equal a sort of the rows, by each way they can be found."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from hypothesis import given
from hypothesis import strategies as st

from frames.formats.base import SourceData
from frames.index.cache import cache
from frames.search import pages
from frames.search.errors import QueryError
from frames.search.query import FrameQuery, encode_after
from tests.factories import add_frames, make_frame, make_version
from tests.properties import tries

if TYPE_CHECKING:
    from frames.formats.base import FrameData
    from frames.models import Version

pytestmark = pytest.mark.django_db

KEYS = [
    "label",
    "rois.label",
    "rois.confidence",
    "rois.meta.k",
    "meta.k",
    "meta.k.a",
    "sources.height",
    "sources.id",
    "sources.meta.k",
]
scalars = st.one_of(
    st.sampled_from(["rain", "dusk", "ä", "Z", "", "60", "x" * 300]),
    st.sampled_from([0, 1, 60, 60.5, 60.25, -60.25, 1e300, -7.001, -7.002, 1e-50, 2**53]),
    st.booleans(),
    st.none(),
)
metas: st.SearchStrategy[dict[str, Any]] = st.one_of(
    st.just({}),
    st.fixed_dictionaries(
        {"k": st.one_of(scalars, st.lists(scalars, max_size=3), st.just({"a": 1.5}))}
    ),
)
rois = st.lists(
    st.fixed_dictionaries(
        {"label": st.lists(st.sampled_from(["car", "bus", "a"]), max_size=2)},
        optional={"confidence": st.sampled_from([0, 0.5, 0.501, 0.999, 1]), "meta": metas},
    ),
    max_size=3,
)
specs = st.lists(
    st.tuples(metas, rois, st.sampled_from([None, 480, 481, 1080]), metas, st.booleans()),
    max_size=16,
)
examples = tries(100, everywhere=True)


def frames_of(spec: list[Any]) -> list[FrameData]:
    frames = []
    for number, (meta, regions, height, streamed, is_stereo) in enumerate(spec):
        frame = make_frame(f"f{number:02d}", meta=meta, rois=regions)
        uri = "https://example.com/a.jpg"
        frame.sources = [SourceData("left", uri, "", None, height, meta=streamed)]
        if is_stereo:
            frame.sources.append(SourceData("right", uri, "", None, 720))
        frames.append(frame)
    return frames


def scalars_at(value: Any, path: list[str]) -> list[Any]:
    if isinstance(value, list):
        return [found for item in value for found in scalars_at(item, path)]
    if isinstance(value, dict):
        return scalars_at(value[path[0]], path[1:]) if path and path[0] in value else []
    return [value] if not path else []


def values_in(frame: FrameData, key: str) -> list[tuple[int, Any]]:
    """Return (rank of the kind, value) of what a frame has, read off it as a person would."""
    room, _, rest = key.partition(".")
    found: list[Any] = []
    if key in ("label", "rois.label"):
        found = [label for roi in frame.rois for label in roi["label"]]
    elif room == "meta":
        found = scalars_at(frame.meta, rest.split("."))
    elif room == "rois":
        found = [v for roi in frame.rois for v in scalars_at(roi, rest.split("."))]
    elif key == "sources.id":
        found = [source.source_id for source in frame.sources]
    elif key == "sources.height":
        found = [source.height for source in frame.sources]
    else:
        found = [v for s in frame.sources for v in scalars_at(s.meta or {}, rest.split(".")[1:])]
    return [
        (1, str(value).lower())
        if isinstance(value, bool)
        else (0, float(value))
        if isinstance(value, int | float)
        else (2, value)
        for value in found
        if value is not None
    ]


def ids(version: Version, query: FrameQuery, limit: int) -> list[str]:
    found: list[str] = []
    while True:
        page = pages.frame_page(version, query, limit)
        found += [row.frame.frame_id for row in page.items]
        if page.next is None:
            return found
        assert len(page.items) == limit
        query = replace(query, after=page.next)


@pytest.fixture(params=["by rows", "by walking"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    by_rows = request.param == "by rows"
    monkeypatch.setattr("frames.search.order.is_sparse", lambda index, matched: by_rows)


@pytest.mark.usefixtures("way")
@examples
@given(
    spec=specs,
    key=st.sampled_from(KEYS),
    label=st.sampled_from(["", "", "car"]),
    descending=st.booleans(),
    limit=st.integers(1, 6),
)
def test_b4_frames_in_the_order_of_any_key_are_the_sorted_rows(
    spec: list[Any], key: str, label: str, descending: bool, limit: int
) -> None:
    """Numbers, then false and true, then texts; without a value last; equal ones as written."""
    frames = frames_of(spec)
    version = add_frames(make_version(), [replace(f, meta={"k": "old"}) for f in frames])
    version = add_frames(version, frames)
    shown = [f for f in frames if not label or any(label in roi["label"] for roi in f.rois)]
    choose = max if descending else min
    # A text of over 255 characters sorts by its beginning; the samples differ before that.
    having = [(choose(values_in(f, key)), f.frame_id) for f in shown if values_in(f, key)]
    without = [f.frame_id for f in shown if not values_in(f, key)]
    wanted = [name for _, name in sorted(having, reverse=descending)]
    wanted += sorted(without, reverse=descending)
    query = FrameQuery(group="none", label=label, sort=("-" if descending else "") + key)
    assert ids(version, query, limit) == wanted


def test_a_deep_page_of_a_key_makes_as_many_queries_as_for_few_frames() -> None:
    counts = []
    for count in (60, 1200):
        frames = [make_frame(f"{n:05d}", meta={"n": n * 0.37}) for n in range(count)]
        version = make_version(frames=frames)
        query = FrameQuery(group="none", sort="meta.n")
        first = pages.frame_page(version, query, count // 2)
        assert first.next is not None
        cache.clear()
        with CaptureQueriesContext(connection) as found:
            page = pages.frame_page(version, replace(query, after=first.next), 10)
        assert page.items[0].frame.frame_id == f"{count // 2:05d}"
        counts.append(len(found))
    assert counts[0] == counts[1]


def test_a_key_with_too_many_values_sorts_few_frames_and_refuses_many(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("frames.index.writer.TEXTS_PER_KEY_MAX", 2)
    frames = [make_frame(f"f{n}", meta={"k": f"v{9 - n}"}) for n in range(6)]
    version = make_version(frames=frames)
    query = FrameQuery(group="none", sort="meta.k")
    assert ids(version, query, 4) == ["f5", "f4", "f3", "f2", "f1", "f0"]
    monkeypatch.setattr("frames.search.order.DIRECT_MAX", 3)
    with pytest.raises(QueryError, match="too many values to sort by") as refused:
        pages.frame_page(version, query, 4)
    assert refused.value.field == "sort"


@pytest.mark.parametrize(
    "place", [(0, 1.5, 0), (1, "rain", 0), (5, "rain", 0), (0, "rain", -1), (-1, 1, 1), (1,)]
)
def test_a_token_of_another_order_is_refused(place: tuple[Any, ...]) -> None:
    version = make_version(frames=[make_frame("one", meta={"k": 1})])
    query = FrameQuery(group="none", sort="meta.k", after=encode_after(*place))
    with pytest.raises(QueryError):
        pages.frame_page(version, query, 10)
