"""The brute force beside the index: terms read off the rows themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyroaring import BitMap

from frames.index.bitmaps import to_array
from frames.index.store import chunks
from frames.index.terms import ANY, TEXT, TYPE_NUMBER, Token, emit_frame, emit_labels, emit_region
from frames.models import Frame

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


def frame_terms(frame: Frame) -> TermSet:
    """Return the terms of frame space of a frame whose sources are prefetched."""
    found = TermSet()
    emit_frame(
        found,
        context_id=frame.context_id,
        timestamp=frame.timestamp,
        meta=frame.meta,
        sources=frame.sources.all(),
    )
    emit_labels(found, frame.rois)
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
