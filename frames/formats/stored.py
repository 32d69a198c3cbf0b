"""A stored frame as the plain data that writers and edits take."""

from __future__ import annotations

from typing import TYPE_CHECKING

from frames.formats.base import FrameData, SourceData

if TYPE_CHECKING:
    from collections.abc import Sequence

    from frames.models import Frame, Source


def frame_data(frame: Frame, sources: Sequence[Source]) -> FrameData:
    """Return a stored revision as it was imported; it shares its JSON values with the row."""
    return FrameData(
        frame.frame_id,
        frame.context_id,
        frame.timestamp,
        [
            SourceData(
                source.source_id,
                source.uri,
                source.content_type,
                source.width,
                source.height,
                source.timestamp,
                source.masks,
                source.preview,
                source.meta,
                source.extra,
            )
            for source in sources
        ],
        frame.rois,
        frame.meta,
        frame.extra,
    )
