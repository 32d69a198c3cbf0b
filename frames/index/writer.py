"""Writing postings: gathered terms are added to the rows of their segments."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from frames.index import store
from frames.index.bitmaps import SEGMENT_BITS, dump, from_array, load, to_array
from frames.index.terms import (
    HASH_BUCKET,
    NUMBER,
    TEXT,
    TEXTS_PER_KEY_MAX,
    UNBOUNDED_KEYS,
    Token,
    hash_bucket,
    is_region_key,
)
from frames.models import Dataset, Identities, Key, Posting, RegionOffsets

if TYPE_CHECKING:
    from collections.abc import Sequence

    from frames.index.gather import PlainToken, TermBatch

# The exact numbers of a bucket: the frame's ordinal, or the region's number in its segment, and
# what it has. An entry each, since one frame can have two numbers in one bucket.
ENTRY: Final = np.dtype([("row", "<u4"), ("value", "<f8")])
NumberEntries: TypeAlias = npt.NDArray[np.void]

_TERM_CACHE_MAX: Final = 500_000


class IndexWriter:
    """Adds frames of one dataset to its postings.

    The caller holds the dataset's row lock. One writer serves many batches: it remembers terms.
    """

    def __init__(self, dataset: Dataset) -> None:
        self.dataset_pk: int = dataset.pk
        self._keys: dict[str, Key] = {}
        self._term_ids: dict[PlainToken, int] = {}

    def forget(self) -> None:
        """Drop what is remembered, as after a transaction that failed."""
        self._keys.clear()
        self._term_ids.clear()

    def write(self, batch: TermBatch, ordinals: npt.NDArray[np.int64]) -> None:
        """Add a closed batch to the postings; `ordinals` is where each of its frames is.

        (n,) int64, ascending but for those that are -1, which are left out. Ordinals must be
        greater than all written before. Queries: a few for each 500 terms touched.
        """
        if not (ordinals >= 0).any():
            return
        term_of = self._resolve(batch)
        segments = ordinals >> SEGMENT_BITS
        for segment in np.unique(segments[ordinals >= 0]).tolist():
            here = np.where(segments == segment, ordinals, -1)
            self._write_segment(segment, batch, here, term_of)

    def write_identities(
        self, ordinals: npt.NDArray[np.int64], identities: npt.NDArray[np.int64]
    ) -> None:
        """Note which frame each new revision is one of; both (n,) int64, ordinals ascending."""
        segments = ordinals >> SEGMENT_BITS
        for segment in np.unique(segments).tolist():
            here = segments == segment
            pk = store.row_id(self.dataset_pk, segment)
            found = list(store.rows_by_id(Identities, [pk], "identities"))
            old = np.frombuffer(found[0][1], dtype="<u4") if found else np.zeros(0, dtype="<u4")
            rows = ordinals[here] & store.SEGMENT_MASK
            new = np.zeros(int(rows[-1]) + 1, dtype="<u4")
            new[: len(old)] = old
            new[rows] = identities[here]
            store.upsert(Identities, ("id", "identities"), [(pk, new.tobytes())])

    def _write_segment(
        self,
        segment: int,
        batch: TermBatch,
        ordinals: npt.NDArray[np.int64],
        term_of: dict[PlainToken, int],
    ) -> None:
        counts = np.frombuffer(batch.region_counts, dtype=np.int64)
        inside = ordinals >= 0
        first_region = self._append_offsets(segment, ordinals[inside], counts[inside])
        # Where each region of the batch stands in the segment's numbering, or -1.
        kept = np.repeat(inside, counts)
        regions = np.where(kept, first_region - 1 + np.cumsum(kept), -1)
        is_whole = bool(inside.all())
        members: dict[int, npt.NDArray[np.int64]] = {}
        numbers: dict[int, tuple[float, NumberEntries]] = {}
        for token, positions in batch.positions.items():
            of_regions = is_region_key(token[0])
            found = (regions if of_regions else ordinals)[np.frombuffer(positions, dtype=np.int64)]
            pk = store.row_id(term_of[token], segment)
            if token[1] == NUMBER:
                exact = np.empty(len(found), dtype=ENTRY)
                exact["row"] = found  # -1 wraps around and is dropped below
                exact["value"] = batch.numbers[token]
                numbers[pk] = float(token[2]), exact if is_whole else exact[found >= 0]
            if not is_whole:
                found = found[found >= 0]
            if len(found):
                # Several texts of an overflowed key share the posting of their hash bucket.
                members[pk] = np.concatenate([members[pk], found]) if pk in members else found
        stored = {
            pk: (bitmap, exact)
            for pk, bitmap, exact in store.rows_by_id(Posting, [*members], "bitmap", "numbers")
        }
        written = []
        for pk in sorted(members):
            old_bitmap, old_numbers = stored.get(pk, (None, None))
            bitmap = from_array(members[pk])
            exact_bytes = None
            if pk in numbers:
                exact_bytes = _append_numbers(old_bitmap, old_numbers, *numbers[pk])
            if old_bitmap is not None:
                bitmap |= load(old_bitmap)
            written.append((pk, len(bitmap), dump(bitmap), exact_bytes))
        store.upsert(Posting, ("id", "cardinality", "bitmap", "numbers"), written)

    def _append_offsets(
        self, segment: int, ordinals: npt.NDArray[np.int64], counts: npt.NDArray[np.int64]
    ) -> int:
        """Extend the segment's offsets by some frames; return their first region's number."""
        pk = store.row_id(self.dataset_pk, segment)
        found = list(store.rows_by_id(RegionOffsets, [pk], "offsets"))
        old = np.frombuffer(found[0][1], dtype="<u4") if found else np.zeros(1, dtype="<u4")
        rows = (ordinals & store.SEGMENT_MASK) - (len(old) - 1)
        # Rows that were collected as garbage before a rebuild have no regions.
        lengths = np.zeros(int(rows[-1]) + 1, dtype=np.int64)
        lengths[rows] = counts
        first_region = int(old[-1])
        offsets = np.concatenate([old, first_region + np.cumsum(lengths)]).astype("<u4")
        store.upsert(RegionOffsets, ("id", "offsets"), [(pk, offsets.tobytes())])
        return first_region

    def _resolve(self, batch: TermBatch) -> dict[PlainToken, int]:
        """Return the term of each token of the batch, making those that are missing."""
        if len(self._term_ids) > _TERM_CACHE_MAX:
            self._term_ids.clear()
        self._load_keys({key for key, _, _ in batch.positions})
        missing: defaultdict[tuple[str, int], list[str]] = defaultdict(list)
        for token in batch.positions:
            if token not in self._term_ids:
                missing[token[0], token[1]].append(token[2])
        for (key, kind), values in missing.items():
            self._look_up(key, kind, values)
        self._make(
            [
                Token(key, kind, value)
                for (key, kind), values in missing.items()
                for value in values
                if Token(key, kind, value) not in self._term_ids
            ]
        )
        return self._term_ids

    def _load_keys(self, names: set[str]) -> None:
        unknown = sorted(names - self._keys.keys())
        if not unknown:
            return
        Key.objects.bulk_create(
            [Key(dataset_id=self.dataset_pk, name=name) for name in unknown], ignore_conflicts=True
        )
        for part in store.chunks(unknown):
            for key in Key.objects.filter(dataset_id=self.dataset_pk, name__in=part):
                self._keys[key.name] = key

    def _look_up(self, key: str, kind: int, values: Sequence[str]) -> None:
        for pk, value in store.term_ids(self._keys[key].pk, kind, values):
            self._term_ids[Token(key, kind, value)] = pk

    def _make(self, tokens: list[Token]) -> None:
        """Make terms; texts of a key that has too many go to the terms of their hash buckets."""
        new: list[Token] = []
        overflow: dict[Token, Token] = {}
        grown: set[str] = set()
        for token in tokens:
            key = self._keys[token.key]
            if token.kind == TEXT and token.key not in UNBOUNDED_KEYS:
                if key.distinct >= TEXTS_PER_KEY_MAX:
                    overflow[token] = Token(token.key, HASH_BUCKET, hash_bucket(token.value))
                    if not key.overflowed:
                        key.overflowed = True
                        grown.add(token.key)
                    continue
                key.distinct += 1
                grown.add(token.key)
            new.append(token)
        buckets: defaultdict[str, set[str]] = defaultdict(set)
        for token in overflow.values():
            if token not in self._term_ids:
                buckets[token.key].add(token.value)
        for name, values in buckets.items():
            self._look_up(name, HASH_BUCKET, sorted(values))
            new += [
                token
                for value in sorted(values)
                if (token := Token(name, HASH_BUCKET, value)) not in self._term_ids
            ]
        key_names = {key.pk: name for name, key in self._keys.items()}
        rows = [
            (
                self._keys[token.key].pk,
                token.kind,
                token.value,
                float(token.value) if token.kind == NUMBER else None,
            )
            for token in new
        ]
        for pk, key_pk, kind, value in store.insert_terms(rows):
            self._term_ids[Token(key_names[key_pk], kind, value)] = pk
        for token, target in overflow.items():
            self._term_ids[token] = self._term_ids[target]
        Key.objects.bulk_update([self._keys[name] for name in grown], ["distinct", "overflowed"])


def _append_numbers(
    old_bitmap: bytes | None,
    old_numbers: bytes | None,
    representative: float,
    added: NumberEntries,
) -> bytes | None:
    """Return a posting's exact numbers with some added; None while all are the bucket's own."""
    if old_numbers is not None:
        return bytes(old_numbers) + added.tobytes()
    if bool((added["value"] == representative).all()):
        return None
    if old_bitmap is None:
        return added.tobytes()
    rows = to_array(load(old_bitmap))
    before = np.empty(len(rows), dtype=ENTRY)
    before["row"] = rows
    before["value"] = representative
    return before.tobytes() + added.tobytes()
