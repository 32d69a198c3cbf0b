"""What explains a hit and an empty result is what brute force says."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frames.models import Frame, Version
from frames.search import lucene
from frames.search.explain import ClauseResult, explain, without_one
from frames.search.query import FrameQuery
from frames.search.rows import FrameRow
from tests.factories import make_frame, make_version
from tests.properties import tries
from tests.search import brute

pytestmark = pytest.mark.django_db


def rows(version: Version) -> dict[str, FrameRow]:
    frames = Frame.objects.filter(dataset=version.dataset).with_writer()
    frames = frames.prefetch_related("sources")
    return {frame.frame_id: FrameRow(frame, list(frame.sources.all())) for frame in frames}


def explained(version: Version, name: str, q: str, label: str = "") -> list[ClauseResult]:
    return explain(FrameQuery(q=q, label=label), rows(version)[name])


@pytest.fixture
def version() -> Version:
    def region(*labels: str, confidence: float) -> dict[str, Any]:
        return {"label": list(labels), "confidence": confidence, "poly": [0, 0, 1, 0, 1, 1]}

    frames = [
        make_frame(
            "street",
            meta={"light": "dusk"},
            rois=[
                region("car", confidence=0.9),
                region("bus", confidence=0.5),
                region("car", "occluded", confidence=0.4),
            ],
        ),
        make_frame("empty", meta={"light": "day"}, rois=[]),
    ]
    return make_version(frames=frames)


def test_each_clause_says_where_it_stands_and_which_regions_match(version: Version) -> None:
    q = "meta.light:dusk AND rois:(car AND confidence:>0.8) AND NOT label:ship"
    light, roi, ship = explained(version, "street", q)
    assert light == ClauseResult("meta.light:dusk", 0, 15, True, (), ())
    assert (roi.text, roi.matched, roi.regions) == ("rois:(car AND confidence:>0.8)", True, (0,))
    assert q[ship.start : ship.end] == ship.text == "NOT label:ship"
    assert (ship.matched, ship.regions) == (True, ())


def test_what_a_frame_misses_is_told_too(version: Version) -> None:
    light, roi = explained(version, "empty", "meta.light:dusk OR rois:(count:0)")
    assert (light.matched, roi.matched) == (False, True)


def test_negation_names_the_regions_that_spoil_it(version: Version) -> None:
    (clause,) = explained(version, "street", "NOT (bus OR label:occluded)")
    assert (clause.matched, clause.regions) == (False, (1, 2))


def test_label_filter_is_the_first_clause(version: Version) -> None:
    label, light = explained(version, "street", "meta.light:dusk", label="car")
    assert (label.text, label.matched, label.regions) == ('label:"car"', True, (0, 2))
    assert light.matched


def test_source_that_matches_is_named(version: Version) -> None:
    (clause,) = explained(version, "street", "sources:(id:default AND width:640)")
    assert (clause.matched, clause.sources) == (True, ("default",))


def test_value_of_a_group_is_shown_with_its_field(version: Version) -> None:
    texts = [clause.text for clause in explained(version, "street", "label:(car AND bus)")]
    assert texts == ["label:car", "label:bus"]


def test_version_that_wrote_the_frame_is_known(version: Version) -> None:
    (clause,) = explained(version, "street", f"saved_in_version:{version.uid}")
    assert clause.matched


@tries(50)
@given(brute.datasets(), brute.filters("rois"), brute.filters())
def test_explanation_of_50_random_filters_equals_brute_force(
    frames: list[Any], region: brute.Filter, whole: brute.Filter
) -> None:
    """Matched regions are exact, and a clause matches where the filter of it alone does."""
    version = make_version(frames=frames)
    plain = brute.as_json(version)
    for name, row in rows(version).items():
        q = f"rois:({brute.text_of(region)})"
        (clause,) = explain(FrameQuery(q=q), row)
        assert list(clause.regions) == brute.regions_of(region, plain[name])
        text = brute.text_of(whole, version)
        alone = explain(FrameQuery(q=f"NOT ({text})"), row)
        assert [each.matched for each in alone] == [not brute.holds(whole, plain[name])]


@tries(50)
@given(
    brute.datasets(),
    st.lists(st.lists(brute.filters(), min_size=1, max_size=3), min_size=1, max_size=3),
    st.sampled_from(["", "car"]),
)
def test_counts_without_each_rule_of_50_random_filters_equal_brute_force(
    frames: list[Any], filters: list[list[brute.Filter]], label: str
) -> None:
    version = make_version(frames=frames)
    plain = brute.as_json(version)

    def count(kept: list[list[brute.Filter]], label: str) -> int:
        asked: brute.Filter = ("or", [("and", rules) for rules in kept])
        if label:
            asked = ("and", [asked, ("equal", "label", label)])
        return sum(brute.holds(asked, frame) for frame in plain.values())

    def text(kept: list[list[brute.Filter]]) -> str:
        # NOT NOT keeps what stands inside one rule.
        parts = [[f"NOT (NOT ({brute.text_of(r, version)}))" for r in rules] for rules in kept]
        return " OR ".join(f"({' AND '.join(rules)})" for rules in parts)

    wanted = [count(filters, "")] if label else []
    for place, rules in enumerate(filters):
        if len(rules) > 1 or len(filters) == 1:
            for number in range(len(rules)):
                kept = [*filters]
                kept[place] = rules[:number] + rules[number + 1 :]
                wanted.append(count(kept, label))
    query = FrameQuery(q=text(filters), label=label)
    found = without_one(version, query)
    assert [each.frames for each in found] == wanted
    for each in found:
        left = FrameQuery(q=each.q, label=each.label)
        assert len(pages_matched(version, left)) == each.frames


def pages_matched(version: Version, query: FrameQuery) -> Any:
    from frames.search import pages

    return pages.matched_frames(version, query)


def test_nested_rules_are_dropped_one_by_one(version: Version) -> None:
    query = FrameQuery(q="((car AND meta.light:day) bus)")
    found = {each.text: (each.frames, each.q) for each in without_one(version, query)}
    assert found == {
        "car": (0, "meta.light:day AND bus"),
        "meta.light:day": (1, "car AND bus"),
        "bus": (0, "car AND meta.light:day"),
    }


def test_only_rule_leaves_everything(version: Version) -> None:
    (only,) = without_one(version, FrameQuery(q="id:none"))
    assert (only.frames, only.q) == (2, "")


def test_a_filter_that_takes_too_long_has_no_counts(
    version: Version, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lucene, "BUDGET_S", -1)
    assert without_one(version, FrameQuery(q="car AND bus")) == []


def test_of_very_many_clauses_on_very_many_regions_the_first_are_explained() -> None:
    """A frame of 10,000 regions under 200 rules would take a minute."""
    rois = [{"label": ["car"], "confidence": 0.5, "poly": [0, 0, 1, 1, 2, 2]}] * 10_000
    version = make_version(frames=[make_frame("crowded", rois=rois)])
    q = " OR ".join(f"rois:(car AND confidence:0.{n})" for n in range(200))
    assert 0 < len(explained(version, "crowded", q)) < 10
