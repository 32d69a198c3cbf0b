"""Proving the index equal to a pass over the rows."""

from __future__ import annotations

from collections import defaultdict
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np

from frames.index import membership, store
from frames.index.bitmaps import SEGMENT_BITS, SEGMENT_SIZE, BitMap, load, to_array
from frames.index.reader import DatasetIndex
from frames.index.rows import TermSet, frame_terms, region_terms
from frames.index.terms import HASH_BUCKET, TEXT, Token, hash_bucket, number_token
from frames.index.writer import ENTRY
from frames.models import Dataset, Frame, Membership, Posting, RegionOffsets, Term, Version
from frames.models.frame import frame_pk, ordinal_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from frames.models.frame import FrameQuerySet


def check(dataset: Dataset) -> Iterator[str]:
    """Yield a sentence for each difference between a dataset's index and its rows.

    Memory is bounded by a segment's terms. Queries: a few for each 500 frames.
    """
    terms = {
        pk: Token(key, kind, value)
        for pk, key, kind, value in Term.objects.filter(key__dataset=dataset).values_list(
            "pk", "key__name", "kind", "value"
        )
    }
    known = set(terms.values())
    for segment in range((dataset.next_ordinal + SEGMENT_SIZE - 1) >> SEGMENT_BITS):
        yield from _check_segment(dataset, segment, terms, known)
    yield from _check_identities(dataset)
    for version in dataset.versions.all():
        yield from _check_version(version)


def _rows(dataset: Dataset, segment: int) -> FrameQuerySet:
    first = frame_pk(dataset.pk, segment << SEGMENT_BITS)
    return Frame.objects.filter(pk__gte=first, pk__lt=first + SEGMENT_SIZE).order_by("pk")


def _check_segment(
    dataset: Dataset, segment: int, terms: dict[int, Token], known: set[Token]
) -> Iterator[str]:
    wanted: defaultdict[Token, set[int]] = defaultdict(set)
    numbers: defaultdict[Token, set[tuple[int, float]]] = defaultdict(set)

    def take(member: int, found: TermSet) -> None:
        for token in found.tokens:
            if token.kind == TEXT and token not in known:
                token = Token(token.key, HASH_BUCKET, hash_bucket(token.value))
            wanted[token].add(member)
        for key, value in found.numbers:
            token = number_token(key, value)
            wanted[token].add(member)
            numbers[token].add((member, value))

    # A frame's regions are numbered from its offset on. Those of frames that were removed keep
    # their numbers, which nothing has.
    pk = store.row_id(dataset.pk, segment)
    found_offsets = list(store.rows_by_id(RegionOffsets, [pk], "offsets"))
    offsets = np.frombuffer(found_offsets[0][1], dtype="<u4") if found_offsets else np.zeros(1)
    first_region = np.full(SEGMENT_SIZE, -1, dtype=np.int64)
    first_region[: len(offsets) - 1] = offsets[:-1]
    held_counts = np.zeros(SEGMENT_SIZE, dtype=np.int64)
    held_counts[: len(offsets) - 1] = np.diff(offsets.astype(np.int64))
    is_wrong = False
    for frame in _rows(dataset, segment).prefetch_related("sources").iterator(chunk_size=500):
        ordinal = ordinal_of(frame.pk)
        take(ordinal, frame_terms(frame))
        row = ordinal & store.SEGMENT_MASK
        for region, found in enumerate(region_terms(frame), int(first_region[row])):
            take(region, found)
        is_wrong |= bool(first_region[row] < 0) or held_counts[row] != len(frame.rois)
    if is_wrong or (held_counts < 0).any():
        yield f"segment {segment}: the offsets of regions differ from the rows"

    ids = [store.row_id(pk, segment) for pk in terms]
    stored: set[Token] = set()
    for pk, data, exact in store.rows_by_id(Posting, ids, "bitmap", "numbers"):
        token = terms[pk >> SEGMENT_BITS]
        stored.add(token)
        bitmap = load(data)
        if set(bitmap) != wanted[token]:
            yield f"segment {segment}: {token} holds {len(bitmap)}, the rows {len(wanted[token])}"
        if exact is not None:
            entries = np.frombuffer(exact, dtype=ENTRY)
            held = set(zip(entries["row"].tolist(), entries["value"].tolist(), strict=True))
        else:
            held = (
                {(member, float(token.value)) for member in bitmap} if token in numbers else set()
            )
        if held != numbers.get(token, set()):
            yield f"segment {segment}: {token} holds other numbers than the rows"
    for token in wanted.keys() - stored:
        if wanted[token]:
            yield f"segment {segment}: {token} is missing, the rows have {len(wanted[token])}"


def _check_identities(dataset: Dataset) -> Iterator[str]:
    """Equal frame ids must have equal numbers and different ones different, chunk by chunk."""
    index = DatasetIndex(dataset)
    rows = Frame.objects.filter(dataset=dataset).order_by("frame_id", "pk")
    before: tuple[str, int] | None = None
    used: BitMap = BitMap()
    page: list[tuple[str, int]] = []
    for row in chain(rows.values_list("frame_id", "pk").iterator(chunk_size=2_000), [None]):
        if row is not None:
            page.append(row)
            if len(page) < 2_000:
                continue
        found = BitMap(ordinal_of(pk) for _, pk in page)
        number = dict(zip(found, index.identities(found).tolist(), strict=True))
        for frame_id, pk in page:
            identity = number[ordinal_of(pk)]
            is_same = before is not None and before[0] == frame_id
            if is_same != (before is not None and before[1] == identity):
                yield f"frame {frame_id}: a revision has the number of another frame"
            elif not is_same and identity in used:
                yield f"frame {frame_id}: its number is that of another frame"
            used.add(identity)
            before = (frame_id, identity)
        page = []


def _check_version(version: Version) -> Iterator[str]:
    ordinals = to_array(membership.members(version.pk)).tolist()
    frames = annotated = regions = 0
    ids: set[str] = set()
    for part in store.chunks(ordinals):
        for frame_id, rois in Frame.objects.at(version.dataset, part).values_list(
            "frame_id", "rois"
        ):
            frames += 1
            annotated += bool(rois)
            regions += len(rois)
            ids.add(frame_id)
    if frames != len(ordinals):
        yield f"version {version.uid} holds {len(ordinals)} frames, of which {frames} have rows"
    if len(ids) != frames:
        yield f"version {version.uid} holds two revisions of one frame"
    held = (version.frame_count, version.annotated_count, version.region_count)
    if held != (frames, annotated, regions):
        yield f"version {version.uid} counts {held}, the rows {(frames, annotated, regions)}"
    first, end = store.row_id(version.pk, 0), store.row_id(version.pk + 1, 0)
    for row in Membership.objects.filter(pk__gte=first, pk__lt=end):
        if row.cardinality != len(load(row.bitmap)):
            yield f"version {version.uid}: a membership row counts {row.cardinality} wrongly"
