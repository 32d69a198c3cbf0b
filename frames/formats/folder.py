"""Pictures and videos by themselves: one file, or all in a folder and the folders in it.

A picture is one frame and its own context, so that Group by URL shows each picture once. A
video is the context of its sampled frames.
"""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote, urlsplit

from frames.formats import video
from frames.formats.base import FormatError, FrameError, Header, Item, Problem
from frames.formats.singleframe import parse_frame
from frames.media import MediaError, list_uri, open_uri

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from frames.formats.video import Sampling
    from frames.media import MediaPolicy

PICTURE_TYPES: Final = {
    ".avif": "image/avif",
    ".bmp": "image/bmp",
    ".gif": "image/gif",
    ".jfif": "image/jpeg",
    ".jp2": "image/jp2",
    ".jpe": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".jpg": "image/jpeg",
    ".pgm": "image/x-portable-graymap",
    ".png": "image/png",
    ".pnm": "image/x-portable-anymap",
    ".ppm": "image/x-portable-pixmap",
    ".tif": "image/tiff",
    ".tiff": "image/tiff",
    ".webp": "image/webp",
}


def extension(uri: str) -> str:
    """Return the extension of the file a URI names, in lower case, with its dot."""
    path = urlsplit(uri).path if uri.startswith(("http:", "https:")) else uri
    return posixpath.splitext(path)[1].lower()


class FilesReader:
    """Reads the pictures and videos of a folder, or one of them; other files are passed over.

    `meta.path` is the path inside the folder and `meta.folder` the folder in it, if there is
    one. `position` counts files; `total` is unknown, since a listing is read as it is used.
    """

    def __init__(self, uri: str, policy: MediaPolicy, sampling: Sampling) -> None:
        """Read what is at `uri`: a folder if it ends with a slash, else a file."""
        self.header = Header()
        self.position = 0
        self.total: int | None = None
        self._uri = uri
        self._policy = policy
        self._sampling = sampling
        self._index = 0

    def __iter__(self) -> Iterator[Item]:
        """Yield the frames, sorted by path and, inside a video, by time.

        Raises:
            FormatError: the folder holds no picture and no video.
            MediaError: the folder cannot be listed.
        """
        self.position = self._index = 0
        for uri in self._files():
            path = self._path(uri)
            if posixpath.basename(path).startswith("."):
                continue
            self.position += 1
            suffix = extension(uri)
            if suffix in PICTURE_TYPES:
                source = {"uri": uri, "content_type": PICTURE_TYPES[suffix]}
                yield self._item({"sources": [source], "meta": _meta(path)})
            elif suffix in video.CONTENT_TYPES:
                yield from self._video(uri, path, video.CONTENT_TYPES[suffix])
        if not self._index:
            seen = (
                f", which holds {self.position:,} of another kind"
                if self.position
                else ", which is empty"
            )
            raise FormatError(
                f"No picture or video is in the folder{seen}. They end in"
                f" {' '.join(sorted([*PICTURE_TYPES, *video.CONTENT_TYPES]))}."
            )

    def _files(self) -> Iterable[str]:
        if not self._uri.endswith("/"):
            return [self._uri]
        return (entry.uri for entry in list_uri(self._uri, self._policy))

    def _path(self, uri: str) -> str:
        path = uri[self._uri.rindex("/") + 1 :]
        return path if uri.startswith(("s3:", "gs:")) else unquote(path)

    def _video(self, uri: str, path: str, content_type: str) -> Iterator[Item]:
        try:
            with open_uri(uri, self._policy, max_bytes=self._policy.max_video_bytes) as file:
                times = video.read_times(file, self._policy.max_pixels)
        except MediaError as error:
            yield self._problem(path, error.detail)
            return
        if not times.times_ms:
            yield self._problem(path, "The video has no frames.")
        frames = video.video_frames(uri, content_type, times, self._sampling, _meta(path))
        for frame in frames:
            yield self._item(frame)

    def _item(self, frame: dict[str, Any]) -> Item:
        self._index += 1
        try:
            return Item(self._index - 1, parse_frame(frame, self._uri))
        except FrameError as error:
            return Item(self._index - 1, problem=error.problem)

    def _problem(self, path: str, reason: str) -> Item:
        self._index += 1
        return Item(self._index - 1, problem=Problem(path, reason))


def _meta(path: str) -> dict[str, str]:
    folder = posixpath.dirname(path)
    return {"path": path, "folder": folder} if folder else {"path": path}
