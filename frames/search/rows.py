"""The rows of frames, as pages, exports and filters read them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from frames.models import Frame, Source
from frames.models.frame import ordinal_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from frames.models import Dataset


@dataclass(frozen=True, slots=True)
class FrameRow:
    """A frame with its sources in their order."""

    frame: Frame
    sources: list[Source]


def rows_of(
    dataset: Dataset, ordinals: Sequence[int], without: Sequence[str] = ()
) -> list[FrameRow]:
    """Return frames with their sources, in the order of the ordinals. Queries: 2.

    `without` names columns that whoever asks does not read: most of a frame is its regions.
    """
    found = Frame.objects.at(dataset, set(ordinals)).with_writer().defer(*without)
    frames = {f.ordinal: f for f in found}
    sources: dict[int, list[Source]] = {ordinal: [] for ordinal in frames}
    for source in Source.objects.filter(frame__in=frames.values()).order_by("frame_id", "position"):
        sources[ordinal_of(source.frame_id)].append(source)
    return [FrameRow(frames[ordinal], sources[ordinal]) for ordinal in ordinals]
