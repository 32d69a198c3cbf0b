"""What a preview shows, and which kind of file it is made from."""

from __future__ import annotations

import enum
import posixpath
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from frames.models.preview import preview_key

if TYPE_CHECKING:
    from frames.models import Source

PREVIEW_EDGE_PX: Final = 320
VIEWER_EDGE_PX: Final = 1280

_VIDEO_EXTENSION: Final = re.compile(
    r"\.(3g2|3gp|asf|avi|flv|m2ts|m4v|mkv|mov|mp4|mpe?g|mts|mxf|ogv|ts|vob|webm|wmv|y4m)"
)
# Files of sensors and tables, which nobody would call a damaged picture.
_OTHER_EXTENSION: Final = re.compile(
    r"\.(bag|bin|csv|db3|feather|gz|h5|hdf5|jsonl?|las|laz|mat|mcap|np[yz]|parquet|pcd|pdf|ply"
    r"|svg|tar|txt|xml|ya?ml|zip)"
)
_OTHER_CONTENT: Final = ("application/", "audio/", "model/", "text/")
# Says nothing: what stores answer for files whose type they were not told.
_UNKNOWN_CONTENT: Final = frozenset({"", "application/octet-stream", "binary/octet-stream"})


class Kind(enum.Enum):
    """How a file is rendered."""

    PICTURE = "picture"
    VIDEO = "video"
    OTHER = "other"


def _extension(uri: str) -> str:
    path = urlsplit(uri).path if uri.startswith(("http://", "https://")) else uri
    return posixpath.splitext(path)[1].lower()


def kind_of(uri: str, content_type: str) -> Kind:
    """Return how a file is rendered, judged by its declared type and its extension."""
    extension = _extension(uri)
    content_type = content_type.partition(";")[0].strip().lower()
    if content_type.startswith("video/") or _VIDEO_EXTENSION.fullmatch(extension):
        return Kind.VIDEO
    if content_type.startswith("image/") and content_type != "image/svg+xml":
        return Kind.PICTURE
    if _OTHER_EXTENSION.fullmatch(extension) or content_type == "image/svg+xml":
        return Kind.OTHER
    if content_type not in _UNKNOWN_CONTENT and content_type.startswith(_OTHER_CONTENT):
        return Kind.OTHER
    return Kind.PICTURE


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


def spec_for(source: Source, edge_px: int) -> PreviewSpec:
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
