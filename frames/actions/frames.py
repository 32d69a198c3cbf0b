"""Writing frames: rows, postings and what a version holds."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from django.db.models import F
from django.utils import timezone
from pyroaring import BitMap

from frames.actions.fields import Refused
from frames.actions.prepare import FRAME_COLUMNS, SOURCE_COLUMNS
from frames.formats.base import Problem
from frames.formats.singleframe import repeated_id
from frames.index import membership, store
from frames.index.bitmaps import from_array, to_array
from frames.index.reader import DatasetIndex
from frames.index.writer import IndexWriter
from frames.models import Dataset, Frame, Source, Version
from frames.models.dataset import new_generation
from frames.models.frame import frame_pk, ordinal_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from frames.actions.prepare import PreparedBatch, PreparedFrame

_FRAME_COLUMNS: Final = (
    *("id", "dataset_id", "frame_id", "saved_in_version_id", "saved_ms", "digest"),
    *FRAME_COLUMNS,
)
_SOURCE_COLUMNS: Final = ("frame_id", "position", *SOURCE_COLUMNS)


class VersionNotWritable(Exception):
    """The version cannot be changed: it is published."""


@dataclass(slots=True)
class StageResult:
    """What staging a batch came to; problems carry the item's index in the input."""

    changed: int = 0
    unchanged: int = 0
    problems: list[tuple[int, Problem]] = field(default_factory=list)


def lock_dataset(dataset_pk: int) -> Dataset:
    """Return the dataset's row, locked for the rest of the transaction: writers queue here.

    Raises Refused for one that is deleted.
    """
    dataset = Dataset.objects.select_for_update().filter(pk=dataset_pk).first()
    if dataset is None or dataset.deleted_at is not None:
        raise Refused(f"{dataset.name if dataset else 'The dataset'} has been deleted.")
    return dataset


def lock_draft(version_pk: int) -> Version:
    """Return the version with its dataset locked.

    Raises VersionNotWritable if it is published, Refused if it has been deleted.
    """
    versions = Version.objects.filter(pk=version_pk)
    found = versions.values_list("dataset_id", "name").first()
    if found is None:
        raise Refused("The version has been deleted.")
    dataset = lock_dataset(found[0])
    # Read now: whoever had the lock may have published or deleted it.
    version = versions.first()
    if version is None:
        raise Refused(f"{found[1]} has been deleted.")
    version.dataset = dataset
    if not version.is_draft:
        raise VersionNotWritable(
            f"Version {version.name} is published and cannot change. Create a child of it."
        )
    return version


class Stager:
    """Writes frame revisions of one draft that it does not hold yet.

    `staged`, `replaced` and `seen` are as in `Job`; `commit` gives the version what is staged.
    Each call runs in the caller's transaction, which must be one.
    """

    def __init__(
        self,
        version: Version,
        *,
        staged: BitMap | None = None,
        replaced: BitMap | None = None,
        seen: BitMap | None = None,
    ) -> None:
        self.version = version
        self.staged = staged if staged is not None else BitMap()
        self.replaced = replaced if replaced is not None else BitMap()
        self.seen = seen if seen is not None else BitMap()
        self._writer = IndexWriter(version.dataset)
        self._generation = -1

    def stage(self, batch: PreparedBatch) -> StageResult:
        """Write the revisions of a batch that differ from what the version holds.

        Queries: 1 for each 500 frames, and those of the index. Raises VersionNotWritable.
        """
        version = lock_draft(self.version.pk)
        dataset = version.dataset
        if dataset.generation != self._generation:
            # Someone else wrote since: terms this writer remembers may be gone.
            self._writer.forget()
        result = StageResult()
        lookup = _Lookup(dataset, membership.members(version.pk), self.staged)
        lookup.load([frame.frame_id for frame in batch.frames])
        first = ordinal = dataset.next_ordinal
        now_ms = time.time_ns() // 1_000_000
        frame_rows: list[tuple[Any, ...]] = []
        source_rows: list[tuple[Any, ...]] = []
        ordinals = np.full(len(batch.frames), -1, dtype=np.int64)
        for place, frame in enumerate(batch.frames):
            frame_id = self._free_id(frame, lookup)
            if frame_id is None:
                problem = Problem("id", f"{frame.frame_id!r} appears earlier in this input")
                result.problems.append((frame.number, problem))
                continue
            digest = frame.digest()
            held = lookup.held.get(frame_id)
            if held is not None:
                self.seen.add(held.ordinal)
                if held.digest == digest:
                    result.unchanged += 1
                    continue
                self.replaced.add(held.ordinal)
            pk = frame_pk(dataset.pk, ordinal)
            frame_rows.append((pk, dataset.pk, frame_id, version.pk, now_ms, digest, *frame.row))
            source_rows += [(pk, number, *row) for number, row in enumerate(frame.sources)]
            lookup.held[frame_id] = Held(ordinal, digest)
            self.staged.add(ordinal)
            self.seen.add(ordinal)
            ordinals[place] = ordinal
            ordinal += 1
        store.insert(Frame, _FRAME_COLUMNS, frame_rows)
        store.insert(Source, _SOURCE_COLUMNS, source_rows)
        batch.terms.close()
        batch.terms.note_version(version.pk, range(len(batch.frames)))
        self._writer.write(batch.terms, ordinals)
        self._write_identities(dataset, lookup, frame_rows)
        result.changed = ordinal - first
        if result.changed:
            self._generation = new_generation()
            Dataset.objects.filter(pk=dataset.pk).update(
                next_ordinal=ordinal, generation=self._generation
            )
        return result

    def commit(self) -> Version:
        """Give the version all that is staged in place of what it replaces; return it fresh.

        Queries: a dozen, and 1 for each 500 segments. Raises VersionNotWritable.
        """
        version = lock_draft(self.version.pk)
        held = membership.members(version.pk)
        self._add_replaced_since(version.dataset, held)
        change_membership(version, add=self.staged - held, remove=self.replaced & held)
        return version

    def forget(self) -> None:
        """Drop what a failed transaction left in memory."""
        self._writer.forget()

    def _free_id(self, frame: PreparedFrame, lookup: _Lookup) -> str | None:
        """Return the id to write a frame under; None if the input has given it before."""
        frame_id, occurrence = frame.frame_id, 0
        while True:
            held = lookup.held.get(frame_id)
            if held is None or held.ordinal not in self.seen:
                return frame_id
            if not frame.is_derived:
                return None
            # Two frames that show the same at the same moment are told apart by their order.
            occurrence += 1
            frame_id = repeated_id(frame.frame_id, occurrence)
            lookup.load([frame_id])

    def _write_identities(
        self, dataset: Dataset, lookup: _Lookup, rows: list[tuple[Any, ...]]
    ) -> None:
        """Give each new revision the number of its frame's others, or its own if there is none."""
        if not rows:
            return
        ordinals = np.array([ordinal_of(row[0]) for row in rows], dtype=np.int64)
        identities = ordinals.copy()
        names = [row[2] for row in rows]
        others = {n: lookup.any[name] for n, name in enumerate(names) if name in lookup.any}
        if others:
            known = BitMap(others.values())
            numbers = DatasetIndex(dataset).identities(known).tolist()
            number_of = dict(zip(known, numbers, strict=True))
            for place, ordinal in others.items():
                identities[place] = number_of[ordinal]
        self._writer.write_identities(ordinals, identities)

    def _add_replaced_since(self, dataset: Dataset, held: BitMap) -> None:
        """Find the frames that another writer gave the version while this one was staging."""
        # By identity, not by ordinal: what another committed late may have been staged first.
        foreign = held - self.seen
        if not foreign or not self.staged:
            return
        index = DatasetIndex(dataset)
        _, places, _ = np.intersect1d(
            index.identities(foreign),
            index.identities(self.staged),
            assume_unique=True,
            return_indices=True,
        )
        self.replaced |= from_array(to_array(foreign)[places])


def change_membership(version: Version, *, add: BitMap, remove: BitMap) -> None:
    """Change what a locked draft holds and its counts. Queries: up to 8."""
    dataset = version.dataset
    index = DatasetIndex(dataset)
    membership.change(version.pk, add=add, remove=remove)
    added, removed = index.region_counts(add), index.region_counts(remove)
    held = membership.members(version.pk)
    count = min(len(held), Version.SAMPLE_FRAMES)
    now = timezone.now()
    Version.objects.filter(pk=version.pk).update(
        sample=[held[len(held) * number // count] for number in range(count)],
        frame_count=F("frame_count") + len(add) - len(remove),
        annotated_count=F("annotated_count") + int((added > 0).sum()) - int((removed > 0).sum()),
        region_count=F("region_count") + int(added.sum()) - int(removed.sum()),
        updated_at=now,
    )
    Dataset.objects.filter(pk=dataset.pk).update(generation=new_generation(), updated_at=now)
    version.refresh_from_db()


@dataclass(frozen=True, slots=True)
class Held:
    """A frame revision that the version holds or that is staged for it."""

    ordinal: int
    digest: bytes


class _Lookup:
    """The revisions, by frame id, that a version holds or that are staged for it."""

    def __init__(self, dataset: Dataset, members: BitMap, staged: BitMap) -> None:
        self.held: dict[str, Held] = {}
        # One revision of each frame that the dataset has at all, in whatever version.
        self.any: dict[str, int] = {}
        self._dataset = dataset
        self._members = members
        self._staged = staged
        self._known: set[str] = set()

    def load(self, frame_ids: Sequence[str]) -> None:
        """Read the revisions of ids not read yet. Queries: 1 for each 500."""
        wanted = [frame_id for frame_id in frame_ids if frame_id not in self._known]
        self._known.update(wanted)
        if not self._dataset.next_ordinal:
            return
        for part in store.chunks(wanted):
            rows = Frame.objects.filter(dataset=self._dataset, frame_id__in=part)
            for pk, frame_id, digest in rows.values_list("pk", "frame_id", "digest"):
                ordinal = ordinal_of(pk)
                self.any[frame_id] = ordinal
                # A staged revision takes the place of the one that the version holds.
                if ordinal in self._staged or (
                    ordinal in self._members and frame_id not in self.held
                ):
                    self.held[frame_id] = Held(ordinal, bytes(digest))
