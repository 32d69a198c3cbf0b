"""The outline of a lineage, for lineages of any shape."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from frames.web.lineage import INDENTS_MAX, outline, with_ancestors


@st.composite
def lineages(draw: st.DrawFn) -> dict[int, int | None]:
    """Return versions by the one each was made from, in any order."""
    count = draw(st.integers(0, 40))
    made_from = {
        pk: draw(st.none() | st.integers(0, pk - 1)) if pk else None for pk in range(count)
    }
    return {pk: made_from[pk] for pk in draw(st.permutations(range(count)))}


def edges(lineage: dict[int, int | None]) -> dict[int, int]:
    return {pk: parent for pk, parent in lineage.items() if parent is not None}


@given(lineages(), st.data())
def test_an_outline_nests_what_was_made_from_what(
    lineage: dict[int, int | None], data: st.DataObject
) -> None:
    """Read back as the page nests it, each row stands in the branch of what it was made from."""
    shown = data.draw(st.sets(st.sampled_from([*lineage]))) if lineage else set()
    order = [pk for pk in lineage if pk in shown]
    places = outline(order, edges(lineage))
    assert sorted(place.pk for place in places) == sorted(shown)
    branches: list[int | None] = [None]
    found: dict[int | None, list[int]] = {}
    for place in places:
        parent = lineage[place.pk]
        assert branches[-1] == (parent if parent in shown else None)
        found.setdefault(branches[-1], []).append(place.pk)
        if place.opens:
            branches.append(place.pk)
        del branches[len(branches) - place.closes :]
    assert branches == [None]
    for siblings in found.values():
        assert siblings == [pk for pk in order if pk in siblings]


@given(lineages())
def test_what_forks_has_several_children_and_is_not_too_deep(
    lineage: dict[int, int | None],
) -> None:
    above = edges(lineage)
    children = {pk: [child for child, parent in above.items() if parent == pk] for pk in lineage}
    for place in outline(lineage, above):
        at, deep = lineage[place.pk], 0
        while at is not None:
            deep += len(children[at]) > 1
            at = lineage[at]
        assert place.forks == (len(children[place.pk]) > 1 and deep < INDENTS_MAX)


@given(lineages(), st.integers(0, 50), st.data())
def test_ancestors_come_with_what_is_wanted(
    lineage: dict[int, int | None], limit: int, data: st.DataObject
) -> None:
    wanted = data.draw(st.lists(st.sampled_from([*lineage]), unique=True)) if lineage else []
    found = with_ancestors(wanted, edges(lineage), limit)
    whole = with_ancestors(wanted, edges(lineage), len(lineage))
    assert len(found) == min(limit, len(whole))
    assert found <= whole
    assert set(wanted) <= whole
    assert all(lineage[pk] is None or lineage[pk] in whole for pk in whole)


def test_a_line_longer_than_the_stack_is_drawn() -> None:
    places = outline(range(5_000), {pk: pk - 1 for pk in range(1, 5_000)})
    assert [place.pk for place in places] == list(range(5_000))
    assert places[-1].closes == 4_999
