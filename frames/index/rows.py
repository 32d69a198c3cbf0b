"""The brute force beside the index: terms read off the rows themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyroaring import BitMap

from frames.index.bitmaps import to_array
from frames.index.store import chunks
from frames.index.terms import (
    ANY,
    NUMBER,
    SAVED_IN_VERSION,
    TEXT,
    TYPE_NUMBER,
    VALUE_KINDS,
    Token,
    emit_defects,
    emit_frame,
    emit_labels,
    emit_object,
    emit_region,
    emit_source,
)
from frames.models import Frame, Source
from frames.models.frame import ordinal_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from frames.models import Dataset


class TermSet:
    """A sink that keeps what one frame or region has."""

    def __init__(self) -> None:
        self.tokens: set[Token] = set()
        self.numbers: set[tuple[str, float]] = set()

    def token(self, key: str, kind: int, value: str) -> None:
        """Keep a term."""
        self.tokens.add(Token(key, kind, value))

    def number(self, key: str, value: float) -> None:
        """Keep a number, and that the key has one."""
        self.numbers.add((key, value))
        self.tokens.add(Token(key, ANY, TYPE_NUMBER))


class KeyValues:
    """A sink that keeps the values of one key, each as (kind, value)."""

    def __init__(self, key: str) -> None:
        self.key = key
        self.values: list[tuple[int, str | float]] = []

    def token(self, key: str, kind: int, value: str) -> None:
        """Keep a value that is a text or a truth value."""
        if key == self.key and kind in VALUE_KINDS:
            self.values.append((kind, value))

    def number(self, key: str, value: float) -> None:
        """Keep a number."""
        if key == self.key:
            self.values.append((NUMBER, float(value)))


def frame_terms(frame: Frame) -> TermSet:
    """Return the terms of frame space of a frame whose sources are prefetched."""
    found = TermSet()
    sources = list(frame.sources.all())
    emit_frame(
        found,
        context_id=frame.context_id,
        timestamp=frame.timestamp,
        meta=frame.meta,
        sources=sources,
    )
    found.token(SAVED_IN_VERSION, TEXT, str(frame.saved_in_version_id))
    emit_labels(found, frame.rois)
    emit_defects(found, frame.rois, sources)
    return found


def region_terms(frame: Frame) -> list[TermSet]:
    """Return the terms of region space of each region of a frame."""
    found = []
    for roi in frame.rois:
        terms = TermSet()
        emit_region(terms, roi)
        found.append(terms)
    return found


def read_rows(dataset: Dataset, ordinals: Iterable[int]) -> Iterator[Frame]:
    """Yield frame rows, sources prefetched. Queries: 2 for each 500."""
    for part in chunks(list(ordinals)):
        yield from Frame.objects.at(dataset, part).prefetch_related("sources").order_by("pk")


def values_of(frame: Frame, sources: Iterable[Source], key: str) -> list[tuple[int, str | float]]:
    """Return (kind, value) of each value that a frame, or a region of it, has of a key."""
    found = KeyValues(key)
    if key == "label":
        emit_labels(found, frame.rois)
    elif key.startswith("rois."):
        for roi in frame.rois:
            emit_region(found, roi)
    elif key.startswith("sources."):
        for source in sources:
            emit_source(found, source)
    else:
        emit_object(found, "meta", frame.meta)
    return found.values


def read_values(
    dataset: Dataset, ordinals: Iterable[int], key: str
) -> dict[int, list[tuple[int, str | float]]]:
    """Return by ordinal the values that frames have of a key. Queries: 1 or 2 for each 500."""
    column = "meta" if key.startswith("meta.") else "rois"
    found: dict[int, list[tuple[int, str | float]]] = {}
    for part in chunks(list(ordinals)):
        frames = Frame.objects.at(dataset, part)
        if key.startswith("sources."):
            sources: dict[int, list[Source]] = {ordinal: [] for ordinal in part}
            for source in Source.objects.filter(frame__in=frames):
                sources[ordinal_of(source.frame_id)].append(source)
            for ordinal, streams in sources.items():
                found[ordinal] = values_of(Frame(), streams, key)
        else:
            for frame in frames.only(column):
                found[frame.ordinal] = values_of(frame, (), key)
    return found


def frames_with_text(dataset: Dataset, candidates: BitMap, key: str, text: str) -> BitMap:
    """Return those of the candidates whose row has a text. Queries: 2 for each 500 candidates."""
    token = Token(key, TEXT, text)
    return BitMap(
        [
            frame.ordinal
            for frame in read_rows(dataset, to_array(candidates).tolist())
            if token in frame_terms(frame).tokens
        ]
    )
