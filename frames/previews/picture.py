"""Pictures by Pillow: bytes to bytes, nothing else."""

from __future__ import annotations

import struct
import warnings
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Final, TypeAlias, cast

import numpy as np
from PIL import Image, UnidentifiedImageError

from frames.media import MediaError
from frames.models import PreviewReason
from frames.previews.rendered import Rendered, encode, fit

if TYPE_CHECKING:
    from collections.abc import Iterator

MaskValue: TypeAlias = tuple[int | tuple[int, ...], ...]

# Pillow opens some thirty more, each a parser that a stranger's file could enter.
FORMATS: Final = (
    "JPEG",
    "PNG",
    "WEBP",
    "GIF",
    "TIFF",
    "BMP",
    "JPEG2000",
    "PPM",
    "AVIF",
)
_DISPLAYABLE_FORMATS: Final = frozenset({"JPEG", "MPO", "PNG", "WEBP", "GIF", "AVIF", "BMP"})
_DEEP_MODES: Final = frozenset({"I", "I;16", "I;16L", "I;16B", "I;16N"})
_DISPLAYABLE_MODES: Final = frozenset({"1", "L", "LA", "P", "PA", "RGB", "RGBA", "YCbCr"})
# What shows through: neither white nor black drawings vanish on it.
_BACKGROUND: Final = (128, 128, 128)
_ORIENTATION_TAG: Final = 0x0112
_UPRIGHT: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
# What Pillow's decoders raise on damaged files, beside OSError.
_DAMAGE: Final = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    LookupError,
    EOFError,
    ArithmeticError,
    AttributeError,
    NotImplementedError,
    struct.error,
)
_HEAD_BYTES: Final = 512
_MAGIC: Final = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"GIF8", "GIF"),
    (b"II*\x00", "TIFF"),
    (b"MM\x00*", "TIFF"),
    (b"BM", "BMP"),
    (b"\x00\x00\x00\x0cjP  ", "JPEG 2000"),
)


def _unidentified(head: bytes) -> MediaError:
    """Say what a file is that Pillow does not open, from its first bytes."""
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if not head:
        return MediaError(PreviewReason.NOT_AN_IMAGE, "The file is empty.")
    if text.startswith((b"<!doctype html", b"<html", b"<head", b"<body")):
        return MediaError(
            PreviewReason.NOT_AN_IMAGE, "The file is a web page: the address may need a sign-in."
        )
    if head[4:12] in {b"ftypheic", b"ftypheix", b"ftypmif1", b"ftypmsf1", b"ftyphevc"}:
        return MediaError(PreviewReason.CODEC, "HEIF pictures are not supported.")
    if head[4:8] == b"ftyp":
        return MediaError(PreviewReason.NOT_AN_IMAGE, "The file is a video.")
    for magic, name in _MAGIC:
        if head.startswith(magic):
            return MediaError(PreviewReason.CODEC, f"The {name} file is damaged.")
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return MediaError(PreviewReason.CODEC, "The WebP file is damaged.")
    if text.startswith((b"<?xml", b"<svg")):
        return MediaError(PreviewReason.NOT_AN_IMAGE, "The file is XML or a drawing (SVG).")
    if text.startswith((b"{", b"[")):
        return MediaError(PreviewReason.NOT_AN_IMAGE, "The file is JSON.")
    if head.startswith(b"%PDF"):
        return MediaError(PreviewReason.NOT_AN_IMAGE, "The file is a PDF.")
    return MediaError(PreviewReason.NOT_AN_IMAGE, "The file is none of the known picture formats.")


def _open(file: IO[bytes], max_pixels: int) -> Image.Image:
    # Pillow's own check comes while it opens; it must not be stricter than the operator, and its
    # error begins at twice the number. The exact check follows.
    Image.MAX_IMAGE_PIXELS = max_pixels
    try:
        image = Image.open(file, formats=FORMATS)
    except UnidentifiedImageError as error:
        file.seek(0)
        raise _unidentified(file.read(_HEAD_BYTES)) from error
    except Image.DecompressionBombError as error:
        raise MediaError(
            PreviewReason.TOO_LARGE,
            f"The picture has over {max_pixels / 1e6:g} million pixels, the limit.",
        ) from error
    width, height = image.size
    if width * height > max_pixels:
        image.close()
        raise MediaError(
            PreviewReason.TOO_LARGE,
            f"The picture has {width} x {height} pixels; "
            f"the limit is {max_pixels / 1e6:g} million.",
        )
    return image


@contextmanager
def _decoding() -> Iterator[None]:
    """Say what is wrong with a picture that Pillow fails on."""
    try:
        # What Pillow warns of is in the picture and not in the program.
        with warnings.catch_warnings(action="ignore"):
            yield
    except MediaError:
        raise
    except MemoryError as error:
        raise MediaError(PreviewReason.TOO_LARGE, "The picture needs too much memory.") from error
    except _DAMAGE as error:
        raise MediaError(
            PreviewReason.CODEC, "The picture is damaged or cut off, or its coding is unknown."
        ) from error


def _eight_bit(image: Image.Image) -> Image.Image:
    """Stretch a picture of 16-bit, 32-bit or float values from black to white.

    From its smallest to its largest value after scaling down: depth and thermal pictures, and
    cameras of 10, 12 or 14 bits in 16, use a small part of the range and would be black. What was
    not measured (NaN, infinite) is black.
    """
    values = np.asarray(image, np.float64)
    measured = np.isfinite(values)
    low = values.min(where=measured, initial=np.inf)
    high = values.max(where=measured, initial=-np.inf)
    scale = 255 / (high - low) if high > low else 0.0
    stretched = np.subtract(values, low, where=measured, out=np.zeros_like(values)) * scale
    return Image.fromarray(stretched.astype(np.uint8))


def _prepare(image: Image.Image) -> Image.Image:
    """Return the picture in a mode that can be scaled."""
    if image.mode in {"L", "RGB", "RGBA", "CMYK", "F"}:
        if "transparency" in image.info and image.mode in {"L", "RGB"}:
            return image.convert("RGBA")
        return image
    if image.mode in _DEEP_MODES:
        return image.convert("F")
    if image.mode == "1":
        return image.convert("L")
    if image.mode in {"LA", "La", "PA", "RGBa"} or "transparency" in image.info:
        return image.convert("RGBA")
    return image.convert("RGB")


def _finish(image: Image.Image) -> Image.Image:
    """Return the scaled picture as L or RGB."""
    if image.mode == "F":
        return _eight_bit(image)
    if image.mode == "RGBA":
        background = Image.new("RGB", image.size, _BACKGROUND)
        background.paste(image, mask=image.getchannel("A"))
        return background
    if image.mode == "CMYK":
        return image.convert("RGB")
    return image


def pixel_values(file: IO[bytes], *, max_pixels: int, most: int) -> list[MaskValue] | None:
    """Return the different values of a mask's pixels, each in all the ways to write it.

    A grey one is a number and three equal ones, one of a palette its index and its colour as
    (red, green, blue). Transparent pixels have no value. None where there are over `most`.

    Raises:
        MediaError: TOO_LARGE before a pixel is decoded, NOT_AN_IMAGE, or CODEC.
    """
    with _decoding(), _open(file, max_pixels) as image:
        if image.mode in _DEEP_MODES:
            numbers = np.unique(np.asarray(image)).tolist()
            return [(number,) for number in numbers] if len(numbers) <= most else None
        picture = image if image.mode in {"1", "L", "P"} else image.convert("RGBA")
        found = picture.getcolors(most + 1)
        if found is None or len(found) > most:
            return None
        if picture.mode == "RGBA":
            colors = [cast("tuple[int, ...]", color) for _, color in found]
            return [
                (color[:3], color[0]) if color[0] == color[1] == color[2] else (color[:3],)
                for color in colors
                if color[3]
            ]
        values = [cast("int", value) for _, value in found]
        if picture.mode == "P":
            palette = picture.getpalette("RGB") or []
            return [(value, tuple(palette[3 * value : 3 * value + 3])) for value in values]
        if picture.mode == "1":
            return [(value, value // 255) for value in values]
        return [(value, (value, value, value)) for value in values]


def render_picture(file: IO[bytes], *, edge_px: int, max_pixels: int) -> Rendered:
    """Render a picture's first frame, upright, with `edge_px` as its long side at most.

    Cost: a JPEG is decoded at the eighth of the resolution that is nearest above what is wanted;
    every other format in full.

    Raises:
        MediaError: TOO_LARGE before a pixel is decoded, NOT_AN_IMAGE, or CODEC.
    """
    with _decoding(), _open(file, max_pixels) as image:
        width, height = image.size
        target = fit(width, height, edge_px)
        displayable = image.format in _DISPLAYABLE_FORMATS and image.mode in _DISPLAYABLE_MODES
        # To the target itself, not to a multiple: twice as fast (decision 0005).
        image.draft(None, target)
        image.load()
        # Only now: Pillow turns TIFFs itself as it loads them, and takes the tag away.
        transpose = _UPRIGHT.get(image.getexif().get(_ORIENTATION_TAG, 1))
        scaled = _prepare(image)
        if scaled.size != target:
            scaled = scaled.resize(target, Image.Resampling.LANCZOS, reducing_gap=2.0)
    upright = _finish(scaled)
    if transpose is not None:
        upright = upright.transpose(transpose)
        if transpose in {
            Image.Transpose.ROTATE_90,
            Image.Transpose.ROTATE_270,
            Image.Transpose.TRANSPOSE,
            Image.Transpose.TRANSVERSE,
        }:
            width, height = height, width
    return encode(upright, original=(width, height), original_displayable=displayable)
