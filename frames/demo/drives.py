"""Two short drives through the demo's street, each filmed to the front and to the rear."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from frames.demo.films import FPS, film
from frames.demo.geometry import Camera
from frames.demo.labels import MASK_ID, mask_labels, regions
from frames.demo.moods import CLEAR, RAIN, Mood
from frames.demo.painter import paint
from frames.demo.street import LANE_M, build_street

if TYPE_CHECKING:
    from pathlib import Path

WIDTH_PX: Final = 1280
HEIGHT_PX: Final = 720
FRAMES: Final = 60
CAMERAS: Final = ("front", "rear")


@dataclass(frozen=True, slots=True)
class Drive:
    """One drive: where, when, and how fast it starts and gains speed (m/s and m/s²)."""

    name: str
    city: str
    split: str
    mood: Mood
    seed: int
    speed: float
    gain: float

    def z_at(self, time_s: float) -> float:
        """Return how far along the road the car is, in metres."""
        return self.speed * time_s + self.gain * time_s**2 / 2

    def velocity_at(self, time_s: float) -> float:
        """Return its speed in km/h."""
        return round((self.speed + self.gain * time_s) * 3.6, 1)


DRIVES: Final = (
    Drive("morning", "Utrecht", "train", CLEAR, seed=7, speed=11.5, gain=0.5),
    Drive("rainy-dusk", "Leipzig", "val", RAIN, seed=23, speed=12.5, gain=-0.6),
)


def time_ms(number: int) -> float:
    """Return when frame `number` is shown, in milliseconds."""
    return round(number * 1000 / FPS, 3)


def make_film(drive: Drive, camera: str, folder: Path, frames: int = FRAMES) -> None:
    """Film a drive with one camera: `<camera>.mp4`, its mask and, last, `<camera>.json`.

    Does nothing where the last is there: then all are.
    """
    done = folder / f"{camera}.json"
    if done.exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    street = build_street(
        drive.seed, ego_speed=drive.speed, lit_share=drive.mood.lit_share, start=-140, end=300
    )
    seen = []
    with (
        film(folder / f"{camera}.mp4", WIDTH_PX, HEIGHT_PX) as pictures,
        film(folder / f"{camera}_mask.mp4", WIDTH_PX, HEIGHT_PX, lossless=True) as masks,
    ):
        for number in range(frames):
            time_s = number / FPS
            place = Camera(
                x=LANE_M / 2,
                y=1.45,
                z=drive.z_at(time_s),
                width=WIDTH_PX,
                height=HEIGHT_PX,
                focal_px=820,
                horizon=0.47,
                backward=camera == "rear",
            )
            view = paint(street, place, drive.mood, time_s, bonnet=camera == "front")
            pictures.add(view.picture)
            masks.add_classes(view.classes)
            seen.append(regions(view, camera))
    unfinished = folder / f"{camera}.{os.getpid()}.unfinished"
    unfinished.write_text(json.dumps(seen))
    os.replace(unfinished, done)


def manifest(folder: Path, frames: int = FRAMES) -> dict[str, Any]:
    """Return the SingleFrame manifest of the drives whose films are in `folder`."""
    found = []
    for drive in DRIVES:
        rois = {
            camera: json.loads((folder / drive.name / f"{camera}.json").read_text())
            for camera in CAMERAS
        }
        for number in range(frames):
            time = time_ms(number)
            found.append(
                {
                    "context_id": f"demo/{drive.name}",
                    "timestamp": time,
                    "meta": {
                        "city": drive.city,
                        "weather": drive.mood.weather,
                        "time_of_day": drive.mood.time_of_day,
                        "split": drive.split,
                        "velocity": drive.velocity_at(number / FPS),
                    },
                    "sources": [_source(drive, camera, time) for camera in CAMERAS],
                    "rois": [
                        # Of the instant, so of both cameras.
                        {"label": [drive.mood.weather], "sources": list(CAMERAS)},
                        *(roi for camera in CAMERAS for roi in rois[camera][number]),
                    ],
                }
            )
    return {
        "dataset": {
            "name": "Demo drive",
            "description": "Two drives through a rendered street, to the front and to the rear.",
            "tags": ["demo", "video", "segmentation"],
        },
        "version": {"name": "Current", "metadata": mask_labels()},
        "frames": found,
    }


def _source(drive: Drive, camera: str, time: float) -> dict[str, Any]:
    return {
        "id": camera,
        "uri": f"{drive.name}/{camera}.mp4",
        "content_type": "video/mp4",
        "width": WIDTH_PX,
        "height": HEIGHT_PX,
        "timestamp": time,
        "meta": {"fov_deg": 76, "angle": 0 if camera == "front" else 180},
        "masks": [
            {
                "id": MASK_ID,
                "uri": f"{drive.name}/{camera}_mask.mp4",
                "content_type": "video/mp4",
                "timestamp": time,
            }
        ],
    }
