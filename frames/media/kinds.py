"""Which kind of file a source is, judged without opening it."""

from __future__ import annotations

import enum
import posixpath
import re
from typing import Final
from urllib.parse import urlsplit

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
