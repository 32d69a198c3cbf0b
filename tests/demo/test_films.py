"""The demo's videos and pictures hold what their labels say."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import av
import numpy as np
import pytest
from PIL import Image, ImageOps

from frames.demo import drives, stills
from frames.demo.films import film
from frames.demo.painter import CLASSES
from frames.formats.singleframe import parse_frame

if TYPE_CHECKING:
    from pathlib import Path

FRAMES = 4


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the first few frames of each drive."""
    folder = tmp_path_factory.mktemp("drives")
    for drive in drives.DRIVES:
        for camera in drives.CAMERAS:
            drives.make_film(drive, camera, folder / drive.name, frames=FRAMES)
    return folder


def number_of(color: tuple[int, int, int]) -> int:
    """Return a colour as one number."""
    red, green, blue = color
    return red << 16 | green << 8 | blue


def test_the_films_are_what_the_manifest_says(folder: Path) -> None:
    for frame in drives.manifest(folder, frames=FRAMES)["frames"]:
        for source in frame["sources"]:
            with av.open(folder / source["uri"]) as container:
                stream = container.streams.video[0]
                assert stream.codec_context.name == "h264"
                assert stream.average_rate == 30
                assert (stream.codec_context.width, stream.codec_context.height) == (
                    source["width"],
                    source["height"],
                )
                times = [picture.time for picture in container.decode(stream)]
            assert any(abs((time or 0) * 1000 - source["timestamp"]) < 0.01 for time in times)
            assert len(times) == FRAMES


def test_a_mask_has_the_colours_of_its_legend_and_no_other(folder: Path) -> None:
    legend = {number_of(color) for _, color in CLASSES.values()}
    for path in folder.rglob("*_mask.mp4"):
        with av.open(path) as container:
            pictures = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
        assert len(pictures) == FRAMES
        colors = set(np.unique(np.stack(pictures) @ np.array([1 << 16, 1 << 8, 1])).tolist())
        assert colors <= legend
        assert len(colors) > 8


def test_the_manifest_is_valid(folder: Path) -> None:
    manifest = drives.manifest(folder, frames=FRAMES)
    frames = [parse_frame(frame, (folder / "frames.json").as_uri()) for frame in manifest["frames"]]
    assert {frame.context_id for frame in frames} == {"demo/morning", "demo/rainy-dusk"}
    assert [frame.timestamp for frame in frames[:FRAMES]] == [0.0, 33.333, 66.667, 100.0]
    assert all(
        [source.source_id for source in frame.sources] == ["front", "rear"] for frame in frames
    )
    assert {key for frame in frames for key in frame.meta} == {
        "city",
        "weather",
        "time_of_day",
        "split",
        "velocity",
    }


def test_a_film_that_is_there_is_not_made_again(folder: Path) -> None:
    path = folder / "morning" / "front.mp4"
    before = path.stat().st_mtime_ns
    drives.make_film(drives.DRIVES[0], "front", folder / "morning", frames=FRAMES)
    assert path.stat().st_mtime_ns == before


def test_a_film_that_breaks_off_leaves_no_file_of_its_name(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"

    def break_off() -> None:
        with film(path, 64, 48) as pictures:
            pictures.add(Image.new("RGB", (64, 48)))
            raise InterruptedError

    with pytest.raises(InterruptedError):
        break_off()
    assert not path.exists()


@pytest.mark.parametrize("width", [64, 70])
def test_a_film_keeps_each_class_of_any_width(tmp_path: Path, width: int) -> None:
    path = tmp_path / "mask.mp4"
    chance = np.random.default_rng(1)
    classes = chance.integers(0, len(CLASSES), (48, width), dtype=np.uint8)
    with film(path, width, 48, lossless=True) as masks:
        masks.add_classes(Image.fromarray(classes))
    with av.open(path) as container:
        (picture,) = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    colors = np.array([color for _, color in CLASSES.values()], dtype=np.uint8)
    assert (picture == colors[classes]).all()


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with stills of every kind."""
    folder = tmp_path_factory.mktemp("stills")
    stills.make_batch(folder, 0, 14)
    return folder


def test_stills_are_of_many_kinds(pictures: Path) -> None:
    frames = stills.manifest(pictures)["frames"]
    kinds = {frame["meta"]["file"] for frame in frames}
    assert len(kinds) == 11
    modes = set()
    for frame in frames:
        with Image.open(pictures / frame["sources"][0]["uri"]) as picture:
            modes.add((picture.format, picture.mode))
    assert {
        ("JPEG", "RGB"),
        ("JPEG", "CMYK"),
        ("JPEG", "L"),
        ("PNG", "RGBA"),
        ("PNG", "P"),
        ("WEBP", "RGB"),
        ("TIFF", "I;16"),
        ("GIF", "P"),
    } <= modes


def test_a_still_has_its_size_once_it_is_upright(pictures: Path) -> None:
    for frame in stills.manifest(pictures)["frames"]:
        source = frame["sources"][0]
        with Image.open(pictures / source["uri"]) as picture:
            upright = ImageOps.exif_transpose(picture)
            assert upright.size == (source["width"], source["height"])


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_turned_picture_is_the_same_once_it_is_upright(tmp_path: Path, orientation: int) -> None:
    picture = Image.effect_noise((40, 24), 90).resize((320, 192)).convert("RGB")
    path = tmp_path / "a.jpg"
    stills.write(picture, path, "JPEG turned by EXIF", orientation)
    with Image.open(path) as stored:
        assert stored.getexif().get(0x0112, 1) == orientation
        upright = ImageOps.exif_transpose(stored).convert("RGB")
    difference = np.asarray(upright, dtype=int) - np.asarray(picture, dtype=int)
    assert upright.size == picture.size
    assert np.abs(difference).mean() < 12


def test_batches_are_complete_or_absent(pictures: Path) -> None:
    (path,) = pictures.glob("batch_*")
    assert len(json.loads(path.read_text())) == 14
    assert not list(pictures.glob("*.unfinished"))
