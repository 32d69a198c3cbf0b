"""Comparing versions equals comparing dictionaries, and names exactly what differs."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frames.actions import versions
from frames.search import compare
from frames.search.query import FrameQuery
from tests.factories import add_frames, make_frame, make_version
from tests.properties import tries

if TYPE_CHECKING:
    from frames.formats.base import FrameData
    from frames.models import Version

pytestmark = pytest.mark.django_db

EVERYTHING = FrameQuery(group="none")


def child_of(parent: Version, name: str = "child") -> Version:
    parent.refresh_from_db()
    if parent.is_draft:
        parent = versions.publish(parent, actor=None, reason="unchecked")
    return versions.create_version(dataset=parent.dataset, name=name, parents=[parent], actor=None)


def ids(comparison: compare.Comparison, side: compare.Side) -> list[str]:
    found: list[str] = []
    query = EVERYTHING
    while True:
        page = compare.page(comparison, side, query, 3)
        for row in page.items:
            shown = row.after or row.before
            assert shown is not None
            if row.after and row.before:
                assert row.after.frame.frame_id == row.before.frame.frame_id
            found.append(shown.frame.frame_id)
        if page.next is None:
            assert page.matched == len(found)
            return found
        query = replace(query, after=page.next)


contents = st.dictionaries(
    st.sampled_from([f"f{n}" for n in range(10)]),
    st.lists(st.sampled_from(["car", "bus"]), max_size=2),
)


def frames(content: dict[str, list[str]]) -> list[FrameData]:
    return [make_frame(name, labels=labels) for name, labels in content.items()]


@tries(40)
@given(contents, contents, contents)
def test_a_comparison_equals_that_of_dictionaries(
    base: dict[str, list[str]], one: dict[str, list[str]], other: dict[str, list[str]]
) -> None:
    """Of two siblings, so that revisions of a frame are written apart from each other."""
    root = make_version(frames=frames(base))
    left, right = child_of(root, "left"), child_of(root, "right")
    held = []
    for version, content in ((left, one), (right, other)):
        versions.delete_frames(version, base.keys() - content.keys(), actor=None)
        held.append(add_frames(version, frames(content)))
    comparison = compare.compare(held[0], held[1])
    assert sorted(ids(comparison, "added")) == sorted(other.keys() - one.keys())
    assert sorted(ids(comparison, "removed")) == sorted(one.keys() - other.keys())
    # A frame written with equal content on both sides is two revisions if the base had another.
    both = one.keys() & other.keys()
    differ = {name for name in both if one[name] != other[name]}
    rewritten = {name for name in both if one[name] == other[name] != base.get(name)}
    assert differ <= set(ids(comparison, "changed")) <= differ | rewritten
    counts = [Counter(label for labels in c.values() for label in labels) for c in (one, other)]
    assert {(d.label, d.before, d.after) for d in compare.label_deltas(comparison)} == {
        (label, counts[0][label], counts[1][label])
        for label in ("car", "bus")
        if counts[0][label] != counts[1][label]
    }


def test_seventeen_added_five_deleted_nine_changed_and_a_moved_vertex_are_just_those() -> None:
    root = make_version(frames=[make_frame(f"f{n:03d}", labels=["car"]) for n in range(100)])
    child = child_of(root)
    versions.delete_frames(child, [f"f{n:03d}" for n in range(5)], actor=None)
    changed = [make_frame(f"f{n:03d}", labels=["bus"]) for n in range(10, 19)]
    moved = make_frame("f050", labels=["car"])
    moved.rois[0]["poly"][4] += 1
    added = [make_frame(f"new{n}") for n in range(17)]
    child = add_frames(child, [*changed, moved, *added])
    comparison = compare.compare(root, child)
    assert len(ids(comparison, "added")) == 17
    assert ids(comparison, "removed") == [f"f{n:03d}" for n in range(5)]
    assert ids(comparison, "changed") == [f"f{n:03d}" for n in (*range(10, 19), 50)]
    page = compare.page(comparison, "changed", EVERYTHING, 50)
    last = page.items[-1]
    assert last.before is not None
    assert last.after is not None
    found = compare.frame_changes(last.before, last.after)
    assert (found.meta, found.fields) == ([], [])
    assert found.regions == [compare.RegionChange(("moved",), 0, 0)]


def test_versions_of_different_datasets_are_not_compared() -> None:
    with pytest.raises(ValueError, match="different datasets"):
        compare.compare(make_version(), make_version())


BOX = [0, 0, 9, 0, 9, 9, 0, 9]
FAR = [50, 50, 59, 50, 59, 59, 50, 59]


def roi(label: str, poly: list[int], **more: Any) -> dict[str, Any]:
    return {"label": [label], "poly": poly, **more}


@pytest.mark.parametrize(
    ("before", "after", "wanted"),
    [
        ([roi("car", BOX)], [roi("car", BOX)], []),
        ([roi("car", BOX), roi("bus", FAR)], [roi("bus", FAR), roi("car", BOX)], []),
        ([], [roi("car", BOX)], [(("added",), None, 0)]),
        ([roi("car", BOX)], [], [(("removed",), 0, None)]),
        ([roi("car", BOX)], [roi("car", FAR)], [(("moved",), 0, 0)]),
        ([roi("car", BOX)], [roi("bus", BOX)], [(("relabelled",), 0, 0)]),
        ([roi("car", BOX)], [roi("car", BOX, confidence=0.5)], [(("edited",), 0, 0)]),
        (
            [roi("car", BOX, id="a")],
            [roi("bus", FAR, id="a", confidence=1)],
            [(("moved", "relabelled", "edited"), 0, 0)],
        ),
        (
            [roi("car", BOX), roi("car", FAR)],
            [roi("car", FAR), roi("bus", BOX)],
            [(("relabelled",), 0, 1)],
        ),
        ([roi("car", BOX)], [roi("bus", FAR)], [(("removed",), 0, None), (("added",), None, 0)]),
        ([roi("car", BOX)] * 2, [roi("car", BOX)], [(("removed",), 1, None)]),
    ],
)
def test_regions_are_told_apart(
    before: list[Any], after: list[Any], wanted: list[tuple[Any, ...]]
) -> None:
    found = compare.region_changes(before, after)
    assert [(c.kinds, c.before, c.after) for c in found] == wanted


regions = st.lists(
    st.builds(
        roi,
        st.sampled_from(["car", "bus"]),
        st.sampled_from([BOX, FAR]),
        confidence=st.sampled_from([0.5, 1.0]),
    ),
    max_size=5,
)


@given(regions, regions)
def test_each_region_is_in_one_change_at_most(before: list[Any], after: list[Any]) -> None:
    found = compare.region_changes(before, after)
    left = [c.before for c in found if c.before is not None]
    right = [c.after for c in found if c.after is not None]
    assert len(set(left)) == len(left)
    assert len(set(right)) == len(right)
    # What is in no change is equal on both sides.
    rest = [
        [r for n, r in enumerate(side) if n not in used]
        for side, used in ((before, left), (after, right))
    ]
    assert sorted(map(repr, rest[0])) == sorted(map(repr, rest[1]))


def test_metadata_keys_that_differ_are_named() -> None:
    root = make_version(frames=[make_frame("f", meta={"a": 1, "gone": None, "same": [1]})])
    child = add_frames(
        child_of(root), [make_frame("f", timestamp=5, meta={"a": 2, "new": "x", "same": [1]})]
    )
    page = compare.page(compare.compare(root, child), "changed", EVERYTHING, 5)
    row = page.items[0]
    assert row.before is not None
    assert row.after is not None
    found = compare.frame_changes(row.before, row.after)
    assert [(c.key, c.before, c.after, c.is_in_before, c.is_in_after) for c in found.meta] == [
        ("a", 1, 2, True, True),
        ("gone", None, None, True, False),
        ("new", None, "x", False, True),
    ]
    assert found.fields == ["timestamp", "sources"]
