"""What a preview shows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Protocol

from frames.media.kinds import Kind, kind_of
from frames.models.preview import preview_key

PREVIEW_EDGE_PX: Final = 320
VIEWER_EDGE_PX: Final = 1280


class Shown(Protocol):
    """What of a source decides what its preview shows."""

    uri: str
    content_type: str
    timestamp: float | None
    preview: Any


@dataclass(frozen=True, slots=True)
class PreviewSpec:
    """What one preview shows; `timestamp_ms` is 0 where the file is not a video."""

    uri: str
    content_type: str
    timestamp_ms: float
    edge_px: int

    def key(self, project_pk: int) -> str:
        """Return the key of this preview in a project."""
        return preview_key(project_pk, self.uri, self.timestamp_ms, self.edge_px)


def _given(preview: Any) -> tuple[str, str, float | None]:
    """Return URI, content type and timestamp of a source's own preview, which may be bare text."""
    if isinstance(preview, str):
        return preview, "", None
    if not isinstance(preview, dict):
        return "", "", None
    uri, content_type = preview.get("uri"), preview.get("content_type")
    timestamp = preview.get("timestamp")
    return (
        uri if isinstance(uri, str) else "",
        content_type if isinstance(content_type, str) else "",
        float(timestamp) if isinstance(timestamp, int | float) else None,
    )


def spec_for(source: Shown, edge_px: int) -> PreviewSpec:
    """Return what the preview of a source shows.

    The grid shows the preview that came with the source, if one did; the viewer always shows the
    source itself.
    """
    uri, content_type, timestamp = "", "", None
    if edge_px == PREVIEW_EDGE_PX:
        uri, content_type, timestamp = _given(source.preview)
    if not uri:
        uri, content_type = source.uri, source.content_type
    if timestamp is None:
        timestamp = source.timestamp or 0.0
    if kind_of(uri, content_type) is not Kind.VIDEO:
        # A still is the same at every time: frames that share it share its preview.
        timestamp = 0.0
    return PreviewSpec(uri, content_type, float(timestamp), edge_px)
