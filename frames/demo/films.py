"""Writes what a camera saw as a video, and the classes of its pixels as another one."""

from __future__ import annotations

import os
from contextlib import contextmanager
from fractions import Fraction
from functools import lru_cache
from typing import TYPE_CHECKING, Final

import av
import numpy as np
from PIL import Image

from frames.demo.painter import CLASSES

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from av.container import OutputContainer
    from av.video.stream import VideoStream

FPS: Final = 30
# As a camera would: 30 frames from one key frame to the next, so that any frame is found fast.
_PICTURE: Final = {"preset": "ultrafast", "crf": "20", "g": "30", "x264-params": "log-level=none"}
# Lossless, and without halved colour: every pixel of a class keeps the colour of its class.
_CLASSES: Final = {"preset": "ultrafast", "qp": "0", "g": "30", "x264-params": "log-level=none"}


class Film:
    """A video in the making; frames are added in order."""

    def __init__(self, container: OutputContainer, stream: VideoStream) -> None:
        self._container = container
        self._stream = stream
        self._frames = 0

    def add(self, picture: Image.Image) -> None:
        """Add an RGB picture as the next frame."""
        # Four bytes a pixel, as Pillow keeps them: nothing is packed that is unpacked again.
        frame = av.VideoFrame(picture.width, picture.height, "rgb0")
        plane = frame.planes[0]
        plane.update(_rows(picture.tobytes("raw", "RGBX"), picture.width * 4, plane.line_size))
        self._add(frame)

    def add_classes(self, classes: Image.Image) -> None:
        """Add a picture of class indices as the next frame, in the colours of the classes."""
        frame = av.VideoFrame(classes.width, classes.height, "yuv444p")
        for plane, table in zip(frame.planes, _class_tables(), strict=True):
            rows = classes.point(table).tobytes()
            plane.update(_rows(rows, classes.width, plane.line_size))
        self._add(frame)

    def _add(self, frame: av.VideoFrame) -> None:
        frame.pts = self._frames
        frame.time_base = Fraction(1, FPS)
        self._frames += 1
        self._container.mux(self._stream.encode(frame))


@lru_cache(maxsize=1)
def _class_tables() -> list[list[int]]:
    """Return what Y, U and V are for each class index."""
    colors = np.zeros((2, 256, 3), dtype=np.uint8)
    for index, color in CLASSES.values():
        colors[:, index] = color
    frame = av.VideoFrame.from_ndarray(colors, format="rgb24").reformat(format="yuv444p")
    return [list(bytes(plane)[:256]) for plane in frame.planes]


def _rows(data: bytes, width: int, line_size: int) -> bytes:
    """Return lines of `width` bytes made as long as the codec wants them."""
    if line_size == width:
        return data
    rows = np.frombuffer(data, dtype=np.uint8).reshape(-1, width)
    return np.pad(rows, ((0, 0), (0, line_size - width))).tobytes()


@contextmanager
def film(path: Path, width: int, height: int, *, lossless: bool = False) -> Iterator[Film]:
    """Write an H.264 mp4; the file appears under its name only when it is whole."""
    unfinished = path.with_suffix(f".{os.getpid()}.unfinished.mp4")
    with av.open(unfinished, "w", format="mp4", options={"movflags": "faststart"}) as container:
        stream = container.add_stream(
            "libx264", rate=FPS, options=_CLASSES if lossless else _PICTURE
        )
        stream.width, stream.height = width, height
        stream.pix_fmt = "yuv444p" if lossless else "yuv420p"
        # One process makes one film: more threads would only wait for each other.
        stream.codec_context.thread_count = 1
        yield Film(container, stream)
        container.mux(stream.encode(None))
    os.replace(unfinished, path)
