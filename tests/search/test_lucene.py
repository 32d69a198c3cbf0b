"""What a query text finds, on every revision of a version and nowhere else."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frames.formats.base import SourceData
from frames.index.bitmaps import BitMap
from frames.index.patterns import Pattern, Wild, after_prefix
from frames.index.reader import DatasetIndex
from frames.index.rebuild import reindex
from frames.models import Dataset, Frame, Version
from frames.search import lucene, syntax
from frames.search.errors import QueryError
from frames.search.lucene import frames_matching, regions_matching
from tests.factories import add_frames, make_frame, make_version
from tests.properties import tries
from tests.search import brute

pytestmark = pytest.mark.django_db

FRAMES: dict[str, dict[str, Any]] = {
    "rainy": {
        "meta": {"weather": "rain", "speed": 10, "n": {"deep": "x"}, "wet": True},
        "rois": [
            {"label": ["car", "occluded"], "confidence": 0.9},
            {"label": ["person"], "confidence": 0.3},
        ],
    },
    "dusky": {
        "meta": {"weather": "dusk", "speed": 20.5, "code": "60", "day": "2026-11-20T08:00:00Z"},
        "rois": [
            {"label": ["car"], "confidence": 0.5, "sources": ["default"]},
            {"label": ["car"], "confidence": 0.9, "meta": {"track": "t-1"}},
        ],
    },
    "plain": {"meta": {"weather": "rainfall (heavy)", "speed": -3, "code": 60}, "rois": []},
    "bare": {"context_id": "other", "timestamp": 99, "uri": "s3://bucket/é 0001.mp4"},
}


@pytest.fixture
def version() -> Version:
    return make_version(frames=[make_frame(name, **spec) for name, spec in FRAMES.items()])


def search(version: Version, text: str) -> set[str]:
    index = DatasetIndex(version.dataset)
    found = frames_matching(index, index.members(version), text)
    return set(Frame.objects.at(version.dataset, found).values_list("frame_id", flat=True))


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("car", {"rainy", "dusky"}),
        ("label:car", {"rainy", "dusky"}),
        ('label.keyword:"car"', {"rainy", "dusky"}),
        ("rois.label:person", {"rainy"}),
        ("car AND NOT person", {"dusky"}),
        ("NOT car", {"plain", "bare"}),
        ("-car", {"plain", "bare"}),
        ("+car -person", {"dusky"}),
        ("car person", {"rainy"}),
        ("person OR meta.weather:dusk", {"rainy", "dusky"}),
        ("(person OR meta.weather:dusk) AND meta.speed:[15 TO 30]", {"dusky"}),
        ("label:(car AND person)", {"rainy"}),
        ("meta.weather:rain", {"rainy"}),
        ("meta.weather:rain*", {"rainy", "plain"}),
        ("meta.weather:?u*", {"dusky"}),
        ('meta.weather:"rainfall (heavy)"', {"plain"}),
        (r"meta.weather:rainfall\ \(heavy\)", {"plain"}),
        ("meta.n.deep:x", {"rainy"}),
        ("meta.wet:true", {"rainy"}),
        ("meta.code:60", {"dusky", "plain"}),
        ("meta.speed:10", {"rainy"}),
        ("meta.speed:1e1", {"rainy"}),
        ("meta.speed:１０", set()),  # noqa: RUF001  wide digits
        ("meta.speed:[10 TO 20.5]", {"rainy", "dusky"}),
        ("meta.speed:{10 TO 20.5]", {"dusky"}),
        ("meta.speed:[10 TO 20.5}", {"rainy"}),
        ("meta.speed:[* TO 0]", {"plain"}),
        ("meta.speed:>=10", {"rainy", "dusky"}),
        ("meta.speed:>10", {"dusky"}),
        (r"meta.speed:\-3", {"plain"}),
        ("meta.speed:-3", {"plain"}),
        ("meta.speed:[-5 TO -1]", {"plain"}),
        ("meta.speed:(>=10 AND <20)", {"rainy"}),
        ("meta.day:[2026-11-20 TO 2026-11-20]", {"dusky"}),
        ("meta.day:>2026-11-20", set()),
        ('meta.day:[2026-11-20T07:59 TO "2026-11-20T09:00:00+01:00"]', {"dusky"}),
        ("rois.confidence:[0.8 TO 1]", {"rainy", "dusky"}),
        ("rois.confidence:0.5", {"dusky"}),
        ("rois.meta.track:t-*", {"dusky"}),
        ("rois:(label:car AND confidence:[0.8 TO 1])", {"rainy", "dusky"}),
        ("rois:(label:car AND label:occluded)", {"rainy"}),
        ("rois:(car AND NOT occluded)", {"dusky"}),
        ("rois:(label.keyword:car AND confidence:<0.6)", {"dusky"}),
        ("NOT rois:(confidence:>0.8)", {"plain", "bare"}),
        ("rois:(label:car AND count:2)", {"dusky"}),
        ("rois:(car AND count:[1 TO *])", {"rainy", "dusky"}),
        ("rois:(car AND count:0)", {"plain", "bare"}),
        ("rois:(count:[0 TO 1])", {"plain", "bare"}),
        ("rois:*", {"rainy", "dusky"}),
        ("NOT rois:*", {"plain", "bare"}),
        ("rois:(sources:default)", {"dusky"}),
        ("rois:(meta.track:t-1)", {"dusky"}),
        ("sources:(id:default AND width:[600 TO *])", set(FRAMES)),
        ("sources:(default AND NOT width:640)", set()),
        ('sources.uri:"https://example.com/picture.jpg"', {"rainy", "dusky", "plain"}),
        ("sources.uri:*0001*", {"bare"}),
        ("sources.uri:https*.jpg", {"rainy", "dusky", "plain"}),
        ("id:*n*", {"rainy", "plain"}),
        ("id:?a*", {"rainy", "bare"}),
        ("context_id:o*r", {"bare"}),
        ("saved:[2020-01-01 TO *]", set(FRAMES)),
        ("saved:<2020-01-01", set()),
        ("_exists_:meta.n", {"rainy"}),
        ("_exists_:meta", {"rainy", "dusky", "plain"}),
        ("_exists_:rois", {"rainy", "dusky"}),
        ("_exists_:rois.meta.track", {"dusky"}),
        ("_exists_:sources.uri", set(FRAMES)),
        ("rois.sources:default", {"dusky"}),
        ("_exists_:meta.code", {"dusky", "plain"}),
        ("_exists_:label", {"rainy", "dusky"}),
        ("NOT _exists_:meta.weather", {"bare"}),
        ("meta.weather:*", {"rainy", "dusky", "plain"}),
        ("*", set(FRAMES)),
        ("*:* AND NOT car", {"plain", "bare"}),
        ("context_id:other", {"bare"}),
        ("timestamp:[50 TO *]", {"bare"}),
        ("id:plain", {"plain"}),
        ("sources.width:640", {"rainy", "dusky", "plain", "bare"}),
        ('sources.id:default AND sources.content_type:"image/jpeg"', set(FRAMES)),
        ("meta.none:1", set()),
        ("meta.weather:Rain", set()),
        ("label:cаr", set()),  # noqa: RUF001  a Cyrillic a
    ],
)
def test_a_query_finds_its_frames(version: Version, text: str, wanted: set[str]) -> None:
    assert search(version, text) == wanted


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("car AND", "cannot be read"),
        ("(car", "cannot be read"),
        ("meta.speed:[1 TO", "cannot be read"),
        ('label:"car', "cannot be read"),
        ("colour:red", "There is no field colour"),
        ("meta.speed:[a TO b]", "A range is of numbers"),
        ("label:/c.r/", "regex is not understood"),
        ("car~", "fuzzy is not understood"),
        ("meta.*:rain", "takes no \\* or \\?"),
        ("meta.speed:[20 TO 10]", "runs backwards: 20 is more than 10"),
        ("saved:[2026-11-21 TO 2026-11-20]", "runs backwards"),
        ("saved:yesterday", "takes a number or a date"),
        ("saved:2026*", "takes no"),
        ("label:[a TO b]", "label holds texts"),
        ("meta.n:>-5", "A negative bound"),
        ("context_id:s3://bucket/x", "A value with a colon"),
        ("label：car", "is another character than :"),  # noqa: RUF001  a wide colon
        ("label:“car”", 'is another character than "'),
        ("label:car\u200b", r"invisible character \(U\+200B\)"),
        ("rois:(car OR count:2)", "count stands beside"),
        ("rois:(car AND count:x)", "count takes a number"),
        ("rois:(uri:x)", r"no field uri inside rois"),
        ("sources:(rois:(car))", r"no field rois inside sources"),
        ("car && bus", r"written as words"),
        ("car || bus", r"written as words"),
        ("!car", r"written as words"),
        ("colour:red", r"A metadata key is written meta.colour"),
        ('label:"a\x00"', "No text holds this character"),
        ('label:"a\ud800*"', "No text holds this character"),
        ("car " * 30_000, "longer than 10,000 characters"),
        ("(" * 1000 + "car" + ")" * 1000, "nested too deeply"),
        ("NOT " * 500 + "car", "nested too deeply"),
        (" OR ".join(f"car{n}" for n in range(700)), "more than 500 terms"),
    ],
)
def test_a_query_that_cannot_be_answered_says_why_within_a_second(
    version: Version, text: str, said: str
) -> None:
    start = time.process_time()
    with pytest.raises(QueryError, match=said):
        search(version, text)
    assert time.process_time() - start < 1


def test_a_syntax_error_tells_its_place(version: Version) -> None:
    with pytest.raises(QueryError) as caught:
        search(version, "car AND ) person")
    assert caught.value.position == 8


def test_a_query_never_leaves_its_universe(version: Version) -> None:
    index = DatasetIndex(version.dataset)
    assert frames_matching(index, BitMap(), "NOT nothing OR label:* OR id:plain") == BitMap()


def pattern(text: str) -> Pattern:
    return Pattern(tuple(Wild(char) if char in "*?" else char for char in text))


def test_many_wildcards_take_no_time() -> None:
    matches = pattern("*a" * 50 + "b").matches
    start = time.process_time()
    assert not matches("a" * 255)
    assert time.process_time() - start < 0.1


@given(st.text("ab*?", max_size=8), st.text("ab", max_size=10))
def test_wildcards_equal_the_regular_expression(text: str, value: str) -> None:
    regex = "".join({"*": ".*", "?": "."}.get(char, char) for char in text)
    assert pattern(text).matches(value) == bool(re.fullmatch(regex, value))


@given(st.text(max_size=4), st.text(max_size=4))
def test_what_a_prefix_begins_lies_before_the_text_after_it(prefix: str, rest: str) -> None:
    end = after_prefix(prefix)
    assert end is None or (prefix + rest).encode() < end.encode()
    assert end is None or not end.startswith(prefix)


@tries(50)
@given(st.text("ab%_[]*?\\éＡ", max_size=6))
def test_the_database_and_python_agree_on_a_pattern(version: Version, text: str) -> None:
    """What is special to LIKE and GLOB is plain in a value."""
    ids = ["ab%", "a_b", "a[b]", "a\\b", "éab", "Ab", "ba", "Ａ", "a"]  # noqa: RUF001
    if version.frame_count < 10:
        version = add_frames(version, [make_frame(each, context_id=each) for each in ids])
    index = DatasetIndex(Dataset.objects.get(pk=version.dataset_id))
    wanted = {each for each in [*FRAMES, *ids] if pattern(text).matches(each)}
    rows = Frame.objects.at(
        index.dataset, BitMap().union(*index.frames_like("frame_id", pattern(text)))
    )
    assert set(rows.values_list("frame_id", flat=True)) == wanted
    contexts = {value for _, value in index.text_terms("context_id", pattern(text))}
    assert contexts == {each for each in ["drive", "other", *ids] if pattern(text).matches(each)}


@tries(40, everywhere=True)
@given(brute.datasets(), st.lists(brute.filters(), min_size=5, max_size=5))
def test_200_random_filters_equal_brute_force(frames: list[Any], asked: list[brute.Filter]) -> None:
    version = make_version(frames=frames)
    plain = brute.as_json(version)
    for each in asked:
        text = brute.text_of(each, version)
        assert search(version, text) == {
            name for name, frame in plain.items() if brute.holds(each, frame)
        }, text


@tries(30)
@given(brute.datasets(), st.lists(brute.filters(), min_size=3, max_size=3))
def test_filters_equal_brute_force_where_texts_are_in_hash_buckets(
    monkeypatch: pytest.MonkeyPatch, frames: list[Any], asked: list[brute.Filter]
) -> None:
    monkeypatch.setattr("frames.index.writer.TEXTS_PER_KEY_MAX", 1)
    monkeypatch.setattr("frames.index.terms.HASH_BUCKETS", 2)
    test_200_random_filters_equal_brute_force.hypothesis.inner_test(frames, asked)  # type: ignore[attr-defined]


@tries(60)
@given(brute.datasets(), brute.filters("sources"))
def test_sources_asked_of_the_database_equal_brute_force(
    monkeypatch: pytest.MonkeyPatch, frames: list[Any], asked: brute.Filter
) -> None:
    """Where there are too many frames to read their sources one by one."""
    monkeypatch.setattr(lucene, "_FEW", 0)
    version = make_version(frames=frames)
    whole = ("sources", asked)
    wanted = {name for name, frame in brute.as_json(version).items() if brute.holds(whole, frame)}
    assert search(version, brute.text_of(whole)) == wanted


@tries(40)
@given(brute.datasets(), brute.filters("rois"))
def test_regions_that_match_equal_brute_force(frames: list[Any], asked: brute.Filter) -> None:
    version = make_version(frames=frames)
    index = DatasetIndex(version.dataset)
    found = regions_matching(index, index.members(version), brute.text_of(asked))
    wanted = {
        name: number
        for name, frame in brute.as_json(version).items()
        if (number := len(brute.regions_of(asked, frame)))
    }
    assert len(found) == sum(wanted.values())
    rows = Frame.objects.at(version.dataset, index.frames_of(found))
    assert set(rows.values_list("frame_id", flat=True)) == set(wanted)


def test_frames_are_found_by_when_they_were_saved(version: Version) -> None:
    """Saving times rise with the revisions; some revisions are gone."""
    frames = [make_frame(f"f{n}") for n in range(300)]
    version = add_frames(version, frames)
    rows = list(Frame.objects.filter(dataset=version.dataset).order_by("pk"))
    for number, row in enumerate(rows):
        row.saved_ms = 1_000 * (number // 7)
    Frame.objects.bulk_update(rows, ["saved_ms"])
    index = DatasetIndex(version.dataset)
    for low, high in [(0, 0), (1_000, 3_000), (41_000, 10**9), (-5, 999), (43_000, 43_000)]:
        wanted = {row.ordinal for row in rows if low <= row.saved_ms <= high}
        assert set(index.saved_between(low, high) & index.members(version)) == wanted
    gone = [row.pk for row in rows[5:290]]
    Frame.objects.filter(pk__in=gone).delete()
    kept = {row.ordinal for row in rows[:5] + rows[290:] if row.saved_ms >= 1_000}
    assert set(index.saved_between(1_000, 10**9)) >= kept


def test_a_day_is_all_of_it() -> None:
    first = datetime(2026, 11, 21, tzinfo=UTC).timestamp() * 1000
    assert syntax.times_of("2026-11-21") == (first, first + 86_399_999)
    assert syntax.times_of("2026-11-21T00:00:00+01:00") == (first - 3_600_000, first - 3_599_001)
    assert syntax.times_of("2026-13-01") is None
    assert syntax.times_of("20261121") is None


def test_frames_are_found_by_the_version_that_wrote_them(version: Version) -> None:
    assert search(version, f"saved_in_version:{version.uid}") == set(FRAMES)
    assert search(version, f"saved_in_version:{version.uid[:6]}*") == set(FRAMES)
    assert search(version, "saved_in_version:none") == set()
    reindex(version.dataset_id)
    version.dataset.refresh_from_db()
    assert search(version, f"saved_in_version:{version.uid}") == set(FRAMES)


def test_one_source_must_satisfy_all_of_a_group() -> None:
    def camera(name: str, width: int) -> SourceData:
        return SourceData(name, f"https://example.com/{name}.jpg", "image/jpeg", width, 480)

    frames = [make_frame("narrow"), make_frame("wide"), make_frame("alone")]
    frames[0].sources[:] = [camera("front", 640), camera("rear", 1920)]
    frames[1].sources[:] = [camera("front", 1920), camera("rear", 640)]
    frames[2].sources[:] = [camera("front", 1920)]
    version = make_version(frames=frames)
    assert search(version, "sources.id:front AND sources.width:1920") == {"narrow", "wide", "alone"}
    assert search(version, "sources:(id:front AND width:1920)") == {"wide", "alone"}
    assert search(version, "sources:(id:rear AND NOT width:640)") == {"narrow"}
    assert search(version, "NOT sources:(id:rear)") == {"alone"}


def test_texts_that_were_cut_are_told_apart_on_their_rows() -> None:
    long = "x" * 300
    frames = [make_frame(end, meta={"note": long + end}) for end in ("one", "two")]
    version = make_version(frames=frames)
    assert search(version, "meta.note:x*one") == {"one"}
    assert search(version, f'meta.note:"{long}two"') == {"two"}


def test_a_long_context_is_found_by_its_whole_id() -> None:
    """Contexts are never cut: groups are walked by them."""
    long = "c" * 2_000
    version = make_version(frames=[make_frame(end, context_id=long + end) for end in "ab"])
    assert search(version, f"context_id:{long}a") == {"a"}
    assert search(version, "context_id:c*b") == {"b"}


def test_a_pattern_of_very_many_contexts_is_asked_of_the_frames(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A folder of a million pictures has as many contexts."""
    frames = [make_frame(f"{n}", context_id=f"c{n % 7}", timestamp=n) for n in range(30)]
    version = make_version(frames=frames)
    monkeypatch.setattr("frames.index.reader.TEXTS_PER_KEY_MAX", 3)
    monkeypatch.setattr(lucene, "TEXTS_PER_KEY_MAX", 3)
    monkeypatch.setattr(lucene, "_FEW", 0)
    assert search(version, "context_id:c?") == {f"{n}" for n in range(30)}
    assert search(version, "context_id:*3") == {f"{n}" for n in range(3, 30, 7)}


def test_a_search_that_takes_too_long_says_so(
    version: Version, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lucene, "BUDGET_S", -1)
    monkeypatch.setattr(lucene, "_FEW", 0)
    for text in ("sources.uri:*0001*", "id:*n*", "meta.weather:*a*"):
        with pytest.raises(QueryError, match="takes too long"):
            search(version, f"car OR {text}")


@given(st.text('ab:()[]{}"*?\\+-!~^/ \n\x00éANDORTO<>=,.0123456789&|', max_size=60))
def test_any_text_is_answered_or_refused(text: str) -> None:
    """Nothing else than QueryError, and its place lies in the text."""
    error = None
    try:
        for leaf in syntax.leaves(syntax.parse(text)):
            assert 0 <= leaf.start < leaf.end <= len(text)
    except QueryError as refused:
        error = refused
    if error and error.position is not None:
        assert 0 <= error.position <= len(text)


@given(st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), min_size=1))
def test_a_quoted_value_means_itself(text: str) -> None:
    (leaf,) = syntax.leaves(syntax.parse(f"meta.x:{syntax.phrase(text)}"))
    assert isinstance(leaf, syntax.Equal)
    assert leaf.value == text


@given(st.text("ab .:*?()-é/+", min_size=1))
def test_an_escaped_field_name_means_itself(name: str) -> None:
    (leaf,) = syntax.leaves(syntax.parse(f"{syntax.field_name(f'meta.{name}')}:x"))
    assert isinstance(leaf, syntax.Equal)
    assert leaf.field == f"meta.{name}".removesuffix(".keyword")


DOCUMENT = (Path(__file__).resolve().parents[2] / "docs" / "search.md").read_text()


def documented_examples() -> list[str]:
    """Return the examples of the tables, and the texts in running prose that hold a field."""
    cells = re.findall(r"^\|.*\| `([^`|]+)` \|$", DOCUMENT, flags=re.MULTILINE)
    prose = re.findall(r"`((?:NOT )?[a-z_][\w.\\ ]*:[^`\n]+)`", DOCUMENT)
    forms = {"field:*", "_exists_:field", "field:(a OR b)", "count:0", "count:[0 TO 3]"}
    return sorted({*cells, *prose} - forms)


@pytest.mark.parametrize("text", documented_examples())
def test_every_documented_example_is_understood(version: Version, text: str) -> None:
    search(version, text)


def test_every_field_that_is_understood_is_documented() -> None:
    table = DOCUMENT.split("## Fields")[1].split("## ")[0]
    named = set(re.findall(r"`([\w.]+?)(?:\.\*)?`(?=[,\s|]*[`|])", table))
    understood = {
        *("label", "context_id", "id", "timestamp", "saved", "saved_in_version", "meta"),
        *("rois.label", "rois.confidence", "rois.sources", "rois.meta"),
        *("sources.id", "sources.uri", "sources.content_type", "sources.width"),
        *("sources.height", "sources.meta"),
    }
    assert understood <= named
    for name in understood:
        syntax.parse(f"_exists_:{name}")
