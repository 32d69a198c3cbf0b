"""Facets equal a pass over the frames' JSON, and cost the same for any number of frames."""

from __future__ import annotations

import random
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from hypothesis import example, given
from hypothesis import strategies as st

from frames.actions.versions import delete_frames
from frames.index.bins import BINS_MAX, DATE_BINS_MAX, DATES_END_MS, Bucket, edges_of
from frames.index.cache import cache
from frames.index.numbers import bucket
from frames.index.reader import DatasetIndex
from frames.models import Frame, Version
from frames.search import facets as module
from frames.search.clauses import Clause, FilterText, joined, number_text
from frames.search.facets import Facet, Histogram, facet, facets, is_of_times, similar_names
from frames.search.lucene import frames_matching
from frames.search.query import FrameQuery
from frames.web.facets import date_texts
from tests.factories import add_frames, make_frame, make_version
from tests.properties import tries
from tests.search import brute

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

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
                    for v in _places(values, of_times=found.histogram.of_times)
                )
                for values in having.values()
            ), (key, at[place])


def _places(values: list[Any], *, of_times: bool) -> list[float]:
    """Return where values lie in a histogram: numbers, or dates by their first ms."""
    if of_times:
        return [first_ms(v) for v in values if isinstance(v, str)]
    # As floats: PostgreSQL's JSON makes an integer of 1e16.
    return [float(v) for v in values if type(v) in (int, float)]


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
    bounds=st.tuples(
        *[
            st.one_of(
                st.none(),
                st.floats(allow_nan=False, allow_infinity=False),
                st.dates().map(str),
                st.datetimes().map(lambda at: at.isoformat(timespec="minutes")),
                st.sampled_from(["2026-02-01 10:00:00.5+01:00", "2026-02-01T10:00Z"]),
            )
        ]
        * 2
    ),
)
def test_a_clause_is_read_as_it_was_written(
    key: str, values: list[str], bounds: tuple[float | str | None, float | str | None]
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


# --- dates ---------------------------------------------------------------------------------------


@st.composite
def dates(draw: st.DrawFn) -> str:
    """Return an ISO date: a day, or a time in UTC or in another zone."""
    spread = draw(st.sampled_from([timedelta(hours=2), timedelta(days=90), timedelta(days=20_000)]))
    at = datetime(2026, 2, 1) + spread * draw(st.floats(0, 1))
    form = draw(st.sampled_from(["days", "minutes", "seconds", "milliseconds"]))
    if form == "days":
        return at.date().isoformat()
    return at.isoformat(timespec=form) + draw(st.sampled_from(["", "Z", "+01:00", "-0530"]))


def first_ms(text: str) -> float:
    """Return the epoch ms that a date begins with; shares no code with the program."""
    at = datetime.fromisoformat(text)
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return (at - datetime(1970, 1, 1, tzinfo=UTC)) / timedelta(milliseconds=1)


def dated(held: Sequence[Any]) -> Version:
    """Return a version whose frames f0, f1, ... have a `when`, and every second one a car."""
    frames = [
        make_frame(f"f{n}", labels=["car"] if n % 2 else [], meta={"when": own})
        for n, own in enumerate(held)
    ]
    return make_version(frames=frames)


def times_of_key(version: Version, key: str = "meta.when", q: str = "") -> Histogram | None:
    """Return a key's histogram of dates."""
    found = facet(version, FrameQuery(q=q), key).open
    histogram = found[0].histogram if found else None
    assert histogram is None or histogram.of_times
    return histogram


@tries(30)
@given(
    held=st.lists(st.lists(dates(), max_size=2), min_size=1, max_size=25),
    asked=st.sampled_from(["", "label:car", "meta.when:[2026-02-15 TO *]"]),
)
@example(held=[["2026-02-01"]], asked="")
@example(held=[["0001-01-01"], ["9999-12-31T23:59:59.999"]], asked="")
def test_dates_are_counted_in_the_bins_they_begin_in(held: list[list[str]], asked: str) -> None:
    version = dated(held)
    found = times_of_key(version, q=asked)
    # A key's own clause does not narrow its own counts.
    counted = [own for n, own in enumerate(held) if n % 2 or asked != "label:car"]
    if not any(counted):
        assert found is None
        return
    assert found is not None
    at = found.edges.at
    assert list(at) == sorted(set(at))
    assert len(found.frames) == len(at) - 1 <= DATE_BINS_MAX
    for low, high, count in zip(at, at[1:], found.frames, strict=False):
        assert count == sum(
            any(low <= first_ms(text) <= high - 1 for text in own) for own in counted
        )
    firsts = [first_ms(text) for own in held for text in own]
    assert at[0] <= min(firsts) <= max(firsts) < at[-1]


@tries(20)
@given(held=st.lists(dates(), min_size=1, max_size=20))
def test_a_brushed_bin_finds_the_frames_that_were_counted_in_it(held: list[str]) -> None:
    version = dated(held)
    found = times_of_key(version)
    assert found is not None
    for low, high, count in zip(*date_texts(found.edges), found.frames, strict=True):
        clause = str(Clause("meta.when", low=low, high=high))
        assert len(matching(version, clause)) == count, clause


@pytest.mark.parametrize(
    ("texts", "step_s", "bins"),
    [
        (["2026-02-01", "2026-02-10"], 86_400, 10),
        (["2026-02-01"], 86_400, 1),
        (["2026-02-01T10:00", "2026-02-01T10:09"], 60, 10),
        (["2026-02-01T10:00:00", "2026-02-01T10:00:59"], 1, 60),
        (["2026-02-01T10:00:00.250", "2026-02-01T10:01:00.250"], 2, 31),
        (["2026-02-01T10:00:00", "2026-02-03T10:00:00"], 3_600, 49),
        (["2020-01-01", "2026-01-01"], 90 * 86_400, 26),
        (["0001-01-01", "9999-12-31"], 200 * 365 * 86_400, 51),
    ],
)
def test_bins_of_dates_are_as_wide_as_people_divide_time(
    texts: list[str], step_s: int, bins: int
) -> None:
    """And not narrower than what the dates tell apart."""
    found = times_of_key(dated(texts))
    assert found is not None
    at = found.edges.at
    assert len(at) - 1 == bins
    assert {high - low for low, high in pairwise(at[1:-1])} <= {step_s * 1000.0}
    assert all(edge % (step_s * 1000) == 0 for edge in at[1:-1])


@pytest.mark.parametrize(
    ("odd", "at", "frames"),
    [
        ("1970-01-01", ["1970-01-01", "2026-02-01", "2026-02-02", "2026-02-03"], (1, 6, 6)),
        ("9999-12-31", ["2026-02-01", "2026-02-02", "2026-02-03", "10000-01-01"], (6, 6, 1)),
        ("2026-01-31", ["2026-01-31", "2026-02-01", "2026-02-02", "2026-02-03"], (1, 6, 6)),
    ],
)
def test_a_date_far_off_has_a_bin_of_its_own(odd: str, at: list[str], frames: Any) -> None:
    """Else all others would be in one, of a year or of two centuries."""
    found = times_of_key(dated([odd, *["2026-02-01", "2026-02-02"] * 6]))
    assert found is not None
    edges = [
        "10000-01-01"
        if ms == DATES_END_MS
        else str((datetime(1970, 1, 1) + timedelta(milliseconds=ms)).date())
        for ms in found.edges.at
    ]
    assert (edges, found.frames) == (at, frames)
    assert found.edges.is_open_below == (odd == "1970-01-01")
    assert found.edges.is_open_above == (odd == "9999-12-31")


def test_odd_dates_in_the_same_second_as_the_others_are_in_their_bin() -> None:
    held = ["2026-02-01T10:00:00.100", *["2026-02-01T10:00:00.500"] * 12, "2026-02-01T10:00:00.900"]
    found = times_of_key(dated(held))
    assert found is not None
    assert found.frames == (14,)
    assert not found.edges.is_open_below
    assert not found.edges.is_open_above


def test_dates_of_regions_are_counted_in_frames() -> None:
    def rois(*whens: str) -> list[dict[str, Any]]:
        return [{"label": ["car"], "poly": [0, 0, 9, 0, 9, 9], "meta": {"at": w}} for w in whens]

    frames = [
        make_frame("a", rois=rois("2026-02-01", "2026-02-01", "2026-02-03")),
        make_frame("b", rois=rois("2026-02-03")),
        make_frame("c"),
        make_frame("d", rois=rois("2026-02-02")),
    ]
    version = make_version(frames=frames)
    found = times_of_key(version, "rois.meta.at", "NOT id:d")
    assert found is not None
    assert found.frames == (1, 0, 2)


@pytest.mark.parametrize("other", ["soon", "2026-02-30", "2026-02", 5, ["2026-02-02", "late"]])
def test_a_key_of_anything_but_dates_has_no_histogram_of_them(other: Any) -> None:
    """Whatever the filter leaves of it; what no frame of the version has does not matter."""
    version = dated(["2026-02-01", other])
    assert times_of_key(version, q="NOT label:car") is None
    assert not is_of_times(version, "meta.when")
    delete_frames(version, ["f1"], actor=None)
    version.dataset.refresh_from_db()
    assert times_of_key(version) is not None
    assert is_of_times(version, "meta.when")


def test_texts_that_no_range_is_of_have_no_histogram() -> None:
    version = make_version(frames=[make_frame("a", labels=["2026-02-01"])])
    assert times_of_key(version, "label") is None


def test_an_overflowed_key_has_no_histogram_of_dates(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("frames.index.writer.TEXTS_PER_KEY_MAX", 3)
    assert times_of_key(dated([f"2026-02-0{n}" for n in range(1, 7)])) is None


def test_queries_for_dates_do_not_grow_with_their_texts() -> None:
    counts = []
    for days in (20, 400):
        version = dated([f"{date(2026, 1, 1) + timedelta(days=n)}" for n in range(days)])
        cache.clear()
        with CaptureQueriesContext(connection) as captured:
            assert times_of_key(version)
        counts.append(len(captured))
    assert counts[0] == counts[1]


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
