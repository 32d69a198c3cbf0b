"""Why a frame matches a filter, as its page and its card say it: clauses and their regions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from frames.search.explain import explain
from frames.web.overlay import shape_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from frames.search.explain import ClauseResult
    from frames.search.query import FrameQuery
    from frames.search.rows import FrameRow
    from frames.web.overlay import Shape

# So many regions are named beside a clause of the filter.
MAX_REASONS: Final = 12


@dataclass(frozen=True, slots=True)
class Reason:
    """A clause of the filter on this frame, with the regions that satisfy it, a few of them."""

    clause: ClauseResult
    shapes: list[Shape]

    @property
    def verdict(self) -> str:
        """Whether the frame has it, in a word."""
        return "matches" if self.clause.matched else "does not match"

    @property
    def more(self) -> int:
        """How many regions there are beside those shown."""
        return len(self.clause.regions) - len(self.shapes)

    @property
    def sources(self) -> str:
        """The sources that satisfy it."""
        return ", ".join(self.clause.sources)


def reasons_of(row: FrameRow, query: FrameQuery) -> list[Reason]:
    """Return the clauses of the filter with their regions as shapes; see `explain`."""
    return [
        Reason(
            clause,
            [shape_of(row.frame.rois[number], number) for number in clause.regions[:MAX_REASONS]],
        )
        for clause in explain(query, row)
    ]


def hits_of(reasons: Sequence[Reason]) -> frozenset[int]:
    """Return the regions that the filter asks for, by their place in the frame's `rois`."""
    return frozenset(
        number for reason in reasons if reason.clause.matched for number in reason.clause.regions
    )
