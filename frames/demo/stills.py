"""Still pictures of the demo's street: all the sizes and kinds of files that people have."""

from __future__ import annotations

import json
import os
import random
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from PIL import Image

from frames.demo.geometry import Camera
from frames.demo.labels import regions
from frames.demo.moods import MOODS
from frames.demo.painter import CLASSES, View, paint
from frames.demo.street import LANE_M, ROAD_EDGE_M, VEHICLES, build_street

if TYPE_CHECKING:
    from pathlib import Path

# A batch is made by one process, so that several can share the work.
BATCHES: Final = 9
STILLS_A_BATCH: Final = 24

_SIZES: Final = (
    (1280, 720),
    (640, 480),
    (800, 600),
    (600, 900),
    (640, 640),
    (1400, 480),
    (480, 320),
    (540, 960),
    (1080, 720),
    (320, 240),
)
_LARGE: Final = (2400, 1600)
# With the sizes and moods these give ten skies, each drawn once and used again.
_HORIZONS: Final = (0.42, 0.47, 0.53, 0.44, 0.5)
_CITIES: Final = ("Utrecht", "Leipzig", "Graz", "Lyon", "Porto")
# Extension, content type and what is special about the file.
_KINDS: Final = (
    ("jpg", "image/jpeg", "JPEG"),
    ("png", "image/png", "PNG"),
    ("webp", "image/webp", "WebP"),
    ("jpg", "image/jpeg", "JPEG turned by EXIF"),
    ("tif", "image/tiff", "16-bit TIFF"),
    ("jpg", "image/jpeg", "JPEG"),
    ("png", "image/png", "PNG with alpha"),
    ("jpg", "image/jpeg", "CMYK JPEG"),
    ("png", "image/png", "palette PNG"),
    ("jpg", "image/jpeg", "JPEG turned by EXIF"),
    ("webp", "image/webp", "lossless WebP"),
    ("jpg", "image/jpeg", "grey JPEG"),
    ("gif", "image/gif", "GIF"),
)
# How a picture must be stored so that a viewer who heeds the EXIF orientation sees it upright.
_STORED_AS: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}
_EXIF_ORIENTATION: Final = 0x0112


def make_batch(folder: Path, batch: int, stills: int = STILLS_A_BATCH) -> None:
    """Make one batch of stills and, last, `batch_<n>.json` with their frames."""
    done = folder / f"batch_{batch:02d}.json"
    if done.exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    made = [_make(folder, batch * STILLS_A_BATCH + number) for number in range(stills)]
    unfinished = folder / f"batch_{batch:02d}.{os.getpid()}.unfinished"
    unfinished.write_text(json.dumps(made))
    os.replace(unfinished, done)


def manifest(folder: Path) -> dict[str, Any]:
    """Return the SingleFrame manifest of all batches in `folder`."""
    frames = []
    for path in sorted(folder.glob("batch_*.json")):
        frames += json.loads(path.read_text())
    return {
        "dataset": {
            "name": "Demo stills",
            "description": "Rendered street pictures in many sizes and kinds of files.",
            "tags": ["demo", "pictures"],
        },
        "version": {"name": "Current"},
        "frames": frames,
    }


def _make(folder: Path, number: int) -> dict[str, Any]:
    """Draw and write one still; return its frame."""
    chance = random.Random(f"still {number}")  # noqa: S311  a drawing, not a secret
    suffix, content_type, kind = _KINDS[number % len(_KINDS)]
    mood = MOODS[number * 3 % len(MOODS)]
    width, height = _LARGE if number % 80 == 40 else _SIZES[number * 7 % len(_SIZES)]
    street = build_street(
        100 + number % 12, ego_speed=11, lit_share=mood.lit_share, start=-60, end=200
    )
    on_pavement = chance.random() < 0.35
    camera = Camera(
        x=chance.choice((-1, 1)) * (ROAD_EDGE_M + 0.6) if on_pavement else LANE_M / 2,
        y=chance.uniform(1.4, 1.8),
        z=chance.uniform(0, 40),
        width=width,
        height=height,
        focal_px=max(width, height) * chance.uniform(0.6, 0.95),
        horizon=_HORIZONS[number % len(_HORIZONS)],
        backward=chance.random() < 0.4,
    )
    view = paint(street, camera, mood, chance.uniform(0, 3))
    name = f"still_{number:03d}.{suffix}"
    orientation = 1 + number // len(_KINDS) % 8 if kind.endswith("EXIF") else 1
    if kind == "PNG with alpha":
        view.picture.putalpha(_cut_out(view))
    write(view.picture, folder / name, kind, orientation)
    meta = {
        "city": _CITIES[number % len(_CITIES)],
        "weather": mood.weather,
        "time_of_day": mood.time_of_day,
        "split": chance.choices(("train", "val", "test"), (7, 2, 1))[0],
        "file": kind,
    }
    if orientation > 1:
        meta["exif_orientation"] = str(orientation)
    source = {
        "id": "default",
        "uri": name,
        "content_type": content_type,
        "width": width,
        "height": height,
        "timestamp": 0,
    }
    return {
        "timestamp": 0,
        "meta": meta,
        "sources": [source],
        "rois": regions(view, "default", masks=False),
    }


def _cut_out(view: View) -> Image.Image:
    """Return what of a picture is kept where only things and trees are to be seen."""
    kept = [0] * 256
    for name in (*VEHICLES, "pedestrian", "bicyclist", "traffic light", "traffic sign", "tree"):
        kept[CLASSES[name][0]] = 255
    return view.classes.point(kept)


def write(picture: Image.Image, path: Path, kind: str, orientation: int) -> None:
    """Store a picture as one of the kinds of files; it looks the same to who heeds EXIF."""
    if kind == "16-bit TIFF":
        # As a thermal camera gives: bright is warm, with its noise.
        noise = np.random.default_rng(0).normal(0, 320, (picture.height, picture.width))
        grey = np.asarray(picture.convert("L"), dtype=np.float64) * 257
        Image.fromarray(np.clip(grey + noise, 0, 65535).astype(np.uint16)).save(path)
    elif kind == "CMYK JPEG":
        picture.convert("CMYK").save(path, quality=88)
    elif kind in ("palette PNG", "GIF"):
        picture.quantize(96).save(path)
    elif kind == "grey JPEG":
        picture.convert("L").save(path, quality=88)
    elif kind == "lossless WebP":
        picture.save(path, lossless=True, method=0)
    elif orientation > 1:
        exif = Image.Exif()
        exif[_EXIF_ORIENTATION] = orientation
        picture.transpose(_STORED_AS[orientation]).save(path, quality=88, exif=exif)
    elif kind in ("PNG", "PNG with alpha"):
        picture.save(path)
    else:
        picture.save(path, quality=88)
