"""A rendered preview, and the steps that pictures and video frames share."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Final

from PIL import Image

# Measured in docs/decisions/0005-preview-format.md.
JPEG_QUALITY: Final = 80


@dataclass(frozen=True, slots=True)
class Rendered:
    """A preview's JPEG and what is known of it.

    Sizes are in pixels, of the preview and of what it was made from, both upright;
    `original_displayable` says whether a browser shows the original as it is; `color` is the mean
    colour as #rrggbb.
    """

    data: bytes
    width: int
    height: int
    original_width: int
    original_height: int
    original_displayable: bool
    color: str


def fit(width: int, height: int, edge_px: int) -> tuple[int, int]:
    """Return the size with `edge_px` as its long side; never larger than it was."""
    long_side = max(width, height)
    if long_side <= edge_px:
        return width, height
    return (
        max(1, round(width * edge_px / long_side)),
        max(1, round(height * edge_px / long_side)),
    )


def encode(
    image: Image.Image, *, original: tuple[int, int], original_displayable: bool
) -> Rendered:
    """Write a picture of mode L or RGB, in its final size and upright."""
    mean = image.reduce(image.size).getpixel((0, 0))
    red, green, blue = mean if isinstance(mean, tuple) else (mean, mean, mean)
    file = io.BytesIO()
    image.save(file, "JPEG", quality=JPEG_QUALITY)
    return Rendered(
        data=file.getvalue(),
        width=image.width,
        height=image.height,
        original_width=original[0],
        original_height=original[1],
        original_displayable=original_displayable,
        color=f"#{red:02x}{green:02x}{blue:02x}",
    )
