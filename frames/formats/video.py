"""Videos: one frame at each sampled time, in the order in which they are shown.

The video is the context. Its packets are read but not decoded: their times of presentation are
what a player goes by, also where the rate changes or the first frame is not at zero.
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from fractions import Fraction
from typing import IO, TYPE_CHECKING, Any, Final

import av.error

from frames.formats.base import FormatError
from frames.media.video import open_video

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

CONTENT_TYPES: Final = {
    ".3g2": "video/3gpp2",
    ".3gp": "video/3gpp",
    ".avi": "video/x-msvideo",
    ".flv": "video/x-flv",
    ".m2ts": "video/mp2t",
    ".m4v": "video/x-m4v",
    ".mkv": "video/x-matroska",
    ".mov": "video/quicktime",
    ".mp4": "video/mp4",
    ".mpeg": "video/mpeg",
    ".mpg": "video/mpeg",
    ".mts": "video/mp2t",
    ".mxf": "application/mxf",
    ".ogv": "video/ogg",
    ".ts": "video/mp2t",
    ".webm": "video/webm",
    ".wmv": "video/x-ms-wmv",
    ".y4m": "video/x-yuv4mpeg",
}
DEFAULT_EVERY_MS: Final = 1000.0


@dataclass(frozen=True, slots=True)
class Sampling:
    """Which frames of a video are taken: each nth one, or the first one in each `every_ms`."""

    every_frames: int | None = None
    every_ms: float = DEFAULT_EVERY_MS

    @classmethod
    def from_options(cls, options: Mapping[str, Any]) -> Sampling:
        """Read the options `every_frames` or `every_ms`.

        Raises:
            FormatError: both are given, or one is not a number above zero.
        """
        every_frames, every_ms = options.get("every_frames"), options.get("every_ms")
        if every_frames is not None and every_ms is not None:
            raise FormatError("Give every_frames or every_ms, not both.")
        try:
            if every_frames is not None:
                sampling = cls(every_frames=int(every_frames))
            else:
                sampling = cls(every_ms=DEFAULT_EVERY_MS if every_ms is None else float(every_ms))
        except (TypeError, ValueError) as error:
            raise FormatError("every_frames and every_ms must be numbers.") from error
        step = sampling.every_ms if sampling.every_frames is None else sampling.every_frames
        if not 0 < step < float("inf"):
            raise FormatError("every_frames and every_ms must be above zero.")
        return sampling

    def pick(self, times_ms: Sequence[float]) -> Iterator[float]:
        """Yield those of the times, which ascend, that are taken."""
        if self.every_frames is not None:
            yield from times_ms[:: self.every_frames]
            return
        following = 0.0
        for time_ms in times_ms:
            # Times are rounded to a thousandth: a frame at 999.999 is the one at one second.
            if time_ms + 0.001 >= following:
                yield time_ms
                following = (int((time_ms + 0.001) / self.every_ms) + 1) * self.every_ms


@dataclass(frozen=True, slots=True)
class VideoTimes:
    """The size a video is shown at, in pixels, and when each of its frames is shown.

    `times_ms` ascend from 0, the first frame's time, as in `frames.previews.video`.
    """

    width: int
    height: int
    times_ms: Sequence[float]


def read_times(file: IO[bytes], max_pixels: int) -> VideoTimes:
    """Read when the frames of a video are shown, without decoding more than one.

    Memory: 8 bytes a frame.

    Raises:
        MediaError: the file is no video or cannot be read.
    """
    with open_video(file, max_pixels) as (container, stream):
        start = stream.start_time
        ticks = array("q")
        width, height = stream.codec_context.width, stream.codec_context.height
        turned: bool | None = None
        try:
            for packet in container.demux(stream):
                if packet.pts is None or packet.is_discard:
                    continue
                ticks.append(packet.pts)
                if turned is None:
                    # Only a decoded frame tells that a phone was held upright.
                    turned = _is_turned(packet.decode())
        except av.error.FFmpegError:
            if not ticks:
                raise
            # Cut off: what is there can be seen.
        ordered = sorted(ticks)
        if not ordered:
            return VideoTimes(width, height, [])
        first = ordered[0] if start is None else start
        tick_ms = (stream.time_base or Fraction(1, 90_000)) * 1000
        times = [round(float((tick - first) * tick_ms), 3) for tick in ordered]
    if turned:
        width, height = height, width
    return VideoTimes(width, height, times)


def _is_turned(frames: Iterable[Any]) -> bool | None:
    for frame in frames:
        return bool(round(frame.rotation / 90) % 2)
    return None


def video_frames(
    uri: str, content_type: str, video: VideoTimes, sampling: Sampling, meta: Mapping[str, Any]
) -> Iterator[dict[str, Any]]:
    """Yield the SingleFrames of a video at the sampled times."""
    for time_ms in sampling.pick(video.times_ms):
        source = {
            "uri": uri,
            "content_type": content_type,
            "width": video.width or None,
            "height": video.height or None,
            "timestamp": time_ms,
        }
        yield {
            "context_id": uri,
            "timestamp": time_ms,
            "meta": dict(meta),
            "sources": [source],
        }
