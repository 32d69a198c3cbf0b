"""Frames of a video by PyAV, exact to the frame."""

from __future__ import annotations

import time
from typing import IO, TYPE_CHECKING, Final

import av.error

from frames.media import MediaError
from frames.media.video import damaged, open_video
from frames.models import PreviewReason
from frames.previews.rendered import Rendered, encode, fit

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from av.container import InputContainer
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream
    from PIL import Image

# Between two wanted frames: decoding on is cheaper than seeking, which decodes from a key frame.
# Taken where the file's index does not say where its key frames are.
ASSUMED_KEY_INTERVAL_S: Final = 2.0
_ASSUMED_FRAME_S: Final = 1 / 25


class _Decoder:
    """One open video, decoded forward, with the last two frames at hand.

    Times are in seconds from the first frame's presentation on.
    """

    def __init__(self, container: InputContainer, stream: VideoStream, deadline: float) -> None:
        self._container = container
        self._stream = stream
        self._deadline = deadline
        self._tick_s = float(stream.time_base or 0) or 1 / 90_000
        self._start: int | None = stream.start_time
        rate = stream.average_rate or stream.guessed_rate
        self.frame_s = 1 / float(rate) if rate else _ASSUMED_FRAME_S
        self._keys_s = self._key_times_s()
        self._frames = self._decode()
        self.before: VideoFrame | None = None
        self.at: VideoFrame | None = None
        self.ended = False
        self.broken = False

    def _key_times_s(self) -> list[float]:
        start = self._start or 0
        return sorted(
            (entry.timestamp - start) * self._tick_s
            for entry in self._stream.index_entries
            if entry.is_keyframe
        )

    def _decode(self) -> Iterator[VideoFrame]:
        for packet in self._container.demux(self._stream):
            try:
                frames = packet.decode()
            except av.error.InvalidDataError:
                # One damaged packet; those after the next key frame may be whole.
                self.broken = True
                continue
            except av.error.EOFError:
                return
            for frame in frames:
                if time.monotonic() > self._deadline:
                    raise MediaError(
                        PreviewReason.TIMED_OUT, "Decoding takes too long.", retryable=True
                    )
                if frame.pts is not None:
                    yield frame

    def time_s(self, frame: VideoFrame) -> float:
        """Return when the frame is shown."""
        pts = frame.pts or 0
        if self._start is None:
            self._start = pts
        return (pts - self._start) * self._tick_s

    def _step(self) -> bool:
        frame = next(self._frames, None)
        if frame is None:
            self.ended = True
            return False
        self.before, self.at = self.at, frame
        return True

    def _seek(self, time_s: float) -> None:
        ticks = int(time_s / self._tick_s) + (self._start or 0)
        self._container.seek(ticks, stream=self._stream, backward=True)
        self._frames = self._decode()
        self.before = self.at = None
        self.ended = False

    def _seek_pays(self, time_s: float) -> bool:
        here_s = self.time_s(self.at) if self.at else 0.0
        if time_s < here_s:
            # What was decoded is gone, except for the two frames at hand.
            return self.before is None or time_s < self.time_s(self.before)
        if self._keys_s:
            # A key frame between here and there: everything before it need not be decoded.
            return any(here_s + self.frame_s < key <= time_s for key in self._keys_s)
        return time_s - here_s > ASSUMED_KEY_INTERVAL_S

    def nearest(self, time_s: float) -> VideoFrame | None:
        """Return the frame shown nearest to a time, None where the video ends before it."""
        if self._seek_pays(time_s):
            back_s = 0.0
            self._seek(time_s)
            # Containers seek by decoding time, and those without an index by guessing: the frame
            # found may be shown after the target, or there may be none up to the end.
            while not self._step() or (self.at and self.time_s(self.at) > time_s):
                if back_s > time_s:
                    break
                back_s = back_s * 2 or 1.0
                self._seek(max(0.0, time_s - back_s))
        while self.at is None or self.time_s(self.at) < time_s:
            if self.ended or not self._step():
                break
        if self.at is None:
            return None
        here_s = self.time_s(self.at)
        if here_s < time_s:
            shown_s = max(float(self.at.duration or 0) * self._tick_s, self.frame_s)
            return self.at if time_s - here_s < shown_s else None
        if self.before is not None and time_s - self.time_s(self.before) <= here_s - time_s:
            return self.before
        return self.at


def _render(frame: VideoFrame, edge_px: int) -> Rendered:
    width, height = fit(frame.width, frame.height, edge_px)
    # In swscale, six times as fast as in Pillow, and only then to RGB.
    scaled = frame.reformat(width=width, height=height, format="rgb24")
    image: Image.Image = scaled.to_image()  # type: ignore[no-untyped-call]
    original = frame.width, frame.height
    turns = round(frame.rotation / 90) % 4
    if turns:
        image = image.rotate(90 * turns, expand=True)
        if turns % 2:
            original = frame.height, frame.width
    return encode(image, original=original, original_displayable=False)


def render_video_frames(
    file: IO[bytes],
    timestamps_ms: Sequence[float],
    *,
    edge_px: int,
    max_pixels: int,
    budget_s: float = 300.0,
) -> Iterator[tuple[float, Rendered | MediaError]]:
    """Render the frames shown nearest to the given times, in the order of time.

    Times are in milliseconds from the video's first frame on. The file is opened once and
    decoded forward; it seeks only where that saves decoding. When `budget_s` has passed, the
    timestamp at hand gets TIMED_OUT and those after it are not yielded: ask for them again.

    Raises:
        MediaError: the file as a whole cannot be read or is no video.
    """
    deadline = time.monotonic() + budget_s
    with open_video(file, max_pixels) as (container, stream):
        decoder = _Decoder(container, stream, deadline)
        length_s = float(stream.duration or 0) * float(stream.time_base or 0)
        for timestamp_ms in sorted(timestamps_ms):
            time_s = timestamp_ms / 1000
            try:
                frame = decoder.nearest(time_s) if time_s > -decoder.frame_s else None
                if frame is not None:
                    yield timestamp_ms, _render(frame, edge_px)
                elif 0 <= time_s < length_s - decoder.frame_s or (decoder.broken and not length_s):
                    # The container promises a frame here which its data does not hold.
                    yield timestamp_ms, damaged()
                else:
                    yield (
                        timestamp_ms,
                        MediaError(
                            PreviewReason.OUT_OF_RANGE, "The video has no frame at this time."
                        ),
                    )
            except MediaError as error:
                yield timestamp_ms, error
                if error.reason is PreviewReason.TIMED_OUT:
                    return
            except (av.error.FFmpegError, ValueError):
                yield timestamp_ms, damaged()
