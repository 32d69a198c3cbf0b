"""The union of several versions, and the frames of which they hold different revisions."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import numpy as np

from frames.index import store
from frames.index.bitmaps import BitMap, from_array, to_array
from frames.index.reader import DatasetIndex
from frames.models import Frame
from frames.models.frame import frame_pk, ordinal_of
from frames.search.rows import rows_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

    from frames.index.bitmaps import UInt32Array
    from frames.models import Version
    from frames.search.rows import FrameRow

Rule = Literal["first", "last"]


@dataclass(frozen=True, slots=True)
class Side:
    """One revision of a frame that is in conflict, and the places of the parents that hold it."""

    row: FrameRow
    parents: list[int]


@dataclass(frozen=True, slots=True)
class Union:
    """What several parents hold together: a frame that one of them has is in it.

    The frames that not all parents hold in one revision stand in ascending order of their
    identity, frame n's entries from `_starts[n]` to `_starts[n + 1]` in the order of the parents.
    """

    parents: Sequence[Version]
    # What all parents hold.
    common: BitMap
    _identities: UInt32Array = field(repr=False)
    _starts: npt.NDArray[np.int64] = field(repr=False)
    _ordinals: UInt32Array = field(repr=False)
    _owners: npt.NDArray[np.int64] = field(repr=False)
    _conflicts: npt.NDArray[np.int64] = field(repr=False)

    def __len__(self) -> int:
        """Return how many frames it has."""
        return len(self.common) + len(self._identities)

    @property
    def conflicts(self) -> int:
        """Of how many frames parents hold different revisions."""
        return len(self._conflicts)

    def sides(self, first: int, limit: int) -> list[list[Side]]:
        """Return the revisions of some of the conflicts, each by its first parent. Queries: 2."""
        places = self._conflicts[first : first + limit]
        found = []
        for place in places.tolist():
            by_revision: dict[int, list[int]] = {}
            for entry in range(self._starts[place], self._starts[place + 1]):
                holders = by_revision.setdefault(int(self._ordinals[entry]), [])
                holders.append(int(self._owners[entry]))
            found.append(by_revision)
        dataset = self.parents[0].dataset
        ordinals = [ordinal for by_revision in found for ordinal in by_revision]
        rows = dict(zip(ordinals, rows_of(dataset, ordinals), strict=True))
        return [
            [Side(rows[ordinal], holders) for ordinal, holders in by_revision.items()]
            for by_revision in found
        ]

    def names(self, numbers: Sequence[int]) -> list[str]:
        """Return the frame ids of some of the conflicts. Queries: 1 for each 500."""
        places = self._conflicts[list(numbers)]
        dataset = self.parents[0].dataset
        pks = [frame_pk(dataset.pk, o) for o in self._ordinals[self._starts[places]].tolist()]
        found = dict(store.rows_by_id(Frame, pks, "frame_id"))
        return [found[pk] for pk in pks]

    def decide(self, rule: Rule | None, chosen: Mapping[str, str]) -> tuple[BitMap, list[int]]:
        """Return the revisions to hold, and the numbers of the conflicts that nothing decides.

        `chosen`, frame id to the uid of a parent, comes before the rule: take the first or the
        last of the parents that has the frame. Queries: 1 for each 500 chosen.
        """
        picked = self._ordinals[self._starts[:-1]].copy()
        if rule == "last":
            picked = self._ordinals[self._starts[1:] - 1].copy()
        decided = np.full(self.conflicts, rule is not None)
        numbers = {int(place): number for number, place in enumerate(self._conflicts)}
        for place, entry in self._choices(chosen):
            if place in numbers:
                picked[place] = self._ordinals[entry]
                decided[numbers[place]] = True
        return self.common | from_array(np.sort(picked)), np.flatnonzero(~decided).tolist()

    def _choices(self, chosen: Mapping[str, str]) -> list[tuple[int, int]]:
        """Return (frame, entry) of those of the choices that name a parent with the frame."""
        dataset = self.parents[0].dataset
        parents = {parent.uid: number for number, parent in enumerate(self.parents)}
        wanted: dict[int, int] = {}
        for part in store.chunks(sorted(chosen)):
            rows = Frame.objects.filter(dataset=dataset, frame_id__in=part)
            for frame_id, pk in rows.values_list("frame_id", "pk"):
                wanted[ordinal_of(pk)] = parents.get(chosen[frame_id], -1)
        revisions = BitMap(wanted)
        identities = DatasetIndex(dataset).identities(revisions)
        places = np.searchsorted(self._identities, identities)
        found = []
        for ordinal, identity, place in zip(revisions, identities, places.tolist(), strict=True):
            if place == len(self._identities) or self._identities[place] != identity:
                continue
            for entry in range(self._starts[place], self._starts[place + 1]):
                if self._owners[entry] == wanted[ordinal]:
                    found.append((place, entry))
        return found


def unite(parents: Sequence[Version]) -> Union:
    """Return the union of versions of one dataset, at least two of them.

    Costs what they do not all hold. Queries: 1 a version, 1 for each 500 segments.
    """
    index = DatasetIndex(parents[0].dataset)
    held = [index.members(parent) for parent in parents]
    common = BitMap.intersection(*held)
    rests = [members - common for members in held]
    ordinals = np.concatenate([to_array(rest) for rest in rests])
    owners = np.repeat(np.arange(len(rests)), [len(rest) for rest in rests])
    identities = np.concatenate([index.identities(rest) for rest in rests])
    order = np.lexsort((owners, identities))
    ordinals, owners, identities = ordinals[order], owners[order], identities[order]
    frames, starts = np.unique(identities, return_index=True)
    conflicts = np.zeros(0, dtype=np.int64)
    if len(frames):
        least, greatest = (f.reduceat(ordinals, starts) for f in (np.minimum, np.maximum))
        conflicts = np.flatnonzero(least != greatest)
    ends = np.append(starts, len(ordinals)).astype(np.int64)
    return Union(parents, common, frames, ends, ordinals, owners, conflicts)
