from __future__ import annotations

import re
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frames.index.bitmaps import BitMap
from frames.index.reader import DatasetIndex
from frames.models import Frame, Version
from frames.search.errors import QueryError
from frames.search.lucene import _pattern, frames_matching
from tests.factories import make_frame, make_version

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
        "meta": {"weather": "dusk", "speed": 20.5, "code": "60"},
        "rois": [{"label": ["car"], "confidence": 0.5, "sources": ["default"]}],
    },
    "plain": {"meta": {"weather": "rainfall (heavy)", "speed": -3, "code": 60}, "rois": []},
    "bare": {"context_id": "other", "timestamp": 99},
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
        ("meta.speed:[10 TO 20.5]", {"rainy", "dusky"}),
        ("meta.speed:{10 TO 20.5]", {"dusky"}),
        ("meta.speed:[10 TO 20.5}", {"rainy"}),
        ("meta.speed:[* TO 0]", {"plain"}),
        ("meta.speed:>=10", {"rainy", "dusky"}),
        ("meta.speed:>10", {"dusky"}),
        (r"meta.speed:\-3", {"plain"}),
        ("meta.speed:[20 TO 10]", set()),
        ("rois.confidence:[0.8 TO 1]", {"rainy"}),
        ("rois.confidence:0.5", {"dusky"}),
        ("rois.sources:default", {"dusky"}),
        ("_exists_:meta.code", {"dusky", "plain"}),
        ("_exists_:label", {"rainy", "dusky"}),
        ("NOT _exists_:meta.weather", {"bare"}),
        ("meta.weather:*", {"rainy", "dusky", "plain"}),
        ("*", {"rainy", "dusky"}),
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
        ("rois.label:c*r AND rois.meta.x:a*", "takes whole values"),
        ("(" * 1000 + "car" + ")" * 1000, "nested too deeply"),
        ("NOT " * 500 + "car", "nested too deeply"),
        (" OR ".join(f"label:car{n}" for n in range(700)), "more than 500 terms"),
    ],
)
def test_a_query_that_cannot_be_answered_says_why_within_a_second(
    version: Version, text: str, said: str
) -> None:
    start = time.monotonic()
    with pytest.raises(QueryError, match=said):
        search(version, text)
    assert time.monotonic() - start < 1


def test_a_syntax_error_tells_its_place(version: Version) -> None:
    with pytest.raises(QueryError) as caught:
        search(version, "car AND ) person")
    assert caught.value.position == 8


def test_a_query_never_leaves_its_universe(version: Version) -> None:
    index = DatasetIndex(version.dataset)
    assert frames_matching(index, BitMap(), "NOT nothing OR label:* OR id:plain") == BitMap()


def test_many_wildcards_take_no_time() -> None:
    matches = _pattern("*a" * 50 + "b")
    start = time.monotonic()
    assert not matches("a" * 255)
    assert time.monotonic() - start < 0.1


@given(st.text("ab*?", max_size=8), st.text("ab", max_size=10))
def test_wildcards_equal_the_regular_expression(pattern: str, value: str) -> None:
    regex = "".join({"*": ".*", "?": "."}.get(char, char) for char in pattern)
    assert _pattern(pattern)(value) == bool(re.fullmatch(regex, value))
