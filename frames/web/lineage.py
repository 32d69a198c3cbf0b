"""Who was made from whom, as an outline: rows in order, with the branches that open and close."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

# Deeper forks are not moved further to the right, so that names have room.
INDENTS_MAX: Final = 6


@dataclass(frozen=True, slots=True)
class Place:
    """Where a version stands in the outline.

    `opens`: the next rows were made from it. `forks`: in several lines, which stand to its right.
    `closes`: how many branches end behind it.
    """

    pk: int
    opens: bool
    forks: bool
    closes: int


def with_ancestors(wanted: Iterable[int], above: Mapping[int, int], limit: int) -> set[int]:
    """Return the wanted and those they descend from, at most `limit`, the first wanted first."""
    found: set[int] = set()
    for pk in wanted:
        at: int | None = pk
        while at is not None and at not in found:
            if len(found) == limit:
                return found
            found.add(at)
            at = above.get(at)
    return found


def outline(pks: Iterable[int], above: Mapping[int, int]) -> list[Place]:
    """Return each version before those made from it, siblings in the order given.

    `above` is the version each was made from; one whose is not among them begins a tree. A line
    of versions goes straight down, however long it is: only a fork moves to the right.
    """
    below: dict[int | None, list[int]] = {}
    given = dict.fromkeys(pks)
    for pk in given:
        below.setdefault(above[pk] if above.get(pk) in given else None, []).append(pk)
    ordered = _descend(below)
    levels = [level for _, level, _ in ordered]
    return [
        Place(
            pk=pk,
            opens=after > level,
            forks=len(below.get(pk, ())) > 1 and forks < INDENTS_MAX,
            closes=max(0, level - after),
        )
        for (pk, _, forks), (level, after) in zip(ordered, pairwise([*levels, 0]), strict=True)
    ]


def _descend(below: Mapping[int | None, Sequence[int]]) -> list[tuple[int, int, int]]:
    """Return each version, its generation, and how many it descends from have several children."""
    found = []
    # Not by recursion: a line can be longer than Python's stack.
    waiting = [(pk, 0, 0) for pk in reversed(below.get(None, ()))]
    while waiting:
        pk, level, forks = waiting.pop()
        found.append((pk, level, forks))
        children = below.get(pk, ())
        forks += len(children) > 1
        waiting += [(child, level + 1, forks) for child in reversed(children)]
    return found
