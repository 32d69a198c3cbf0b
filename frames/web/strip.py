"""The strip along a context: hits to jump to, gaps where nothing was recorded, doubtful times."""

from __future__ import annotations

import itertools
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from frames.search import pages
from frames.search.query import FrameQuery
from frames.search.strips import gaps_after
from frames.web.addresses import frame_address
from frames.web.text import moment, plural, span

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

    from frames.models import Version
    from frames.search.pages import Mark
    from frames.search.strips import Timeline

WIDTH: Final = 1000
# As many as a card has pixels for.
CARD_WIDTH: Final = 200
MAX_MARKS: Final = 200
# Around a mark, where no other is nearer.
_REACH: Final = 12.0


@dataclass(frozen=True, slots=True)
class Lane:
    """A timeline drawn: lines 10 thick in an SVG of `width` by 10, and the same in words."""

    width: int
    hits: str
    gaps: str
    doubts: str
    text: str


@dataclass(frozen=True, slots=True)
class StripMark:
    """One frame on the strip; `x` runs from 0 to WIDTH, `is_stop` is the one that Tab reaches."""

    x: str
    hit_x: str
    hit_width: str
    moment: str
    url: str
    is_current: bool
    is_stop: bool


@dataclass(frozen=True, slots=True)
class Strip:
    """A context's frames along its time; `marks` are thinned where they are many."""

    marks: list[StripMark]
    lane: Lane
    timeline: Timeline
    is_filtered: bool

    @property
    def first(self) -> str:
        """The first moment."""
        return moment(self.timeline.first)

    @property
    def last(self) -> str:
        """The last moment."""
        return moment(self.timeline.last)

    def as_json(self) -> dict[str, Any]:
        """Return what stands out; places run from 0 to 1 along the context's time."""
        places = self.timeline.places
        return {
            "hits": len(self.timeline.hits),
            "gaps": [asdict(gap) for gap in self.timeline.gaps],
            "shared": places[self.timeline.shared].tolist(),
            "stray": len(self.timeline.stray),
        }


def strip_of(
    version: Version, context_id: str, found_by: Mapping[str, str], current: float | None = None
) -> Strip | None:
    """Return the strip of a context, None where it has one frame only.

    Marks are the frames that the filter `found_by` keeps. `current` is the timestamp of the frame
    being looked at; the mark at or before it is lit. Raises QueryError.
    """
    found = pages.context_strip(version, context_id, FrameQuery(**found_by), MAX_MARKS)
    if found is None or len(found.timeline.places) < 2:
        return None
    lit = _at_or_before(found.marks, current)
    places = [mark.place * WIDTH for mark in found.marks]
    return Strip(
        marks=[
            StripMark(
                x=f"{x:.1f}",
                hit_x=f"{begin:.1f}",
                hit_width=f"{end - begin:.1f}",
                moment=moment(mark.timestamp),
                url=frame_address(version, mark.frame_id, found_by),
                is_current=number == lit,
                is_stop=number == max(0, lit),
            )
            for number, (mark, x, (begin, end)) in enumerate(
                zip(found.marks, places, _reaches(places), strict=True)
            )
        ],
        lane=lane_of(found.timeline, WIDTH),
        timeline=found.timeline,
        is_filtered=bool(found_by),
    )


def lane_of(timeline: Timeline, width: int) -> Lane:
    """Draw a timeline, its hits joined where they touch, and tell in words what stands out."""
    places = np.minimum(timeline.places * width, width - 1).astype(np.int64)
    doubtful = np.concatenate((timeline.shared, timeline.stray))
    gaps = [(int(gap.begin * width) + 1, int(gap.end * width)) for gap in timeline.gaps]
    return Lane(
        width=width,
        hits=_bars(places[timeline.hits]),
        gaps="".join(_bar(begin, max(begin + 1, end)) for begin, end in gaps),
        doubts=_bars(np.sort(places[doubtful])),
        text=_words(timeline),
    )


def gaps_between(timestamps: Sequence[float]) -> dict[int, float]:
    """Return pauses that stand out: position of the frame after it -> its length.

    >>> gaps_between([0, 33, 66, 500, 533])
    {3: 434}
    """
    before = gaps_after(np.array(timestamps, dtype=np.float64))
    return {number + 1: timestamps[number + 1] - timestamps[number] for number in before}


def _words(timeline: Timeline) -> str:
    parts = []
    if timeline.gaps:
        longest = max(gap.length for gap in timeline.gaps)
        parts.append(f"{plural(len(timeline.gaps), 'gap')}, the longest {span(longest)}")
    if len(timeline.shared):
        parts.append(f"{plural(len(timeline.shared), 'frame')} at the time of another")
    if len(timeline.stray):
        parts.append(f"{plural(len(timeline.stray), 'frame')} near time zero among dates")
    return "; ".join(parts)


def _bars(columns: npt.NDArray[np.int64]) -> str:
    """Return a path with a bar for each run of columns, which are in order."""
    if not len(columns):
        return ""
    breaks = np.flatnonzero(columns[1:] - columns[:-1] > 1)
    begins = [int(columns[0]), *columns[breaks + 1].tolist()]
    ends = [*columns[breaks].tolist(), int(columns[-1])]
    return "".join(_bar(begin, end + 1) for begin, end in zip(begins, ends, strict=True))


def _bar(begin: int, end: int) -> str:
    return f"M{begin} 5h{end - begin}"


def _reaches(places: Sequence[float]) -> list[tuple[float, float]]:
    """Return where each mark can be pointed at: up to halfway to the next one."""
    if not places:
        return []
    middles = [(left + right) / 2 for left, right in itertools.pairwise(places)]
    begins = [max(x - _REACH, low) for x, low in zip(places, [-_REACH, *middles], strict=True)]
    ends = [
        min(x + _REACH, high) for x, high in zip(places, [*middles, WIDTH + _REACH], strict=True)
    ]
    return list(zip(begins, ends, strict=True))


def _at_or_before(marks: Sequence[Mark], current: float | None) -> int:
    if current is None:
        return -1
    return max(0, sum(mark.timestamp <= current for mark in marks) - 1)
