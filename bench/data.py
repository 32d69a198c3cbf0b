"""The benchmark's dataset: a million driving frames, made up but shaped like real ones.

Contexts of 100 frames at 30 fps, 5 regions a frame, 80 labels of very different frequency,
five metadata keys; about 1 KB of JSON a frame. Frame n is the same on every machine.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any, Final

import orjson

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FRAMES_PER_CONTEXT: Final = 100
REGIONS_PER_FRAME: Final = 5
LABELS: Final = [f"class_{number:02d}" for number in range(80)]
WEATHER: Final = ["clear", "clouds", "rain", "fog", "snow"]
CITIES: Final = [f"city_{number:02d}" for number in range(50)]
SPLITS: Final = ["train", "train", "train", "val", "test"]

# Zipf's law: the most common label is on most frames, the rarest on one in a few thousand.
_WEIGHTS: Final = [1 / (rank + 1) ** 1.2 for rank in range(len(LABELS))]


def frame(number: int, chance: random.Random) -> dict[str, Any]:
    """Return frame `number` as SingleFrame JSON."""
    context, place = divmod(number, FRAMES_PER_CONTEXT)
    stamp = round(place * 1000 / 30)
    uri = f"https://media.example.com/drives/{context % 97:02d}/drive_{context:07d}.mp4"
    rois = []
    for label in chance.choices(LABELS, _WEIGHTS, k=REGIONS_PER_FRAME):
        x, y = chance.randrange(1100), chance.randrange(600)
        w, h = chance.randrange(8, 180), chance.randrange(8, 120)
        # A tenth of the regions has two labels: the next in the list beside its own.
        second = [LABELS[(LABELS.index(label) + 1) % len(LABELS)]] if x % 10 == 0 else []
        rois.append(
            {
                "label": [label, *second],
                "poly": [x, y, x + w, y, x + w, y + h, x, y + h],
                "confidence": round(chance.random(), 4),
                "sources": ["front"],
                "meta": {"_type": "b2d"},
            }
        )
    return {
        "id": f"{number:08d}-front-camera",
        "context_id": f"drive_{context:07d}",
        "timestamp": stamp,
        "meta": {
            "weather": WEATHER[context * 7919 % len(WEATHER)],
            "city": CITIES[context * 104729 % len(CITIES)],
            "split": SPLITS[context * 15485863 % len(SPLITS)],
            "velocity": round(chance.gauss(50, 15), 2),
            "frame_number": place,
        },
        "sources": [
            {
                "id": "front",
                "uri": uri,
                "content_type": "video/mp4",
                "width": 1280,
                "height": 720,
                "timestamp": stamp,
            }
        ],
        "rois": rois,
    }


def frames(count: int, first: int = 0) -> Iterator[dict[str, Any]]:
    """Yield `count` frames from number `first` on."""
    chance = random.Random(first)
    for number in range(first, first + count):
        yield frame(number, chance)


def write_manifest(path: Path, count: int, first: int = 0) -> int:
    """Write a manifest of `count` frames as one JSON object; return its size in bytes."""
    with path.open("wb") as file:
        file.write(b'{"dataset": {"name": "Bench"}, "version": {"name": "Bench"}, "frames": [\n')
        for number, value in enumerate(frames(count, first)):
            file.write(b",\n" if number else b"")
            file.write(orjson.dumps(value))
        file.write(b"\n]}\n")
        return file.tell()
