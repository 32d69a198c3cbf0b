"""Every operation of the index equals a pass over the rows, whatever was done to them."""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from django.db import transaction
from hypothesis import given
from hypothesis import strategies as st

from frames.actions.frames import change_membership, lock_draft
from frames.actions.versions import draft_for_writing, publish
from frames.formats.base import FrameData, SourceData
from frames.index import terms as terms_module
from frames.index.bitmaps import BitMap
from frames.index.check import check
from frames.index.reader import DatasetIndex
from frames.index.rebuild import reindex
from frames.index.regions import RegionSet
from frames.index.rows import TermSet, frame_terms, region_terms
from frames.index.terms import ANY, TEXT, Token
from frames.models import Dataset, Frame, Project
from tests.factories import add_frames, make_frame, make_version
from tests.properties import tries

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

pytestmark = pytest.mark.django_db

LABELS = ["car", "Car", "person", "täxi", "a" * 300]
NUMBERS = st.one_of(
    st.integers(-5, 300),
    st.floats(-2, 2, allow_nan=False),
    st.sampled_from([0.8, 0.1 + 0.2, 1e-60, -1e-60, 1e300, 2**53, 1_700_000_000_000]),
)
scalars = st.one_of(NUMBERS, st.booleans(), st.none(), st.sampled_from(["rain", "dusk", "", "60"]))
values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.sampled_from("ab"), inner, max_size=2)
    ),
    max_leaves=4,
)
metas = st.dictionaries(st.sampled_from(["weather", "speed", "nested"]), values, max_size=3)


# A sound box, one without an area, one outside of a picture of 640 px, and a triangle.
POLYS = [
    [1, 1, 9, 1, 9, 9, 1, 9],
    [1, 1, 9, 1, 9, 1, 1, 1],
    [1, 1, 700, 1, 700, 9, 1, 9],
    [1, 1, 9, 1, 5.5, 9],
]


@st.composite
def rois(draw: st.DrawFn) -> dict[str, Any]:
    roi: dict[str, Any] = {"label": draw(st.lists(st.sampled_from(LABELS), max_size=3))}
    if draw(st.booleans()):
        roi["poly"] = draw(st.sampled_from(POLYS))
    if draw(st.booleans()):
        roi["confidence"] = draw(st.floats(0, 1))
    if draw(st.booleans()):
        roi["sources"] = draw(st.lists(st.sampled_from(["front", "rear"]), max_size=2))
    if draw(st.booleans()):
        roi["meta"] = draw(metas)
    return roi


@st.composite
def frames(draw: st.DrawFn) -> FrameData:
    names = draw(st.lists(st.sampled_from(["front", "rear"]), min_size=1, max_size=2, unique=True))
    return FrameData(
        frame_id=f"frame {draw(st.integers(0, 12))}",
        context_id=draw(st.sampled_from(["drive/1", "drive/2", "s3://bucket/é.mp4"])),
        timestamp=float(draw(NUMBERS)),
        sources=[
            SourceData(
                name,
                f"https://example.com/{name}.jpg",
                draw(st.sampled_from(["", "image/jpeg"])),
                draw(st.sampled_from([None, 640])),
                draw(st.sampled_from([None, 480, 1080])),
                meta=draw(st.one_of(st.none(), metas)),
            )
            for name in names
        ],
        rois=draw(st.lists(rois(), max_size=4)),
        meta=draw(metas),
    )


batches = st.lists(frames(), max_size=8, unique_by=lambda frame: frame.frame_id)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("write"), batches),
        st.tuples(st.just("delete"), st.sets(st.integers(0, 12), max_size=5)),
        st.tuples(st.just("child"), st.none()),
    ),
    min_size=1,
    max_size=5,
)


def play(history: list[tuple[str, Any]]) -> tuple[Dataset, dict[int, dict[str, FrameData]]]:
    """Do the steps to a new dataset; return it and what each version must hold."""
    version = make_version()
    model: dict[int, dict[str, FrameData]] = {version.pk: {}}
    for step, argument in history:
        held = model[version.pk]
        if step == "write":
            version = add_frames(version, argument)
            held.update({frame.frame_id: frame for frame in argument})
        elif step == "delete":
            gone = {f"frame {number}" for number in argument}
            with transaction.atomic():
                draft = lock_draft(version.pk)
                members = DatasetIndex(draft.dataset).members(draft)
                rows = Frame.objects.at(draft.dataset, members).filter(frame_id__in=gone)
                change_membership(draft, add=BitMap(), remove=BitMap([row.ordinal for row in rows]))
            for frame_id in gone:
                held.pop(frame_id, None)
        else:
            publish(version, actor=None, reason="unchecked", name=f"published {version.pk}")
            version = draft_for_writing(version.dataset, actor=None)
            model[version.pk] = dict(held)
    return Dataset.objects.get(pk=version.dataset_id), model


class Rows:
    """All revisions of a dataset, read once, and the brute-force answers they give."""

    def __init__(self, dataset: Dataset) -> None:
        rows = Frame.objects.filter(dataset=dataset).prefetch_related("sources").order_by("pk")
        self.contexts = {row.ordinal: row.context_id for row in rows}
        self.terms = {row.ordinal: frame_terms(row) for row in rows}
        self.regions = {row.ordinal: region_terms(row) for row in rows}

    def having(self, key: str, kind: int, value: str) -> set[int]:
        token = Token(key, kind, value)
        return {ordinal for ordinal, found in self.terms.items() if token in found.tokens}

    def in_range(self, key: str, low: float, high: float) -> set[int]:
        return {o for o, found in self.terms.items() if _in_range(found, key, low, high)}

    def with_region(self, matches: Callable[[TermSet], bool]) -> set[int]:
        return {o for o, regions in self.regions.items() if any(map(matches, regions))}


def _in_range(found: TermSet, key: str, low: float, high: float) -> bool:
    return any(name == key and low <= value <= high for name, value in found.numbers)


CAR = Token("rois.label", TEXT, "car")
PERSON = Token("rois.label", TEXT, "person")
TEXTS = [
    *(("label", label) for label in LABELS),
    *(("context_id", value) for value in ("drive/1", "s3://bucket/é.mp4", "none")),
    *(("meta.weather", value) for value in ("rain", "", "60")),
    ("sources.id", "rear"),
    ("sources.content_type", "image/jpeg"),
]


def assert_reader_equals_rows(dataset: Dataset, ranges: Iterable[tuple[float, float]]) -> None:
    index, rows = DatasetIndex(dataset), Rows(dataset)
    for key, text in TEXTS:
        assert set(index.text(key, text)) == rows.having(key, TEXT, terms_module.term_text(text))
    for key in ("label", "meta.weather", "meta.nested.a", "sources.meta.speed"):
        types = ("text", "number", "boolean")
        assert set(index.has(key)) == set().union(*(rows.having(key, ANY, t) for t in types))
    for low, high in ranges:
        for key in ("meta.speed", "timestamp", "sources.height"):
            assert set(index.number_range(key, low, high)) == rows.in_range(key, low, high)
        sure = index.region_number_range("rois.confidence", low, high)
        cars = index.region_text("rois.label", "car")
        found = cars & sure
        assert index.region_number_range("rois.confidence", low, high, among=cars) == found
        assert set(index.frames_of(found)) == {
            ordinal
            for ordinal, regions in rows.regions.items()
            if any(CAR in r.tokens and _in_range(r, "rois.confidence", low, high) for r in regions)
        }
    cars, people = (index.region_text("rois.label", label) for label in ("car", "person"))
    assert set(index.frames_of(cars & people)) == rows.with_region(
        lambda region: {CAR, PERSON} <= region.tokens
    )
    assert set(index.frames_of(cars - people)) == rows.with_region(
        lambda region: CAR in region.tokens and PERSON not in region.tokens
    )
    assert set(index.frames_of(cars | people)) == rows.with_region(
        lambda region: bool({CAR, PERSON} & region.tokens)
    )
    assert set(index.frames_with_count(cars, 2, math.inf)) == {
        o for o, regions in rows.regions.items() if sum(CAR in r.tokens for r in regions) >= 2
    }
    everything = BitMap(list(rows.terms))
    assert len(index.regions_of(everything)) == sum(map(len, rows.regions.values()))
    assert index.region_counts(everything).tolist() == list(map(len, rows.regions.values()))
    walked = {term.value: set(term.frames) for term in index.walk("context_id", first=1)}
    assert list(walked) == sorted(set(rows.contexts.values()))
    assert walked == {
        value: {o for o, context in rows.contexts.items() if context == value} for value in walked
    }
    back = [term.value for term in index.walk("context_id", descending=True, first=2)]
    assert back == list(reversed(walked))
    counted = {(c.kind, c.value): c.frames for c in index.counts("label", everything)}
    assert counted == {
        (TEXT, terms_module.term_text(label)): count
        for label in LABELS
        if (count := len(rows.having("label", TEXT, terms_module.term_text(label))))
    }
    some = BitMap([o for o in rows.terms if o % 3])
    assert index.label_counts(some) == Counter(
        token.value
        for ordinal in some
        for region in rows.regions[ordinal]
        for token in region.tokens
        if token.key == "rois.label"
    )


@tries(40)
@given(history=steps, ranges=st.lists(st.tuples(NUMBERS, NUMBERS), max_size=3))
def test_index_equals_rows_through_writes_deletes_and_children(
    history: list[tuple[str, Any]], ranges: list[tuple[float, float]]
) -> None:
    dataset, model = play(history)
    assert list(check(dataset)) == []
    index = DatasetIndex(dataset)
    for version in dataset.versions.all():
        rows = Frame.objects.at(dataset, index.members(version))
        assert {(r.frame_id, r.context_id, r.timestamp) for r in rows} == {
            (f.frame_id, f.context_id, f.timestamp) for f in model[version.pk].values()
        }
    assert_reader_equals_rows(dataset, ranges)


@tries(10)
@given(history=steps)
def test_a_rebuilt_index_equals_the_one_that_grew(history: list[tuple[str, Any]]) -> None:
    dataset, _ = play(history)
    reindex(dataset.pk)
    dataset.refresh_from_db()
    assert list(check(dataset)) == []
    assert_reader_equals_rows(dataset, [(0.0, 1.0), (-1.0, 300.0)])


@tries(10)
@given(history=steps)
def test_texts_beyond_the_limit_of_a_key_are_found_through_hash_buckets(
    history: list[tuple[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("frames.index.writer.TEXTS_PER_KEY_MAX", 1)
    monkeypatch.setattr(terms_module, "HASH_BUCKETS", 2)
    dataset, _ = play(history)
    assert list(check(dataset)) == []
    index, rows = DatasetIndex(dataset), Rows(dataset)
    for key, text in [("label", label) for label in LABELS] + [("meta.weather", "dusk")]:
        assert set(index.text(key, text)) == rows.having(key, TEXT, terms_module.term_text(text))


def test_regions_are_found_through_hash_buckets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Region keys overflow too: track ids, say, of which there are as many as tracks."""
    monkeypatch.setattr("frames.index.writer.TEXTS_PER_KEY_MAX", 2)
    monkeypatch.setattr(terms_module, "HASH_BUCKETS", 2)
    frames = [
        make_frame(
            f"f{n}",
            rois=[
                {"label": ["car"], "poly": [0, 0, 1, 1], "meta": {"track": f"t{n + m}"}}
                for m in range(3)
            ],
        )
        for n in range(6)
    ]
    index = DatasetIndex(make_version(frames=frames).dataset)
    for track in range(9):
        having = {n for n in range(6) if n <= track < n + 3}
        regions = index.region_text("rois.meta.track", f"t{track}")
        assert set(index.frames_of(regions)) == having
        assert len(regions) == len(having)


def test_a_frame_past_a_segments_end_is_found() -> None:
    """Two segments, the second reached by a batch that crosses into it."""
    version = make_version()
    Dataset.objects.filter(pk=version.dataset_id).update(next_ordinal=65_534)
    version.dataset.refresh_from_db()
    version = add_frames(
        version,
        [make_frame(f"f{n}", labels=["car"] * (n % 3), meta={"n": n * 1.37}) for n in range(5)],
    )
    assert list(check(version.dataset)) == []
    index = DatasetIndex(version.dataset)
    assert sorted(index.text("label", "car")) == [65_535, 65_536, 65_538]
    assert sorted(index.number_range("meta.n", 2.0, 4.2)) == [65_536, 65_537]
    assert index.region_counts(index.members(version)).tolist() == [0, 1, 2, 0, 1]


@pytest.fixture
def spread(project: Project) -> tuple[DatasetIndex, list[float], list[list[float]]]:
    """Numbers over some hundred buckets: one a frame, and three of each frame's regions."""
    numbers = [round(-40 + n * 0.37, 2) for n in range(300)]
    confidences = [[(n * k) % 997 / 997 for k in (1, 7, 31)] for n in range(300)]
    frames = [
        make_frame(
            f"f{n:03}",
            rois=[{"label": ["car"], "confidence": c} for c in inside],
            meta={"n": number},
        )
        for n, (number, inside) in enumerate(zip(numbers, confidences, strict=True))
    ]
    version = make_version(project, frames)
    return DatasetIndex(version.dataset), numbers, confidences


@given(ends=st.tuples(st.floats(-45, 75), st.floats(-45, 75)))
def test_ranges_over_many_buckets_equal_the_numbers_between(
    spread: tuple[DatasetIndex, list[float], list[list[float]]], ends: tuple[float, float]
) -> None:
    """Their unions come from the cache from the second example on."""
    index, numbers, confidences = spread
    low, high = sorted(ends)
    found = index.number_range("meta.n", low, high)
    assert list(found) == [n for n, number in enumerate(numbers) if low <= number <= high]

    low, high = (low + 45) / 120, (high + 45) / 120
    regions = index.region_number_range("rois.confidence", low, high)
    assert len(regions) == sum(low <= c <= high for each in confidences for c in each)
    assert list(index.frames_of(regions)) == [
        n for n, each in enumerate(confidences) if any(low <= c <= high for c in each)
    ]
    every = index.every_region().segments
    some = RegionSet({segment: BitMap(list(held)[::3]) for segment, held in every.items()})
    assert index.region_number_range("rois.confidence", low, high, among=some) == regions & some
