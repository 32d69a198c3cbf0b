"""The builder's cards and the query's text say the same, and neither loses anything."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frames.index.reader import DatasetIndex
from frames.models import Frame, Version
from frames.search.builder import (
    Builder,
    FrameFilter,
    RegionRule,
    from_text,
    read_region_text,
    region_text,
    to_text,
)
from frames.search.errors import QueryError
from frames.search.lucene import frames_matching
from tests.factories import make_frame, make_version
from tests.properties import tries
from tests.search import brute

PRINTED = st.text(min_size=1).filter(lambda text: text.isprintable() and text.strip() != "")
LABELS = st.one_of(st.sampled_from(["car", "bus", "traffic light"]), PRINTED)
SHARES = st.one_of(st.none(), st.floats(0, 1))
LEAST = st.integers(0, 4)


@st.composite
def region_rules(draw: st.DrawFn) -> RegionRule:
    excludes = draw(st.booleans())
    count = draw(st.one_of(st.none(), st.tuples(LEAST, st.one_of(st.none(), st.integers(4, 9)))))
    if draw(st.booleans()):
        lucene = draw(brute.filters("rois").map(brute.text_of))
        return RegionRule(excludes=excludes, count=count, lucene=lucene)
    labels = tuple(draw(st.lists(LABELS, max_size=2, unique=True)))
    low, high = sorted([draw(SHARES), draw(SHARES)], key=lambda x: x or 0)
    if low is None or high is None:
        low, high = draw(st.sampled_from([(low, None), (None, high)]))
    return RegionRule(excludes, labels, (low, high) if labels else (None, None), count)


frame_rules = st.one_of(
    st.just(""),
    brute.filters().map(brute.text_of),
    st.sampled_from(["*", "car", 'rois:(label:"car")', "(a)", "(a) OR (b)", "NOT (a)"]),
    st.builds(lambda rule: to_text(Builder((FrameFilter((rule,)),))), region_rules()),
)
frame_filters = st.builds(
    FrameFilter,
    st.lists(region_rules(), max_size=2).map(tuple),
    frame_rules,
    st.one_of(st.just(""), brute.filters("sources").map(brute.text_of)),
)
builders = st.builds(Builder, st.lists(frame_filters, min_size=1, max_size=3).map(tuple))


@tries(300)
@given(builders)
def test_a2_cards_come_back_from_their_text(builder: Builder) -> None:
    assert from_text(to_text(builder)) == builder


@tries(300)
@given(st.one_of(st.text(), st.text('ab:()"*ORAND NOTrois[].0 1', max_size=30)))
def test_any_text_is_a_builder_whose_text_is_read_the_same(text: str) -> None:
    builder = from_text(text)
    assert from_text(to_text(builder)) == builder


@pytest.mark.parametrize("text", ["car AND (", '"open', "colour:red", "rois:(count:x)", "a：b"])  # noqa: RUF001
def test_what_cannot_be_read_stays_as_it_was_typed(text: str) -> None:
    builder = from_text(text)
    assert builder == Builder((FrameFilter(frame_rule=text),))
    assert to_text(builder) == text


@pytest.mark.django_db
@tries(40)
@given(brute.datasets(), st.lists(brute.filters(), min_size=3, max_size=3))
def test_a_text_means_the_same_after_the_builder_has_written_it(
    frames: list[Any], asked: list[brute.Filter]
) -> None:
    version = make_version(frames=frames)
    for each in asked:
        text = brute.text_of(each, version)
        assert search(version, text) == search(version, to_text(from_text(text))), text


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        (RegionRule(labels=("car",)), 'rois:(label:"car")'),
        (
            RegionRule(labels=("car", "occluded"), confidence=(0.8, 1)),
            'rois:(label:"car" AND label:"occluded" AND confidence:[0.8 TO 1])',
        ),
        (RegionRule(excludes=True, labels=("bus",)), 'NOT rois:(label:"bus")'),
        (RegionRule(labels=("car",), count=(2, 5)), 'rois:(label:"car" AND count:[2 TO 5])'),
        (RegionRule(count=(3, None)), "rois:(count:[3 TO *])"),
        (RegionRule(), "rois:(*)"),
        (RegionRule(lucene="car OR bus"), "rois:((car OR bus))"),
    ],
)
def test_a4_region_rule_is_one_group_of_the_text(rule: RegionRule, text: str) -> None:
    assert to_text(Builder((FrameFilter((rule,)),))) == text


def test_a3_rules_are_joined_by_and_filters_by_or() -> None:
    one = FrameFilter((RegionRule(labels=("car",)),), "meta.a:1", "sources.width:640")
    assert to_text(Builder((one,))) == (
        'rois:(label:"car") AND (meta.a:1) AND sources:(sources.width:640)'
    )
    assert to_text(Builder((one, FrameFilter(frame_rule="meta.b:2")))) == (
        '(rois:(label:"car") AND (meta.a:1) AND sources:(sources.width:640)) OR (meta.b:2)'
    )


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("rois:(car)", RegionRule(labels=("car",))),
        ("rois:car", RegionRule(labels=("car",))),
        ("rois:*", RegionRule()),
        ("NOT rois:(car occluded)", RegionRule(excludes=True, labels=("car", "occluded"))),
        ("rois:(car AND count:2)", RegionRule(labels=("car",), count=(2, 2))),
        ("rois:(car OR bus)", RegionRule(lucene="car OR bus")),
        ("rois:(confidence:[0.8 TO 1])", RegionRule(lucene="confidence:[0.8 TO 1]")),
        ("rois:(car AND confidence:<7)", RegionRule(lucene="car AND confidence:<7")),
        ('rois:(label:"")', RegionRule(lucene='label:""')),
        ("rois:(car AND count:99999999999)", RegionRule(labels=("car",), count=(10**6, 10**6))),
        ("rois:(car confidence:>0.5 meta.x:1)", RegionRule(lucene="car confidence:>0.5 meta.x:1")),
    ],
)
def test_text_of_another_hand_becomes_a_rule(text: str, rule: RegionRule) -> None:
    assert from_text(text) == Builder((FrameFilter((rule,)),))


@given(region_rules())
def test_a4_a_rule_is_switched_to_lucene_and_back(rule: RegionRule) -> None:
    if not rule.lucene:
        plain = RegionRule(labels=rule.labels, confidence=rule.confidence)
        assert read_region_text(region_text(rule)) == plain


@pytest.mark.parametrize(
    "broken",
    [
        FrameFilter((RegionRule(lucene="car AND ("),)),
        FrameFilter((RegionRule(),), frame_rule="car AND ("),
        FrameFilter(source_rule="colour:red"),
    ],
)
def test_a10_a_rule_that_cannot_be_read_is_refused_before_it_breaks_the_others(
    broken: FrameFilter,
) -> None:
    with pytest.raises(QueryError):
        to_text(Builder((broken, FrameFilter())))


@pytest.fixture
def version(db: None) -> Version:
    def region(label: str, confidence: float, *more: str) -> dict[str, Any]:
        return {"label": [label, *more], "confidence": confidence, "poly": [0, 0, 1, 0, 1, 1]}

    frames = [
        make_frame("both", rois=[region("car", 0.9, "occluded")]),
        make_frame("apart", rois=[region("car", 0.9), region("bus", 0.2, "occluded")]),
        make_frame("unsure", rois=[region("car", 0.3, "occluded")]),
        make_frame("none", rois=[], meta={"dangerous": "yes"}),
    ]
    return make_version(frames=frames)


@pytest.mark.parametrize(
    ("one", "wanted"),
    [
        (FrameFilter((RegionRule(labels=("car", "occluded")),)), {"both", "unsure"}),
        (FrameFilter((RegionRule(labels=("car",)), RegionRule(labels=("bus",)))), {"apart"}),
        (FrameFilter((RegionRule(labels=("car", "occluded"), confidence=(0.8, 1)),)), {"both"}),
        (FrameFilter((RegionRule(excludes=True, labels=("occluded",)),)), {"none"}),
        (FrameFilter((RegionRule(excludes=True),)), {"none"}),
        (FrameFilter((RegionRule(count=(2, None)),)), {"apart"}),
        (FrameFilter(frame_rule='meta.dangerous:"yes"'), {"none"}),
    ],
)
def test_a5_include_is_one_region_with_all_and_exclude_none_with_them(
    version: Version, one: FrameFilter, wanted: set[str]
) -> None:
    """Rules of one filter may be satisfied by different regions."""
    assert search(version, to_text(Builder((one,)))) == wanted


def search(version: Version, text: str) -> set[str]:
    index = DatasetIndex(version.dataset)
    found = frames_matching(index, index.members(version), text or "*")
    return set(Frame.objects.at(version.dataset, found).values_list("frame_id", flat=True))
