"""Facets equal a pass over the frames' JSON, and cost the same for any number of frames."""

from __future__ import annotations

import random
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from hypothesis import given
from hypothesis import strategies as st

from frames.index.bins import BINS_MAX, Bucket, edges_of
from frames.index.cache import cache
from frames.index.numbers import bucket
from frames.index.reader import DatasetIndex
from frames.models import Frame, Version
from frames.search import facets as module
from frames.search.clauses import Clause, FilterText, joined, number_text
from frames.search.facets import Facet, facet, facets, similar_names
from frames.search.lucene import frames_matching
from frames.search.query import FrameQuery
from tests.factories import add_frames, make_frame, make_version
from tests.properties import tries
from tests.search import brute

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.django_db

FOUR_TERMS = "meta.weather:rain AND label:car AND NOT meta.split:test AND meta.speed:[10 TO 50]"


def matching(version: Version, text: str) -> set[str]:
    index = DatasetIndex(version.dataset)
    found = index.members(version)
    if text:
        found = frames_matching(index, found, text)
    return set(Frame.objects.at(version.dataset, found).values_list("frame_id", flat=True))


def values_of(frame: dict[str, Any], key: str) -> list[Any]:
    return list(brute._frame_values(frame, key, False))


def is_list(value: Any, path: list[str]) -> bool:
    """Whether a list stands at a path, or at an end of it in a list's items."""
    if isinstance(value, list):
        return not path or any(is_list(item, path) for item in value)
    if isinstance(value, dict) and path:
        return path[0] in value and is_list(value[path[0]], path[1:])
    return False


def assert_facet_equals_frames(found: Facet, within: list[dict[str, Any]]) -> None:
    key = found.coverage.key
    having = {at: values_of(frame, key) for at, frame in enumerate(within)}

    def count(kind: type | tuple[type, ...]) -> int:
        return sum(any(type(v) in kind for v in values) for values in having.values())  # type: ignore[operator]

    types = {
        "text": count((str,)),
        "number": count((int, float)),
        "boolean": count((bool,)),
        # A source without a width has none; metadata alone can say null.
        "null": count((type(None),)) if "meta" in key else 0,
        "list": sum(
            any(is_list(part, path) for part, path in _parts(frame, key)) for frame in within
        ),
        "object": sum(
            any(v is not None for v in brute._frame_values(frame, key, True))
            and _has_below(frame, key)
            for frame in within
        ),
    }
    assert found.coverage.types == {name: number for name, number in types.items() if number}
    assert found.coverage.total == len(within)
    assert found.coverage.frames == sum(
        any(v is not None for v in brute._frame_values(frame, key, True)) for frame in within
    )
    spelt = {
        v if isinstance(v, str) else str(v).lower()
        for values in having.values()
        for v in values
        if isinstance(v, str | bool)
    }
    counted = {value.value: value.frames for value in found.values}
    for value, frames in counted.items():
        assert frames == sum(
            any(brute._is_equal(v, value) for v in values) for values in having.values()
        ), (key, value)
    assert spelt <= counted.keys()
    if found.histogram:
        at = found.histogram.edges.at
        assert len(found.histogram.frames) == len(at) - 1 <= BINS_MAX
        for place, frames in enumerate(found.histogram.frames):
            is_last = place == len(at) - 2
            assert frames == sum(
                any(
                    at[place] <= v < at[place + 1] or (is_last and v == at[place + 1])
                    # As floats: PostgreSQL's JSON makes an integer of 1e16.
                    for v in (float(v) for v in values if type(v) in (int, float))
                )
                for values in having.values()
            ), (key, at[place])


def _parts(frame: dict[str, Any], key: str) -> Iterator[tuple[Any, list[str]]]:
    """Yield each object that a key's path goes through, and the path in it."""
    root, *path = key.split(".")
    if root in ("rois", "sources") and path[0] == "meta":
        for part in frame[root]:
            yield part.get("meta") or {}, path[1:]
    elif root == "meta":
        yield frame["meta"], path


def _has_below(frame: dict[str, Any], key: str) -> bool:
    """Whether an object at the key holds a value."""
    own = Counter(map(repr, (v for v in brute._frame_values(frame, key, False) if v is not None)))
    deep = Counter(map(repr, (v for v in brute._frame_values(frame, key, True) if v is not None)))
    return bool(deep - own)


@tries(25)
@given(
    frames=brute.datasets(),
    asked=st.one_of(st.none(), brute.filters()),
    label=st.sampled_from(["", "car"]),
)
def test_facets_equal_a_pass_over_the_frames(
    frames: list[Any], asked: brute.Filter | None, label: str
) -> None:
    version = make_version(frames=frames)
    plain = brute.as_json(version)
    query = FrameQuery(q=brute.text_of(asked, version) if asked else "", label=label)
    found = facets(version, query, wanted=_all_keys(version))
    matched = {
        name
        for name, frame in plain.items()
        if (not asked or brute.holds(asked, frame))
        and (not label or any(label in roi["label"] for roi in frame["rois"]))
    }
    assert (found.total, found.matched) == (len(plain), len(matched))
    assert not found.closed
    for each in found.open:
        key = each.coverage.key
        own_label = "" if key == "label" else label
        within = matching(version, joined(found.text.without(key), own_label and f'"{own_label}"'))
        assert_facet_equals_frames(each, [plain[name] for name in within])
        if found.text.clause(key) is None and own_label == label:
            assert within == matched


def _all_keys(version: Version) -> list[str]:
    facet_names = facets(version, FrameQuery())
    return [
        *(each.coverage.key for each in facet_names.open),
        *(each.key for each in facet_names.closed),
    ]


@tries(15)
@given(frames=brute.datasets(), asked=st.one_of(st.none(), brute.filters()))
def test_each_click_finds_the_frames_that_were_counted(
    frames: list[Any], asked: brute.Filter | None
) -> None:
    version = make_version(frames=frames)
    query = FrameQuery(q=brute.text_of(asked, version) if asked else "")
    found = facets(version, query, wanted=_all_keys(version))
    for each in found.open:
        coverage, key = each.coverage, each.coverage.key
        rest = FilterText.read(found.text.without(key))
        for value in each.values:
            assert len(matching(version, rest.toggled(key, value.value))) == value.frames
            assert value.is_chosen == (
                each.clause is not None and value.value in each.clause.values
            )
        assert len(matching(version, rest.toggled_missing(key))) == coverage.missing


def test_values_of_one_key_are_joined_by_or_and_taken_away_one_by_one() -> None:
    text = FilterText.read("car OR bus")
    for value in ("rain", 'so "called" \\ fog'):
        text = FilterText.read(text.toggled("meta.weather", value))
    one = '(car OR bus) AND meta.weather:("rain" OR "so \\"called\\" \\\\ fog")'
    assert joined(*(part for part, _ in text.parts)) == one
    text = FilterText.read(text.toggled("meta.weather", "rain"))
    assert text.clause("meta.weather") == Clause("meta.weather", ('so "called" \\ fog',))
    assert text.toggled("meta.weather", 'so "called" \\ fog') == "(car OR bus)"


def test_what_else_stands_in_the_text_stays_as_it_was_typed() -> None:
    typed = '-car +bus (a OR  b) NOT meta.x:"y z" rois:(label:car AND count:[2 TO 5])'
    text = FilterText.read(typed).toggled("meta.light", "dusk")
    for part in (
        "-car",
        "+bus",
        "(a OR  b)",
        'NOT meta.x:"y z"',
        "rois:(label:car AND count:[2 TO 5])",
    ):
        assert part in text
    assert FilterText.read(text).toggled("meta.light", "dusk") == FilterText.read(typed).without("")


@given(
    key=st.text(
        st.characters(codec="ascii", min_codepoint=32) | st.sampled_from("éß道"), min_size=1
    ),
    values=st.lists(
        st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12),
        min_size=1,
        max_size=3,
        unique=True,
    ),
    bounds=st.tuples(*[st.one_of(st.none(), st.floats(allow_nan=False, allow_infinity=False))] * 2),
)
def test_a_clause_is_read_as_it_was_written(
    key: str, values: list[str], bounds: tuple[float | None, float | None]
) -> None:
    key = f"meta.{key}".replace("\x7f", "x")
    clauses = [Clause(key, tuple(values)), Clause(key, is_missing=True)]
    if bounds != (None, None):
        clauses.append(Clause(key, low=bounds[0], high=bounds[1]))
    for clause in clauses:
        assert FilterText.read(str(clause)).clause(key) == clause
        assert FilterText.read(joined("car OR bus", str(clause))).clause(key) == clause


def test_a_click_beside_the_addresss_own_label_keeps_it() -> None:
    version = make_version(
        frames=[make_frame("a", labels=["car"]), make_frame("b", labels=["bus"])]
    )
    found = facets(version, FrameQuery(label="car"))
    label = next(each for each in found.open if each.coverage.key == "label")
    assert [(v.value, v.frames, v.is_chosen) for v in label.values] == [
        ("bus", 1, False),
        ("car", 1, True),
    ]
    assert found.matched == 1


# --- coverage ------------------------------------------------------------------------------------

# name: (how many of 100 frames have it, as what)
DIRTY: dict[str, tuple[int, Any]] = {
    "weather": (70, "rain"),
    "Weather": (5, "rain"),
    "wether": (3, "rain"),
    "WEATHER_": (1, "rain"),
    "speed": (90, 10.5),
    "speed_kmh": (20, 10),
    "time_of_day": (50, "dusk"),
    "timeOfDay": (10, "dusk"),
    "time-of-day": (4, "dusk"),
    "camera_1": (100, "front"),
    "camera_2": (100, "rear"),
    "ｃｉｔｙ": (2, "Ghent"),  # noqa: RUF001  full width
    "city": (98, "Ghent"),
    "lat": (100, 51.0),
    "lon": (100, 3.7),
    "reviewed": (40, True),
    "revlewed": (1, True),
    "note": (8, None),
    "tags": (30, ["a", "b"]),
    "nested": (6, {"deep": 1}),
}
CLOSE = {
    "weather": {"Weather", "wether", "WEATHER_"},
    "Weather": {"weather", "wether", "WEATHER_"},
    "WEATHER_": {"weather", "wether", "Weather"},
    "wether": {"weather", "Weather", "WEATHER_"},
    "time_of_day": {"timeOfDay", "time-of-day"},
    "timeOfDay": {"time_of_day", "time-of-day"},
    "time-of-day": {"time_of_day", "timeOfDay"},
    "ｃｉｔｙ": {"city"},  # noqa: RUF001
    "city": {"ｃｉｔｙ"},  # noqa: RUF001
    "reviewed": {"revlewed"},
    "revlewed": {"reviewed"},
}


@pytest.fixture
def dirty() -> Version:
    """A hundred frames with twenty metadata keys, none of them clean."""
    chance = random.Random(7)
    metas: list[dict[str, Any]] = [{} for _ in range(100)]
    for name, (count, value) in DIRTY.items():
        for at in chance.sample(range(100), count):
            metas[at][name] = value
    having = [meta for meta in metas if "speed" in meta]
    for meta in having[:7]:
        meta["speed"] = "fast"
    for meta in having[7:9]:
        meta["speed"] = None
    return make_version(frames=[make_frame(f"f{n:03}", meta=meta) for n, meta in enumerate(metas)])


def test_coverage_of_twenty_dirty_keys_equals_brute_force(dirty: Version) -> None:
    plain = list(brute.as_json(dirty).values())
    found = facets(dirty, FrameQuery(), wanted=_all_keys(dirty))
    metadata = [each for each in found.open if each.coverage.key.startswith("meta.")]
    names = {each.coverage.key.removeprefix("meta.") for each in metadata}
    assert names == (DIRTY.keys() | {"nested.deep"}) - {"nested"}
    for each in metadata:
        assert_facet_equals_frames(each, plain)
        name = each.coverage.key.removeprefix("meta.")
        close = {f"meta.{other}" for other in CLOSE.get(name, ())}
        assert set(each.coverage.similar) == close
    mixed = {each.coverage.key for each in metadata if each.coverage.is_mixed}
    assert mixed == {"meta.speed"}
    speed = next(each for each in metadata if each.coverage.key == "meta.speed").coverage
    assert speed.types == {"text": 7, "number": 81, "null": 2}
    assert (speed.frames, speed.missing) == (88, 12)


def test_names_two_letters_apart_are_not_close() -> None:
    names = ["meta.abcdef", "meta.bcdefg", "meta.left", "meta.lift", "meta.run_2", "sources.meta.a"]
    assert similar_names(names) == {}


# --- many values ---------------------------------------------------------------------------------


def test_an_overflowed_key_is_searched_and_an_exact_text_is_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("frames.index.writer.TEXTS_PER_KEY_MAX", 3)
    version = make_version(
        frames=[make_frame(f"f{n}", meta={"track": f"Track {n // 2}"}) for n in range(10)]
    )
    found = facets(version, FrameQuery(), wanted=["meta.track"])
    track = next(each for each in found.open if each.coverage.key == "meta.track")
    assert track.is_overflowed
    assert (track.coverage.frames, track.coverage.missing) == (10, 0)
    late = facet(version, FrameQuery(), "meta.track", "Track 4").open[0]
    assert [(v.value, v.frames) for v in late.values] == [("Track 4", 2)]
    early = facet(version, FrameQuery(), "meta.track", "tRACK 1").open[0]
    assert [(v.value, v.frames) for v in early.values] == [("Track 1", 2)]


def test_a_key_of_many_texts_shows_the_most_frequent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TEXTS_COUNTED_MAX", 4)
    monkeypatch.setattr(module, "SEARCHED_MAX", 2)
    frames = [make_frame(f"f{n}", meta={"city": f"city {n % 7}"}) for n in range(17)]
    version = make_version(frames=frames)
    found = facets(version, FrameQuery(), wanted=["meta.city"])
    city = next(each for each in found.open if each.coverage.key == "meta.city")
    assert city.is_partial
    assert [(v.value, v.frames) for v in city.values] == [("city 0", 3), ("city 1", 3)]
    assert city.texts == 7


def test_a_version_without_the_key_has_no_facet_of_it() -> None:
    version = make_version(frames=[make_frame("a", meta={"x": 1})])
    assert facet(version, FrameQuery(), "meta.none").open == []
    assert facets(make_version(), FrameQuery()).open == []


# --- bins ----------------------------------------------------------------------------------------

numbers = st.one_of(
    st.integers(-300, 300).map(float),
    st.floats(allow_nan=False, allow_infinity=False),
    st.floats(1_700_000_000_000, 1_700_003_600_000),
    st.sampled_from([0.0, -0.0, 0.1, 1e-60, -1e-60, 1.7976931348623157e308, -1e308]),
)


@given(st.lists(numbers, min_size=1, max_size=60))
def test_bins_lie_side_by_side_around_all_numbers(held: list[float]) -> None:
    by_bucket: dict[float, list[float]] = {}
    for number in held:
        by_bucket.setdefault(bucket(number), []).append(number)
    edges = edges_of(
        [Bucket(number, len(own)) for number, own in sorted(by_bucket.items())],
        lambda number: (min(by_bucket[number]), max(by_bucket[number])),
    )
    assert 1 <= len(edges) <= BINS_MAX
    assert edges.at[0] <= min(held) <= max(held) <= edges.at[-1]
    assert list(edges.at) == sorted(set(edges.at)) or edges.at[0] == edges.at[-1]
    for number in held:
        at = edges.bin_of(number)
        assert edges.at[at] <= number
        assert number < edges.at[at + 1] or at == len(edges) - 1


def test_one_wrong_timestamp_does_not_squeeze_the_others() -> None:
    """One instant of 1970 beside an hour of today has a bin of its own."""
    hour = [1_700_000_000_000.0 + 1000 * n for n in range(60)]
    frames = [make_frame(f"f{n}", timestamp=t) for n, t in enumerate([*hour, 0.0])]
    version = make_version(frames=frames)
    found = facets(version, FrameQuery(), wanted=["timestamp"])
    own = next(each for each in found.open if each.coverage.key == "timestamp").histogram
    assert own is not None
    assert own.edges.is_open_below
    assert own.frames[0] == 1
    assert sum(count > 0 for count in own.frames[1:]) > 20
    assert sum(own.frames) == 61


@tries(20)
@given(st.lists(numbers, min_size=1, max_size=25), st.floats(0, 300))
def test_numbers_of_any_spread_are_counted_exactly(held: list[float], low: float) -> None:
    """Versions that share a dataset have edges of their own, over postings that both share."""
    first = make_version(frames=[make_frame("other", timestamp=5e15, meta={"n": -7.25})])
    version = add_frames(
        first, [make_frame(f"f{n}", meta={"n": number}) for n, number in enumerate(held)]
    )
    plain = brute.as_json(version)
    text = f"NOT meta.n:[{number_text(low)} TO *]"
    found = facet(version, FrameQuery(q=text), "meta.n").open[0]
    within = [frame for frame in plain.values() if not frame["meta"]["n"] >= low]
    assert_facet_equals_frames(found, within)


# --- cost ----------------------------------------------------------------------------------------


def driving(count: int) -> list[Any]:
    return [
        make_frame(
            f"f{n}",
            timestamp=n % 50,
            labels=["car", f"class {n % 9}"],
            meta={
                "weather": ["rain", "fog"][n % 2],
                "split": ["train", "test"][n % 5 == 0],
                "city": f"city {n % 4}",
                "speed": n % 60 + 0.25,
            },
        )
        for n in range(count)
    ]


def test_what_was_counted_is_kept_until_the_next_write() -> None:
    version = make_version(frames=driving(9))
    first = facets(version, FrameQuery(q="car"))
    with CaptureQueriesContext(connection) as captured:
        assert facets(version, FrameQuery(q="car", size="s", after="x")) == first
    assert len(captured) == 0
    version = add_frames(version, [make_frame("another", labels=["car"])])
    assert facets(version, FrameQuery(q="car")).matched == first.matched + 1


@pytest.mark.parametrize("warm", [False, True])
def test_queries_do_not_grow_with_the_frames(warm: bool) -> None:
    counts = {}
    for frames in (60, 600):
        version = make_version(frames=driving(frames))
        cache.clear()
        if warm:
            # Another question, so that the postings are in the cache and the answer is not.
            facets(version, FrameQuery(q=f"{FOUR_TERMS} AND meta.speed:[0 TO 99]"))
        with CaptureQueriesContext(
            connection,
        ) as captured:
            found = facets(version, FrameQuery(q=FOUR_TERMS))
        assert found.matched
        counts[frames] = len(captured)
    assert counts[60] == counts[600]
    if warm:
        assert counts[600] <= 16
