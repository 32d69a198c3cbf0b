"""The strip to jump along a context: a mark at each moment, gaps where nothing was recorded."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from frames.search import pages
from frames.web.addresses import frame_address
from frames.web.text import moment

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from frames.models import Version
    from frames.search.pages import Mark

WIDTH: Final = 1000
MAX_MARKS: Final = 200
# A pause is a gap when it is this many times the usual one.
GAP_FACTOR: Final = 2.5


@dataclass(frozen=True, slots=True)
class StripMark:
    """One frame on the strip; `x` runs from 0 to WIDTH, `is_stop` is the one that Tab reaches."""

    x: str
    hit_x: str
    moment: str
    url: str
    is_current: bool
    is_stop: bool


@dataclass(frozen=True, slots=True)
class Strip:
    """A context's frames along its time, thinned where they are many."""

    marks: list[StripMark]
    hit_width: str
    first: str
    last: str


def strip_of(
    version: Version, context_id: str, found_by: Mapping[str, str], current: float | None = None
) -> Strip | None:
    """Return the strip of a context, None where it has one moment only.

    `current` is the timestamp of the frame being looked at; the mark at or before it is lit.
    """
    marks = pages.context_strip(version, context_id, MAX_MARKS)
    if len(marks) < 2:
        return None
    lit = _at_or_before(marks, current)
    # As wide as they can be pointed at without covering one another.
    hit_width = WIDTH / len(marks)
    return Strip(
        marks=[
            StripMark(
                x=f"{x:.1f}",
                hit_x=f"{x - hit_width / 2:.1f}",
                moment=moment(mark.timestamp),
                url=frame_address(version, mark.frame_id, found_by),
                is_current=number == lit,
                is_stop=number == max(0, lit),
            )
            for number, (mark, x) in enumerate(zip(marks, _places(marks), strict=True))
        ],
        hit_width=f"{hit_width:.1f}",
        first=moment(marks[0].timestamp),
        last=moment(marks[-1].timestamp),
    )


def gaps_between(timestamps: Sequence[float]) -> dict[int, float]:
    """Return pauses that stand out: position of the frame after it -> its length.

    >>> gaps_between([0, 33, 66, 500, 533])
    {3: 434}
    """
    steps = [later - earlier for earlier, later in itertools.pairwise(timestamps)]
    usual = sorted(step for step in steps if step > 0)
    if len(usual) < 2:
        return {}
    limit = usual[len(usual) // 2] * GAP_FACTOR
    return {position: step for position, step in enumerate(steps, start=1) if step > limit}


def _at_or_before(marks: Sequence[Mark], current: float | None) -> int:
    if current is None:
        return -1
    return max(0, sum(mark.timestamp <= current for mark in marks) - 1)


def _places(marks: Sequence[Mark]) -> list[float]:
    first, length = marks[0].timestamp, marks[-1].timestamp - marks[0].timestamp
    if length <= 0:
        return [number * WIDTH / (len(marks) - 1) for number in range(len(marks))]
    return [(mark.timestamp - first) / length * WIDTH for mark in marks]
