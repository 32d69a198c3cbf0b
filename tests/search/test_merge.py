"""The union of versions against a brute force over their frames."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frames.actions import versions
from frames.index import membership
from frames.models import Frame, Version
from frames.search.merge import Rule, unite
from tests.factories import add_frames, make_frame, make_version
from tests.properties import tries

if TYPE_CHECKING:
    from pyroaring import BitMap

pytestmark = pytest.mark.django_db

ids = st.sets(st.integers(0, 7))


def parents_of(changes: list[tuple[set[int], set[int]]]) -> list[Version]:
    """Return published children of one root, each with frames written anew and others deleted."""
    root = make_version(frames=[make_frame(f"f{n}", meta={"by": "root"}) for n in range(5)])
    root = versions.publish(root, actor=None, name="root", reason="unchecked")
    found: list[int] = []
    for number, (written, deleted) in enumerate(changes):
        child = versions.create_version(
            dataset=root.dataset, name=f"v{number}", parents=[root], actor=None
        )
        frames = [make_frame(f"f{n}", meta={"by": number}) for n in sorted(written)]
        if frames:
            add_frames(child, frames)
        versions.delete_frames(child, [f"f{n}" for n in deleted], actor=None)
        found.append(versions.publish(child, actor=None, reason="unchecked").pk)
    # As they are read after all was written.
    return list(Version.objects.select_related("dataset").filter(pk__in=found).order_by("pk"))


def held(version: Version) -> dict[str, int]:
    """Return the revision that a version holds of each frame."""
    return named(version, membership.members(version.pk))


def named(version: Version, frames: BitMap) -> dict[str, int]:
    rows = Frame.objects.at(version.dataset, frames)
    return {row.frame_id: row.ordinal for row in rows}


@tries(30)
@given(
    changes=st.lists(st.tuples(ids, ids), min_size=2, max_size=4),
    chosen=st.dictionaries(st.integers(0, 9), st.integers(0, 4)),
    rule=st.sampled_from([None, "first", "last"]),
)
def test_a_union_equals_brute_force(
    changes: list[tuple[set[int], set[int]]], chosen: dict[int, int], rule: Rule | None
) -> None:
    parents = parents_of(changes)
    contents = [held(parent) for parent in parents]
    names = sorted({name for content in contents for name in content})
    conflicts = {name for name in names if len({c[name] for c in contents if name in c}) > 1}
    picks = {f"f{n}": parents[p].uid if p < len(parents) else "nobody" for n, p in chosen.items()}
    union = unite(parents)
    assert len(union) == len(names)
    assert union.conflicts == len(conflicts)
    assert set(union.names(range(union.conflicts))) == conflicts
    for name, sides in zip(
        union.names(range(union.conflicts)), union.sides(0, union.conflicts), strict=True
    ):
        told = {p: side.row.frame.ordinal for side in sides for p in side.parents}
        assert told == {n: c[name] for n, c in enumerate(contents) if name in c}
    frames, undecided = union.decide(rule, picks)
    by_uid = {parent.uid: content for parent, content in zip(parents, contents, strict=True)}
    wanted = {}
    open_conflicts = set()
    for name in names:
        having = [content for content in contents if name in content]
        picked = by_uid.get(picks.get(name, ""), {})
        if name in picked:
            wanted[name] = picked[name]
        elif name in conflicts and rule is None:
            open_conflicts.add(name)
        else:
            wanted[name] = having[-1 if rule == "last" else 0][name]
    assert set(union.names(undecided)) == open_conflicts
    result = named(parents[0], frames)
    assert {n: o for n, o in result.items() if n not in open_conflicts} == wanted
    assert len(result) == len(names)


def test_versions_that_hold_the_same_have_no_conflict() -> None:
    union = unite(parents_of([(set(), set()), (set(), set())]))
    assert (len(union), union.conflicts, union.sides(0, 10)) == (5, 0, [])


def test_a_frame_deleted_in_one_parent_stays_in_the_union() -> None:
    union = unite(parents_of([(set(), {1, 2}), ({2}, set())]))
    assert (len(union), union.conflicts) == (5, 0)


def test_making_a_version_of_many_conflicts_asks_a_few_queries(
    django_assert_max_num_queries: object,
) -> None:
    root = make_version(frames=[make_frame(f"f{n}", timestamp=n) for n in range(1_200)])
    root = versions.publish(root, actor=None, reason="unchecked")
    parents = []
    for name in ("one", "other"):
        child = versions.create_version(dataset=root.dataset, name=name, parents=[root], actor=None)
        frames = [make_frame(f"f{n}", timestamp=n, meta={"by": name}) for n in range(1_200)]
        add_frames(child, frames)
        parents.append(versions.publish(child, actor=None, reason="unchecked"))
    with pytest.raises(versions.VersionConflict) as caught:
        versions.create_version(dataset=root.dataset, name="m", parents=parents, actor=None)
    assert caught.value.count == 1_200
    assert len(caught.value.frame_ids) == versions.CONFLICTS_LISTED_MAX
    with django_assert_max_num_queries(40):  # type: ignore[operator]
        merged = versions.create_version(
            dataset=root.dataset, name="m", parents=parents, actor=None, rule="last"
        )
    assert held(merged) == held(parents[1])
