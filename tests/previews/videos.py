"""Small videos whose every frame shows its own number."""

from __future__ import annotations

import io
from collections.abc import Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, cast

import av
import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from av.video.stream import VideoStream

BITS = 10
WIDTH, HEIGHT = 320, 160


def picture_of(number: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """Return the number as white and black stripes, its lowest bit on the left."""
    picture = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    stripe = WIDTH // BITS
    for bit in range(BITS):
        if number >> bit & 1:
            picture[:, bit * stripe : (bit + 1) * stripe] = 255
    return picture


def number_in(data: bytes) -> int:
    """Read the number from a rendered frame of any size."""
    image = Image.open(io.BytesIO(data)).convert("L")
    stripe = image.width / BITS
    row = np.asarray(image)[image.height // 2]
    levels = [row[int((bit + 0.5) * stripe)] for bit in range(BITS)]
    return sum(1 << bit for bit, level in enumerate(levels) if level > 127)


def make_video(
    frames: int = 60,
    *,
    rate: int = 30,
    container: str = "mp4",
    codec: str = "libx264",
    key_every: int = 15,
    b_frames: int = 2,
    times: Sequence[int] | None = None,
    start: int = 0,
    size: tuple[int, int] = (WIDTH, HEIGHT),
) -> bytes:
    """Return a video.

    `times` are the frames' presentation times in ms where they are not regular; `start` is the
    first one's, in frames.
    """
    file = io.BytesIO()
    options: dict[str, dict[str, object]] = {
        "libx264": {"preset": "ultrafast", "bf": str(b_frames), "sc_threshold": "0"},
        "libvpx": {"deadline": "realtime", "cpu-used": "8"},
        "mjpeg": {"strict": "-1"},
    }
    with av.open(file, "w", format=container) as output:
        stream = cast("VideoStream", output.add_stream(codec, rate=rate))
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        stream.codec_context.gop_size = key_every
        stream.options = options.get(codec, {})
        if times is not None:
            stream.codec_context.time_base = Fraction(1, 1000)
            stream.time_base = Fraction(1, 1000)
        for number in range(frames):
            picture = Image.fromarray(picture_of(number)).resize(size, Image.Resampling.NEAREST)
            frame = av.VideoFrame.from_ndarray(np.asarray(picture))
            frame.pts = (number + start) if times is None else times[number]
            frame.time_base = Fraction(1, rate) if times is None else Fraction(1, 1000)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return file.getvalue()


def rotated(video: bytes, degrees: int) -> bytes:
    """Return an mp4 that players turn clockwise, as telephones write it."""
    # ISO 14496-12, 8.3.2: the matrix is 36 bytes of the track header, 40 bytes into version 0.
    one = 1 << 16
    cos, sin = {0: (one, 0), 90: (0, one), 180: (-one, 0), 270: (0, -one)}[degrees]
    values = (cos, sin, 0, -sin, cos, 0, 0, 0, 1 << 30)
    matrix = b"".join(value.to_bytes(4, "big", signed=True) for value in values)
    at = video.index(b"tkhd") + 4 + 40
    return video[:at] + matrix + video[at + 36 :]
