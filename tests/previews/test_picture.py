"""Pictures of every kind become one small upright JPEG, or a named failure."""

from __future__ import annotations

import contextlib
import io
import random
import struct
import time
import zlib
from typing import Any

import numpy as np
import pytest
from PIL import Image

from frames.media import MediaError
from frames.models import PreviewReason
from frames.previews.picture import render_picture
from frames.previews.rendered import Rendered

ORIENTATION = 0x0112
Color = tuple[int, int, int]


def saved(image: Image.Image, format_name: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, format_name, **options)
    return file.getvalue()


def render(data: bytes, edge_px: int = 320, max_pixels: int = 200_000_000) -> Rendered:
    return render_picture(io.BytesIO(data), edge_px=edge_px, max_pixels=max_pixels)


def error_of(data: bytes, max_pixels: int = 200_000_000) -> MediaError:
    with pytest.raises(MediaError) as caught:
        render(data, max_pixels=max_pixels)
    return caught.value


def shown(rendered: Rendered) -> Image.Image:
    image = Image.open(io.BytesIO(rendered.data))
    assert image.format == "JPEG"
    assert image.size == (rendered.width, rendered.height)
    return image.convert("RGB")


def near(found: Any, wanted: Color, tolerance: int = 12) -> bool:
    return all(abs(a - b) <= tolerance for a, b in zip(found, wanted, strict=True))


@pytest.fixture
def corners() -> Image.Image:
    """A picture of 400 x 200: red, green, blue and white, clockwise from the top left."""
    image = Image.new("RGB", (400, 200))
    image.paste((255, 0, 0), (0, 0, 200, 100))
    image.paste((0, 255, 0), (200, 0, 400, 100))
    image.paste((0, 0, 255), (200, 100, 400, 200))
    image.paste((255, 255, 255), (0, 100, 200, 200))
    return image


@pytest.mark.parametrize(
    ("size", "edge_px", "wanted"),
    [
        ((1280, 720), 320, (320, 180)),
        ((720, 1280), 320, (180, 320)),
        ((1000, 667), 320, (320, 213)),
        ((320, 240), 320, (320, 240)),
        ((100, 50), 320, (100, 50)),
        ((5000, 3), 320, (320, 1)),
        ((1, 1), 320, (1, 1)),
        ((4000, 3000), 1280, (1280, 960)),
    ],
)
@pytest.mark.parametrize("format_name", ["JPEG", "PNG"])
def test_the_long_side_is_the_edge_and_nothing_grows(
    size: tuple[int, int], edge_px: int, wanted: tuple[int, int], format_name: str
) -> None:
    rendered = render(saved(Image.new("RGB", size, (200, 30, 30)), format_name), edge_px)
    assert (rendered.width, rendered.height) == wanted
    assert (rendered.original_width, rendered.original_height) == size
    assert near(shown(rendered).getpixel((0, 0)), (200, 30, 30))


@pytest.mark.parametrize("format_name", ["JPEG", "PNG", "WEBP", "TIFF", "BMP", "JPEG2000", "AVIF"])
def test_formats(corners: Image.Image, format_name: str) -> None:
    rendered = render(saved(corners, format_name))
    image = shown(rendered)
    assert near(image.getpixel((20, 20)), (255, 0, 0))
    assert near(image.getpixel((300, 20)), (0, 255, 0))
    assert near(image.getpixel((300, 140)), (0, 0, 255))
    assert near(image.getpixel((20, 140)), (255, 255, 255))
    assert rendered.original_displayable is (format_name not in {"TIFF", "JPEG2000"})


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format_name", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_exif_orientation(corners: Image.Image, orientation: int, format_name: str) -> None:
    """The camera's note says how the stored picture is turned; all eight show the same scene."""
    undo = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    stored = corners.transpose(undo[orientation]) if orientation > 1 else corners
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    rendered = render(saved(stored, format_name, exif=exif))
    assert (rendered.width, rendered.height) == (320, 160)
    assert (rendered.original_width, rendered.original_height) == (400, 200)
    image = shown(rendered)
    assert near(image.getpixel((20, 20)), (255, 0, 0), 16)
    assert near(image.getpixel((300, 20)), (0, 255, 0), 16)
    assert near(image.getpixel((300, 140)), (0, 0, 255), 16)


@pytest.mark.parametrize("format_name", ["PNG", "TIFF"])
@pytest.mark.parametrize(("low", "high"), [(0, 65535), (0, 4095), (1000, 1200)])
def test_sixteen_bit_grey_is_stretched(format_name: str, low: int, high: int) -> None:
    """A ramp over any part of the range shows from black to white, and evenly."""
    ramp = np.linspace(low, high, 640).astype(np.uint16)
    image = shown(render(saved(Image.fromarray(np.tile(ramp, (400, 1))), format_name)))
    values = [image.getpixel((x, 100)) for x in range(0, 320, 40)]
    levels = [value[0] for value in values if isinstance(value, tuple)]
    assert levels == sorted(levels)
    assert levels[0] < 6
    assert abs(levels[4] - 128) < 6


def test_sixteen_bit_grey_of_one_value_is_black() -> None:
    image = Image.fromarray(np.full((100, 100), 5000, np.uint16))
    assert near(shown(render(saved(image, "PNG"))).getpixel((50, 50)), (0, 0, 0))


def test_float_and_thirty_two_bit_tiff() -> None:
    ramp = np.tile(np.linspace(0, 1, 100), (50, 1))
    for values in (ramp.astype(np.float32), (ramp * 1e6).astype(np.int32)):
        image = shown(render(saved(Image.fromarray(values), "TIFF")))
        first, last = image.getpixel((2, 20)), image.getpixel((97, 20))
        assert near(first, (5, 5, 5))
        assert near(last, (250, 250, 250))


def test_values_that_are_not_numbers() -> None:
    """A depth picture has NaN where nothing was measured."""
    values = np.tile(np.linspace(0, 1, 100, dtype=np.float32), (50, 1))
    values[:10] = np.nan
    values[10:12] = np.inf
    values[12:14] = -np.inf
    image = shown(render(saved(Image.fromarray(values), "TIFF")))
    first, last = image.getpixel((2, 40)), image.getpixel((97, 40))
    assert near(first, (5, 5, 5))
    assert near(last, (250, 250, 250))


def png16(pixels: np.ndarray[Any, Any]) -> bytes:
    """Return a PNG of 16 bits a channel, which Pillow does not write."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    height, width = pixels.shape[:2]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    header = struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


def test_sixteen_bit_colour() -> None:
    pixels = np.zeros((40, 60, 3), np.uint16)
    pixels[:] = (60_000, 20_000, 1_000)
    wanted = (60_000 >> 8, 20_000 >> 8, 1_000 >> 8)
    assert near(shown(render(png16(pixels))).getpixel((30, 20)), wanted)


def test_cmyk() -> None:
    data = saved(Image.new("CMYK", (100, 100), (0, 255, 255, 0)), "JPEG")
    rendered = render(data)
    red, green, blue = shown(rendered).getpixel((50, 50))  # type: ignore[misc]
    assert red > 200
    assert max(green, blue) < 60
    assert not rendered.original_displayable


def test_bilevel_and_palette() -> None:
    assert near(
        shown(render(saved(Image.new("1", (50, 50), 1), "PNG"))).getpixel((9, 9)), (255,) * 3
    )
    palette = Image.new("RGB", (50, 50), (10, 200, 90)).quantize(4)
    assert near(shown(render(saved(palette, "PNG"))).getpixel((9, 9)), (10, 200, 90))


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "RGB"])
def test_what_is_transparent_shows_a_neutral_ground(mode: str) -> None:
    """Half of the picture is opaque white, half lets the ground through."""
    image = Image.new("RGBA", (100, 100), (0, 0, 0, 0))
    image.paste((255, 255, 255, 255), (0, 0, 50, 100))
    options: dict[str, Any] = {}
    if mode == "LA":
        image = image.convert("LA")
    elif mode == "P":
        image = image.convert("RGB").quantize(2)
        black = image.getpixel((80, 50))
        options = {"transparency": black}
    elif mode == "RGB":
        image = image.convert("RGB")
        options = {"transparency": (0, 0, 0)}
    found = shown(render(saved(image, "PNG", **options)))
    assert near(found.getpixel((20, 50)), (255, 255, 255))
    assert near(found.getpixel((80, 50)), (128, 128, 128))


@pytest.mark.parametrize("format_name", ["GIF", "WEBP", "PNG"])
def test_an_animation_shows_its_first_frame(format_name: str) -> None:
    frames = [Image.new("RGB", (60, 40), color) for color in ((250, 0, 0), (0, 250, 0))]
    data = saved(frames[0], format_name, save_all=True, append_images=frames[1:])
    assert near(shown(render(data)).getpixel((30, 20)), (250, 0, 0))


def test_the_mean_colour() -> None:
    image = Image.new("RGB", (640, 480), (255, 0, 0))
    image.paste((0, 0, 255), (320, 0, 640, 480))
    red, green, blue = bytes.fromhex(render(saved(image, "PNG")).color[1:])
    assert near((red, green, blue), (128, 0, 128))
    grey = render(saved(Image.new("L", (10, 10), 77), "PNG"))
    assert grey.color == "#4d4d4d"


def test_no_metadata_is_passed_on() -> None:
    exif = Image.Exif()
    exif[0x010F] = "Camera of somebody"
    data = render(saved(Image.new("RGB", (50, 50)), "JPEG", exif=exif)).data
    assert b"Camera" not in data
    assert not Image.open(io.BytesIO(data)).getexif()


def header_of(width: int, height: int) -> bytes:
    """Return a PNG whose header promises a size and whose data is a few bytes of it."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    idat = chunk(b"IDAT", zlib.compress(bytes(100_000)))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + idat + chunk(b"IEND", b"")


@pytest.mark.parametrize("size", [(30_000, 30_000), (15_000, 13_334), (2**31 - 1, 2**31 - 1)])
def test_too_many_pixels_are_refused_by_the_header(size: tuple[int, int]) -> None:
    began = time.process_time()
    error = error_of(header_of(*size))
    assert error.reason is PreviewReason.TOO_LARGE
    assert time.process_time() - began < 0.5


def test_the_cap_on_pixels_is_the_operators() -> None:
    data = saved(Image.new("RGB", (100, 100)), "PNG")
    assert error_of(data, max_pixels=9_999).reason is PreviewReason.TOO_LARGE
    assert render(data, max_pixels=10_000).width == 100


@pytest.mark.parametrize("format_name", ["JPEG", "PNG", "WEBP", "TIFF", "GIF", "BMP", "JPEG2000"])
def test_a_file_that_is_cut_off(format_name: str) -> None:
    noise = np.random.default_rng(1).integers(0, 255, (200, 300, 3), np.uint8)
    data = saved(Image.fromarray(noise), format_name)
    for part in (0.02, 0.5, 0.9):
        assert error_of(data[: int(len(data) * part)]).reason is PreviewReason.CODEC


@pytest.mark.parametrize(
    ("data", "reason", "word"),
    [
        (b"", PreviewReason.NOT_AN_IMAGE, "empty"),
        (b"<!DOCTYPE html><html>", PreviewReason.NOT_AN_IMAGE, "web page"),
        (b"\xef\xbb\xbf\n <HTML>", PreviewReason.NOT_AN_IMAGE, "web page"),
        (b"<?xml version='1.0'?><svg/>", PreviewReason.NOT_AN_IMAGE, "SVG"),
        (b'{"error": "no"}', PreviewReason.NOT_AN_IMAGE, "JSON"),
        (b"%PDF-1.7", PreviewReason.NOT_AN_IMAGE, "PDF"),
        (b"\0\0\0\x20ftypisom" + bytes(99), PreviewReason.NOT_AN_IMAGE, "video"),
        (b"\0\0\0\x20ftypheic" + bytes(99), PreviewReason.CODEC, "HEIF"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", PreviewReason.NOT_AN_IMAGE, ""),
        (bytes(1000), PreviewReason.NOT_AN_IMAGE, ""),
        (random.Random(1).randbytes(5000), PreviewReason.NOT_AN_IMAGE, ""),
    ],
)
def test_what_is_no_picture(data: bytes, reason: PreviewReason, word: str) -> None:
    error = error_of(data)
    assert error.reason is reason
    assert word in error.detail


@pytest.mark.parametrize("format_name", ["JPEG", "PNG", "WEBP", "TIFF", "GIF", "BMP", "JPEG2000"])
def test_noise_in_a_file_never_escapes_as_another_error(format_name: str) -> None:
    noise = random.Random(3)
    whole = saved(Image.new("RGB", (64, 48), (1, 2, 3)), format_name)
    for _ in range(60):
        data = bytearray(whole)
        for _ in range(noise.randrange(1, 12)):
            data[noise.randrange(len(data))] = noise.randrange(256)
        with contextlib.suppress(MediaError):
            render(bytes(data), edge_px=16, max_pixels=1_000_000)


def test_a_reader_that_fails_says_why() -> None:
    """The network's own reason comes through Pillow unchanged."""

    class Failing(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            if self.tell() > 2000:
                raise MediaError(PreviewReason.TIMED_OUT, "too slow", retryable=True)
            return super().read(size)

    noise = np.random.default_rng(1).integers(0, 255, (200, 300, 3), np.uint8)
    with pytest.raises(MediaError) as caught:
        render_picture(
            Failing(saved(Image.fromarray(noise), "PNG")), edge_px=320, max_pixels=1_000_000
        )
    assert caught.value.reason is PreviewReason.TIMED_OUT
