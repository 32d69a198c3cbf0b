"""Terms gathered key by key, against those of frame by frame."""

from __future__ import annotations

from typing import Any
from unittest import mock

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from frames.formats.base import FrameData
from frames.index import gather
from frames.index.gather import TermBatch
from frames.index.numbers import bucket
from frames.index.rows import TermSet
from frames.index.terms import (
    NUMBER,
    emit_defects,
    emit_frame,
    emit_labels,
    emit_region,
    is_region_key,
    number_text,
)
from tests.factories import make_frame
from tests.index.test_equals_brute_force import frames, scalars

# Flat, as most are, with more keys than the other frames'.
flat = st.dictionaries(st.sampled_from(["weather", "speed", "_id", "a" * 250]), scalars)


def gathered(batch: TermBatch, frame_count: int) -> list[list[TermSet]]:
    """Return for each frame its terms and those of each of its regions."""
    counts = batch.region_counts
    found = [[TermSet() for _ in range(1 + counts[n])] for n in range(frame_count)]
    of_frames = [sets[0] for sets in found]
    of_regions = [region for sets in found for region in sets[1:]]
    for (key, kind, value), positions in batch.positions.items():
        ats = np.frombuffer(positions, dtype=np.int64)
        assert (np.diff(ats) >= 0).all()
        owners = of_regions if is_region_key(key) else of_frames
        for place, at in enumerate(ats.tolist()):
            if kind == NUMBER:
                number = float(batch.numbers[key, kind, value][place])
                assert number_text(bucket(number)) == value
                owners[at].numbers.add((key, number))
            else:
                owners[at].token(key, kind, value)
    return found


def one_by_one(frame: FrameData) -> list[TermSet]:
    of_frame = TermSet()
    emit_frame(
        of_frame,
        context_id=frame.context_id,
        timestamp=frame.timestamp,
        meta=frame.meta,
        sources=frame.sources,
    )
    emit_labels(of_frame, frame.rois)
    emit_defects(of_frame, frame.rois, frame.sources)
    found = [of_frame]
    for roi in frame.rois:
        found.append(TermSet())
        emit_region(found[-1], roi)
    return found


def batch_of(given_frames: list[FrameData]) -> TermBatch:
    batch = TermBatch()
    for frame in given_frames:
        batch.add(
            context_id=frame.context_id,
            timestamp=frame.timestamp,
            meta=frame.meta,
            sources=frame.sources,
            rois=frame.rois,
        )
    batch.close()
    return batch


def plain(sets: list[TermSet]) -> list[Any]:
    return [(found.tokens, found.numbers) for found in sets]


@st.composite
def many(draw: st.DrawFn) -> list[FrameData]:
    """Return frames of which some have flat metadata only, so that all ways are taken.

    And some have long texts: of all but contexts the index keeps the beginning and a hash.
    """
    found = draw(st.lists(frames(), max_size=7))
    if draw(st.booleans()):
        for frame in found:
            frame.context_id = (frame.context_id * 300)[:2_000]
            frame.meta = {**frame.meta, "note": "n" * draw(st.integers(250, 260))}
    if draw(st.booleans()):
        for frame in found:
            frame.meta = draw(flat)
            for roi in frame.rois:
                roi["meta"] = draw(flat)
    return found


@given(many(), st.sampled_from([1, 3, 256]))
def test_terms_of_many_frames_are_those_of_each(some: list[FrameData], at_once: int) -> None:
    with mock.patch.object(gather, "_FRAMES_AT_ONCE", at_once):
        batch = batch_of(some)
    assert batch.frames == len(some)
    for frame, found in zip(some, gathered(batch, len(some)), strict=True):
        assert plain(found) == plain(one_by_one(frame))


def test_an_object_of_thousands_of_keys_costs_the_index_no_more_than_its_bound() -> None:
    meta = {f"k{n}": n for n in range(2_000)}
    batch = batch_of([make_frame("a", meta=meta), make_frame("b", meta={"k0": 1})])
    keys = {key for key, _, _ in batch.positions if key.startswith("meta.")}
    assert 400 < len(keys) <= 501
