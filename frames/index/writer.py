"""Writing postings: terms of many frames gathered, then added to the rows of their segments."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from frames.index import store
from frames.index.bitmaps import SEGMENT_BITS, dump, from_array, load, to_array
from frames.index.numbers import buckets
from frames.index.terms import (
    HASH_BUCKET,
    NUMBER,
    TEXT,
    TEXTS_PER_KEY_MAX,
    UNBOUNDED_KEYS,
    Token,
    emit_frame,
    emit_region,
    hash_bucket,
    is_region_key,
    number_text,
)
from frames.models import Dataset, Key, Posting, RegionOffsets

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from frames.index.numbers import Float64Array
    from frames.index.terms import SourceLike

# The exact numbers of a bucket: the frame's ordinal, or the region's number in its segment, and
# what it has. An entry each, since one frame can have two numbers in one bucket.
ENTRY: Final = np.dtype([("row", "<u4"), ("value", "<f8")])
NumberEntries: TypeAlias = npt.NDArray[np.void]
PlainToken: TypeAlias = tuple[str, int, str]

_TERM_CACHE_MAX: Final = 500_000


class _SegmentBatch:
    """What a batch adds to one segment: a `Sink` for its frames and one for its regions."""

    def __init__(self) -> None:
        self.rows: defaultdict[PlainToken, list[int]] = defaultdict(list)
        self.values: dict[PlainToken, Float64Array] = {}
        self.row = 0
        self.region_counts: dict[int, int] = {}
        self.regions = 0
        self._numbers: defaultdict[str, tuple[list[int], list[float]]] = defaultdict(
            lambda: ([], [])
        )

    def token(self, key: str, kind: int, value: str) -> None:
        """Note that the present frame or region has the term."""
        self.rows[key, kind, value].append(self.row)

    def number(self, key: str, value: float) -> None:
        """Note that the present frame or region has the number."""
        rows, values = self._numbers[key]
        rows.append(self.row)
        values.append(value)

    def sort_numbers(self) -> None:
        """Put the numbers into their buckets, all of a key at once: 0.1 us each, not 1 us."""
        for key, (rows, values) in self._numbers.items():
            exact = np.array(values, dtype=np.float64)
            found = buckets(exact)
            order = np.argsort(found, kind="stable")
            representatives, starts = np.unique(found[order], return_index=True)
            members = np.array(rows, dtype=np.int64)[order]
            ends = [*starts[1:].tolist(), len(order)]
            for number, start, end in zip(
                representatives.tolist(), starts.tolist(), ends, strict=True
            ):
                token = (key, NUMBER, number_text(number))
                self.rows[token] = members[start:end].tolist()
                self.values[token] = exact[order[start:end]]
        self._numbers.clear()


class IndexWriter:
    """Adds frames of one dataset to its postings.

    `add` gathers, `flush` writes; the caller holds the dataset's row lock from the first `add`
    to the commit that follows `flush`. One writer serves many batches: it remembers term keys.
    """

    def __init__(self, dataset: Dataset) -> None:
        self.dataset_pk: int = dataset.pk
        self._segments: dict[int, _SegmentBatch] = {}
        self._keys: dict[str, Key] = {}
        self._term_ids: dict[PlainToken, int] = {}

    def add(
        self,
        ordinal: int,
        *,
        context_id: str,
        timestamp: float,
        meta: dict[str, Any],
        sources: Iterable[SourceLike],
        rois: list[dict[str, Any]],
    ) -> None:
        """Gather the terms of one frame revision; ordinals must come in ascending order."""
        segment = ordinal >> SEGMENT_BITS
        batch = self._segments.get(segment)
        if batch is None:
            batch = self._segments[segment] = _SegmentBatch()
        row = batch.row = ordinal & store.SEGMENT_MASK
        emit_frame(
            batch, context_id=context_id, timestamp=timestamp, meta=meta, sources=sources, rois=rois
        )
        batch.region_counts[row] = len(rois)
        for roi in rois:
            batch.row = batch.regions
            emit_region(batch, roi)
            batch.regions += 1

    def forget(self) -> None:
        """Drop what was gathered and remembered, as after a transaction that failed."""
        self._segments.clear()
        self._keys.clear()
        self._term_ids.clear()

    def flush(self) -> None:
        """Write what was gathered. Queries: a few for each 500 terms touched."""
        for segment, batch in sorted(self._segments.items()):
            self._flush_segment(segment, batch)
        self._segments.clear()

    def _flush_segment(self, segment: int, batch: _SegmentBatch) -> None:
        batch.sort_numbers()
        first_region = self._append_offsets(segment, batch)
        term_of = self._resolve(batch)
        members: defaultdict[int, list[int]] = defaultdict(list)
        token_of: dict[int, PlainToken] = {}
        for token, rows in batch.rows.items():
            # Several texts of an overflowed key share the posting of their hash bucket.
            pk = store.row_id(term_of[token], segment)
            members[pk] += rows
            token_of[pk] = token
        stored = {
            pk: (bitmap, numbers)
            for pk, bitmap, numbers in store.rows_by_id(Posting, [*members], "bitmap", "numbers")
        }
        written = []
        for pk, (key, kind, value) in sorted(token_of.items()):
            shift = first_region if is_region_key(key) else segment << SEGMENT_BITS
            old_bitmap, old_numbers = stored.get(pk, (None, None))
            added = np.array(members[pk], dtype=np.int64) + shift
            bitmap = from_array(added)
            if kind == NUMBER:
                exact = np.empty(len(added), dtype=ENTRY)
                exact["row"] = added
                exact["value"] = batch.values[key, kind, value]
                numbers = _append_numbers(old_bitmap, old_numbers, float(value), exact)
            else:
                numbers = None
            if old_bitmap is not None:
                bitmap |= load(old_bitmap)
            written.append((pk, len(bitmap), dump(bitmap), numbers))
        store.upsert(Posting, ("id", "cardinality", "bitmap", "numbers"), written)

    def _append_offsets(self, segment: int, batch: _SegmentBatch) -> int:
        """Extend the segment's offsets by the batch's frames; return its first region's number."""
        pk = store.row_id(self.dataset_pk, segment)
        found = list(store.rows_by_id(RegionOffsets, [pk], "offsets"))
        old = np.frombuffer(found[0][1], dtype="<u4") if found else np.zeros(1, dtype="<u4")
        rows = np.fromiter(batch.region_counts, dtype=np.int64)
        # Rows that were collected as garbage before a rebuild have no regions.
        counts = np.zeros(int(rows[-1]) + 1 - (len(old) - 1), dtype=np.uint32)
        counts[rows - (len(old) - 1)] = np.fromiter(batch.region_counts.values(), dtype=np.uint32)
        first_region = int(old[-1])
        offsets = np.concatenate([old, first_region + np.cumsum(counts, dtype=np.uint32)])
        store.upsert(RegionOffsets, ("id", "offsets"), [(pk, offsets.astype("<u4").tobytes())])
        return first_region

    def _resolve(self, batch: _SegmentBatch) -> dict[PlainToken, int]:
        """Return the term of each token of the batch, making those that are missing."""
        if len(self._term_ids) > _TERM_CACHE_MAX:
            self._term_ids.clear()
        self._load_keys({key for key, _, _ in batch.rows})
        missing: defaultdict[tuple[str, int], list[str]] = defaultdict(list)
        for token in batch.rows:
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
