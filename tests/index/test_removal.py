"""Removed revisions are gone from rows and postings, and nothing else is."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import transaction
from hypothesis import given
from hypothesis import strategies as st

from frames.actions.frames import lock_dataset
from frames.actions.versions import delete_frames
from frames.index import membership
from frames.index import terms as terms_module
from frames.index.bitmaps import BitMap
from frames.index.check import check
from frames.index.reader import DatasetIndex
from frames.index.rebuild import reindex
from frames.index.removal import Removal
from frames.models import Dataset, Frame, Identities, Key, Posting, RegionOffsets, Source, Term
from tests.factories import add_frames, make_frame, make_version
from tests.index.test_equals_brute_force import assert_reader_equals_rows, batches, play, steps
from tests.properties import tries

pytestmark = pytest.mark.django_db

histories = tries(25)


def unheld(dataset: Dataset) -> BitMap:
    return DatasetIndex(dataset).revisions() - membership.held(dataset.pk)


def remove(dataset: Dataset, ordinals: list[int]) -> int:
    removal = Removal(dataset, ordinals)
    with transaction.atomic():
        removal.renew(lock_dataset(dataset.pk))
        return removal.apply()


def ordinals_of(dataset: Dataset) -> set[int]:
    return {frame.ordinal for frame in Frame.objects.filter(dataset=dataset)}


def assert_versions_hold(dataset: Dataset, model: dict[int, dict[str, Any]]) -> None:
    index = DatasetIndex(dataset)
    for version in dataset.versions.all():
        rows = Frame.objects.at(dataset, index.members(version))
        assert {row.frame_id for row in rows} == model[version.pk].keys()


@histories
@given(history=steps, size=st.integers(1, 5), later=batches)
def test_what_no_version_holds_is_removed_and_the_index_equals_the_rows(
    history: list[tuple[str, Any]], size: int, later: list[Any]
) -> None:
    dataset, model = play(history)
    everything = DatasetIndex(dataset).revisions()
    assert set(everything) == ordinals_of(dataset)
    gone = list(unheld(dataset))
    for start in range(0, len(gone), size):
        part = gone[start : start + size]
        assert remove(dataset, part) == len(part)
        assert remove(dataset, part) == 0
        dataset.refresh_from_db()
        assert list(check(dataset)) == []
    assert ordinals_of(dataset) == set(everything) - set(gone)
    assert not unheld(dataset)
    assert not Source.objects.exclude(frame__in=Frame.objects.all()).exists()
    assert {pk >> 16 for pk in Posting.objects.values_list("pk", flat=True)} == set(
        Term.objects.values_list("pk", flat=True)
    )
    assert not Key.objects.filter(terms__isnull=True).exists()
    assert_versions_hold(dataset, model)
    assert_reader_equals_rows(dataset, [(0.0, 1.0), (-1.0, 300.0)])

    draft = dataset.versions.drafts().get()
    add_frames(draft, later)
    model[draft.pk] |= {frame.frame_id: frame for frame in later}
    dataset.refresh_from_db()
    assert list(check(dataset)) == []
    assert_versions_hold(dataset, model)
    reindex(dataset.pk)
    dataset.refresh_from_db()
    assert list(check(dataset)) == []


@histories
@given(history=steps, later=batches)
def test_texts_in_hash_buckets_are_removed_too(
    history: list[tuple[str, Any]], later: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("frames.index.writer.TEXTS_PER_KEY_MAX", 1)
    monkeypatch.setattr(terms_module, "HASH_BUCKETS", 2)
    dataset, _ = play(history)
    if gone := list(unheld(dataset)):
        remove(dataset, gone)
    dataset.refresh_from_db()
    assert list(check(dataset)) == []
    add_frames(dataset.versions.drafts().get(), later)
    dataset.refresh_from_db()
    assert list(check(dataset)) == []


def test_a_key_counts_the_texts_it_has_left() -> None:
    version = make_version(
        frames=[make_frame(f"f{n}", meta={"city": f"city {n}", f"only {n}": 1}) for n in range(3)]
    )
    delete_frames(version, ["f0", "f1"], actor=None)
    remove(version.dataset, list(unheld(version.dataset)))
    assert Key.objects.get(name="meta.city").distinct == 1
    assert set(Key.objects.filter(name__contains="only").values_list("name", flat=True)) == {
        "meta.only 2"
    }


def test_regions_keep_their_numbers_for_a_reader_who_was_there_before() -> None:
    """Offsets from before a removal and postings from after it belong together."""
    version = make_version(frames=[make_frame(f"f{n}", labels=["car"] * (n + 1)) for n in range(4)])
    delete_frames(version, ["f1"], actor=None)
    version.refresh_from_db()
    dataset = Dataset.objects.get(pk=version.dataset_id)
    reader = DatasetIndex(dataset)
    assert len(reader.regions_of(BitMap([0, 2, 3]))) == 8
    remove(dataset, [1])
    cars = reader.region_text("rois.label", "car")
    assert set(reader.frames_of(cars)) == {0, 2, 3}
    fresh = DatasetIndex(Dataset.objects.get(pk=dataset.pk))
    assert set(fresh.frames_of(cars)) == {0, 2, 3}
    assert fresh.region_counts(BitMap([0, 2, 3])).tolist() == [1, 3, 4]


def test_a_full_segment_without_a_revision_leaves_nothing() -> None:
    version = make_version()
    Dataset.objects.filter(pk=version.dataset_id).update(next_ordinal=65_534)
    version.dataset.refresh_from_db()
    version = add_frames(version, [make_frame(f"f{n}", labels=["car"]) for n in range(4)])
    delete_frames(version, ["f0", "f1", "f2"], actor=None)
    dataset = Dataset.objects.get(pk=version.dataset_id)
    before = DatasetIndex(dataset)
    cars = before.region_text("rois.label", "car")
    assert len(cars.segments) == 2
    remove(dataset, [65_534, 65_535])
    remove(dataset, [65_536])
    segments = [pk & 0xFFFF for pk in RegionOffsets.objects.values_list("pk", flat=True)]
    assert (
        segments == [pk & 0xFFFF for pk in Identities.objects.values_list("pk", flat=True)] == [1]
    )
    dataset.refresh_from_db()
    assert list(check(dataset)) == []
    assert set(DatasetIndex(dataset).frames_of(cars)) == {65_536, 65_537}
    version = add_frames(version, [make_frame("f0", labels=["car"])])
    dataset.refresh_from_db()
    assert list(check(dataset)) == []


def test_a_removal_is_of_one_segment() -> None:
    version = make_version()
    Dataset.objects.filter(pk=version.dataset_id).update(next_ordinal=65_535)
    version.dataset.refresh_from_db()
    version = add_frames(version, [make_frame("a"), make_frame("b")])
    with pytest.raises(ValueError, match="one segment"):
        Removal(version.dataset, [65_535, 65_536])
