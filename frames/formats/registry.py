"""Which formats there are, and which of them an input is."""

from __future__ import annotations

import io
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from frames.formats import folder, video
from frames.formats.base import FormatError
from frames.formats.coco import CocoReader
from frames.formats.folder import FilesReader
from frames.formats.jsonstream import JsonStream, ValueProblem
from frames.formats.manifest import ManifestReader
from frames.formats.uris import from_path
from frames.formats.video import Sampling
from frames.media import MediaError, open_uri
from frames.models import PreviewReason

if TYPE_CHECKING:
    from collections.abc import Mapping

    from frames.formats.base import FrameReader
    from frames.media import MediaPolicy


@dataclass(frozen=True, slots=True)
class Format:
    """A format that can be imported, as a person chooses it; docs/formats.md tells the rest."""

    name: str
    title: str
    recognised_by: str


FORMATS: Final = (
    Format("singleframe", "SingleFrame manifest", 'JSON with "frames" or "sources"'),
    Format("segments", "Segments.ai samples", 'JSON with "image", "pcd", "frames" or "sensors"'),
    Format("coco", "COCO instances", 'JSON with "images", "annotations" and "categories"'),
    Format("folder", "Folder of pictures", " ".join(sorted(folder.PICTURE_TYPES))),
    Format("video", "Video or folder of videos", " ".join(sorted(video.CONTENT_TYPES))),
)

# A folder that holds one of these is read as that manifest.
MANIFEST_NAMES: Final = ("frames.json", "frames.jsonl", "frames.ndjson", "manifest.json")

_SNIFFED_BYTES: Final = 1024 * 1024
_JSON_SUFFIXES: Final = (".json", ".jsonl", ".ndjson", ".geojson")


def open_reader(uri: str, policy: MediaPolicy, options: Mapping[str, Any]) -> FrameReader:
    """Return the reader of an input, chosen by its extension and its first bytes.

    Args:
        uri: a file, a folder (with or without its closing slash) or a bucket's prefix.
        policy: what may be read.
        options: `every_frames` or `every_ms` for videos, `images` (the folder of the pictures)
            for COCO; others are not for the readers.

    Raises:
        FormatError: it is none of FORMATS, or an option is wrong.
        MediaError: it cannot be read.
    """
    if "://" not in uri:
        uri = from_path(uri)
    sampling = Sampling.from_options(options)
    suffix = folder.extension(uri)
    if suffix in folder.PICTURE_TYPES or suffix in video.CONTENT_TYPES:
        return FilesReader(uri, policy, sampling)
    if not uri.endswith("/"):
        try:
            return _json_reader(uri, policy, options)
        except MediaError as error:
            is_folder = error.reason is PreviewReason.UNSUPPORTED
            # A bucket has no folders: a prefix without its slash is just not an object.
            is_prefix = error.reason is PreviewReason.NOT_FOUND and uri.startswith(("s3:", "gs:"))
            if suffix in _JSON_SUFFIXES or not (is_folder or is_prefix):
                raise
        uri += "/"
    for name in MANIFEST_NAMES:
        try:
            return _json_reader(uri + name, policy, options)
        except MediaError as error:
            if error.reason is not PreviewReason.NOT_FOUND:
                raise
    return FilesReader(uri, policy, sampling)


def _json_reader(uri: str, policy: MediaPolicy, options: Mapping[str, Any]) -> FrameReader:
    opened = partial(open_uri, uri, policy, max_bytes=policy.max_video_bytes)
    with opened() as file:
        head = file.read(_SNIFFED_BYTES)
    if is_coco(head):
        images = options.get("images")
        return CocoReader(opened, uri, str(images) if images else None)
    return ManifestReader(opened, uri)


def is_coco(head: bytes) -> bool:
    """Whether a file that begins like this is a COCO file, by the first key that tells."""
    stream = JsonStream(io.BytesIO(head))
    try:
        if not stream.take("{"):
            return False
        while True:
            key = stream.value()
            if not stream.take(":") or not isinstance(key, str):
                return False
            if key in ("annotations", "categories"):
                return stream.peek() == "["
            if key == "images":
                # So does a point cloud sample begin; its cameras have no file names.
                if not stream.take("["):
                    return False
                first = stream.value()
                return isinstance(first, dict) and "file_name" in first
            if key in ("frames", "sources", "dataset", "version"):
                return False
            stream.value()
            if not stream.take(","):
                return False
    except (FormatError, ValueProblem):
        return False
