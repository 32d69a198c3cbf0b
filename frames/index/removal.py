"""Removing revisions that nothing holds: their rows, their sources and their postings.

The numbers of a segment's regions stay as they are, with gaps where frames have gone. A reader
who has the offsets from before and postings from after would otherwise take one frame's regions
for another's.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from django.db.models import F

from frames.index import membership, store
from frames.index.bitmaps import SEGMENT_BITS, SEGMENT_SIZE, BitMap, dump, load, to_array
from frames.index.rebuild import gather
from frames.index.regions import regions_of
from frames.index.rows import read_rows
from frames.index.terms import HASH_BUCKET, TEXT, UNBOUNDED_KEYS, hash_bucket, is_region_key
from frames.index.writer import ENTRY
from frames.models import Dataset, Frame, Identities, Key, Posting, RegionOffsets, Source, Term
from frames.models.dataset import new_generation
from frames.models.frame import frame_pk

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence


class _Postings(NamedTuple):
    """What becomes of the postings: rows to write, and the keys of those that are left empty."""

    kept: list[tuple[int, int, bytes, bytes | None]]
    emptied: dict[int, Key]


class Removal:
    """Some revisions of one segment of a dataset, read and ready to be removed.

    All but the writing is done here, without a lock: it is true of one generation of the dataset.
    Queries: 2 for each 500 revisions, and a few for each 500 terms they have.
    """

    def __init__(self, dataset: Dataset, ordinals: Sequence[int]) -> None:
        frames = list(read_rows(dataset, ordinals))
        self.dataset_pk: int = dataset.pk
        self.segment = ordinals[0] >> SEGMENT_BITS
        self.ordinals = BitMap([frame.ordinal for frame in frames])
        self._tokens = [*gather(frames).positions]
        if self.ordinals and self.ordinals.max() >> SEGMENT_BITS != self.segment:
            raise ValueError("a removal is of one segment")
        # Before the postings: `renew` sees what is written after this.
        generations = Dataset.objects.filter(pk=dataset.pk).values_list("generation", flat=True)
        self._generation = generations.first() or 0
        self._postings = self._without_revisions()

    def held(self) -> BitMap:
        """Return those of the revisions that a version holds. Queries: 1 for each 500 versions."""
        return self.ordinals & membership.held_in(self.dataset_pk, self.segment)

    def renew(self, locked: Dataset) -> bool:
        """Read again what somebody has written since, the dataset's row being locked.

        Return whether anybody has: who holds the revisions may have changed too.
        """
        if locked.generation == self._generation:
            return False
        self._generation = locked.generation
        self._postings = self._without_revisions()
        return True

    def apply(self) -> int:
        """Remove the revisions; return how many there still were.

        The caller holds the dataset's row lock, in a transaction, and has called `renew` under
        it; nothing holds the revisions. Queries: a few for each 500 revisions, and for each 500
        postings that they leave empty.
        """
        pks = [frame_pk(self.dataset_pk, ordinal) for ordinal in self.ordinals]
        store.delete_ids(Source, pks, column="frame_id")
        count = store.delete_ids(Frame, pks)
        if count:
            store.upsert(Posting, ("id", "cardinality", "bitmap", "numbers"), self._postings.kept)
            store.delete_ids(Posting, self._postings.emptied)
            self._drop_unused(
                {pk >> SEGMENT_BITS: key for pk, key in self._postings.emptied.items()}
            )
            self._drop_segment_if_empty()
            same = Dataset.objects.filter(pk=self.dataset_pk, generation=self._generation)
            if not same.update(generation=new_generation()):
                raise RuntimeError("a removal was applied to another generation of the dataset")
        return count

    def _without_revisions(self) -> _Postings:
        """Return what remains of the postings that have the revisions."""
        names = sorted({key for key, _, _ in self._tokens})
        keys = {
            key.name: key
            for part in store.chunks(names)
            for key in Key.objects.filter(dataset_id=self.dataset_pk, name__in=part)
        }
        key_of = self._terms(keys)
        regions, region_count = self._regions()
        # A look-up in a table takes a tenth of the time of a search in a set.
        frame_is_gone = np.zeros(SEGMENT_SIZE, dtype=bool)
        frame_is_gone[to_array(self.ordinals) & store.SEGMENT_MASK] = True
        region_is_gone = np.zeros(region_count, dtype=bool)
        region_is_gone[to_array(regions)] = True
        found = _Postings([], {})
        for pk, data, numbers in store.rows_by_id(
            Posting,
            [store.row_id(term_pk, self.segment) for term_pk in sorted(key_of)],
            *("bitmap", "numbers"),
        ):
            key = key_of[pk >> SEGMENT_BITS]
            of_regions = is_region_key(key.name)
            bitmap = load(data) - (regions if of_regions else self.ordinals)
            if not bitmap:
                found.emptied[pk] = key
                continue
            if numbers is not None:
                entries = np.frombuffer(numbers, dtype=ENTRY)
                rows = entries["row"]
                is_gone = (
                    region_is_gone[rows] if of_regions else frame_is_gone[rows & store.SEGMENT_MASK]
                )
                numbers = entries[~is_gone].tobytes()
            found.kept.append((pk, len(bitmap), dump(bitmap), numbers))
        return found

    def _terms(self, keys: dict[str, Key]) -> dict[int, Key]:
        """Return the key of each term that the revisions have, by the term's pk."""
        values: defaultdict[tuple[str, int], list[str]] = defaultdict(list)
        for name, kind, value in self._tokens:
            if name in keys:
                values[name, kind].append(value)
        found: dict[int, Key] = {}
        for (name, kind), wanted in values.items():
            key = keys[name]
            terms = dict(store.term_ids(key.pk, kind, wanted))
            found |= dict.fromkeys(terms, key)
            if kind == TEXT and key.overflowed:
                buckets = {hash_bucket(text) for text in {*wanted} - {*terms.values()}}
                shared = store.term_ids(key.pk, HASH_BUCKET, sorted(buckets))
                found |= dict.fromkeys((pk for pk, _ in shared), key)
        return found

    def _regions(self) -> tuple[BitMap, int]:
        """Return the numbers of the revisions' regions, and how many the segment has given."""
        pk = store.row_id(self.dataset_pk, self.segment)
        found = list(store.rows_by_id(RegionOffsets, [pk], "offsets"))
        offsets = {pk & store.SEGMENT_MASK: np.frombuffer(data, dtype="<u4") for pk, data in found}
        regions = regions_of(self.ordinals, offsets).segments.get(self.segment, BitMap())
        return regions, int(offsets[self.segment][-1]) if offsets else 0

    def _drop_unused(self, key_of: dict[int, Key]) -> None:
        """Delete those of the terms that have no posting left, and keys without a term."""
        unused = store.terms_without_posting(sorted(key_of))
        lost: defaultdict[int, int] = defaultdict(int)
        for pk, kind in unused:
            key = key_of[pk]
            # The count of an overflowed key stays at its limit: with room below it a text that
            # frames have in a hash bucket would get a term of its own beside.
            if kind == TEXT and key.name not in UNBOUNDED_KEYS and not key.overflowed:
                lost[key.pk] += 1
        store.delete_ids(Term, [pk for pk, _ in unused])
        for key_pk, count in lost.items():
            Key.objects.filter(pk=key_pk).update(distinct=F("distinct") - count)
        self._drop_keys({key_of[pk].pk for pk, _ in unused})

    def _drop_keys(self, pks: Collection[int]) -> None:
        for part in store.chunks(sorted(pks)):
            Key.objects.filter(pk__in=part, terms__isnull=True).delete()

    def _drop_segment_if_empty(self) -> None:
        """Delete the columns of a segment that is full and has no revision left."""
        end = (self.segment + 1) << SEGMENT_BITS
        if not Dataset.objects.filter(pk=self.dataset_pk, next_ordinal__gte=end).exists():
            return
        behind = frame_pk(self.dataset_pk, end)
        if not Frame.objects.filter(pk__gte=behind - SEGMENT_SIZE, pk__lt=behind).exists():
            pk = store.row_id(self.dataset_pk, self.segment)
            store.delete_ids(RegionOffsets, [pk])
            store.delete_ids(Identities, [pk])
