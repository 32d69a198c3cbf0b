"""Which reader an input gets, and what folders give."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image

from frames.formats import registry
from frames.formats.base import FormatError
from frames.formats.coco import CocoReader
from frames.formats.folder import PICTURE_TYPES
from frames.formats.manifest import ManifestReader
from frames.formats.registry import FORMATS, open_reader
from frames.formats.video import CONTENT_TYPES
from frames.media import MediaError, MediaPolicy
from frames.models import PreviewReason
from tests.formats.test_video import make_video

if TYPE_CHECKING:
    from frames.formats.base import FrameData

DOCUMENT = Path(registry.__file__).parent.parent.parent / "docs" / "formats.md"


@pytest.fixture
def policy(tmp_path: Path) -> MediaPolicy:
    return MediaPolicy(allow=(tmp_path.as_uri(),))


def write(path: Path, value: Any) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(value if isinstance(value, str) else json.dumps(value))
    return path.as_uri()


def picture(path: Path) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (4, 3)).save(path)
    return path.as_uri()


def frames(uri: str, policy: MediaPolicy, **options: Any) -> list[FrameData]:
    items = list(open_reader(uri, policy, options))
    assert [item.problem for item in items] == [None] * len(items)
    assert [item.index for item in items] == list(range(len(items)))
    return [item.frame for item in items if item.frame]


COCO = {"images": [{"id": 1, "file_name": "a.jpg"}], "annotations": [], "categories": []}


@pytest.mark.parametrize(
    ("name", "value", "kind"),
    [
        ("a.json", {"frames": []}, ManifestReader),
        ("a.json", [], ManifestReader),
        ("a.jsonl", '{"sources": []}\n', ManifestReader),
        ("no_extension", {"frames": []}, ManifestReader),
        ("a.json", COCO, CocoReader),
        ("a.json", {"info": {"year": 2017}, "licenses": [], **COCO}, CocoReader),
        ("a.json", {"annotations": [{}]}, CocoReader),
        ("a.json", {"images": [{"url": "x"}], "pcd": {"url": "y"}}, ManifestReader),
        ("a.json", {"info": {}, "frames": []}, ManifestReader),
        ("a.json", "not json", ManifestReader),
    ],
    ids=range(10),
)
def test_chooses_by_what_is_in_the_file(
    tmp_path: Path, policy: MediaPolicy, name: str, value: Any, kind: type
) -> None:
    assert type(open_reader(write(tmp_path / name, value), policy, {})) is kind


def test_a_coco_file_whose_first_list_is_long(tmp_path: Path, policy: MediaPolicy) -> None:
    licenses = [{"id": number, "name": "x" * 1000} for number in range(500)]
    uri = write(tmp_path / "a.json", {"licenses": licenses, **COCO})
    assert type(open_reader(uri, policy, {})) is CocoReader


def test_coco_pictures_may_lie_elsewhere(tmp_path: Path, policy: MediaPolicy) -> None:
    uri = write(tmp_path / "annotations" / "a.json", COCO)
    images = (tmp_path / "images").as_uri()
    (frame,) = frames(uri, policy, images=images)
    assert frame.sources[0].uri == f"{images}/a.jpg"


def test_a_path_is_enough(tmp_path: Path, policy: MediaPolicy) -> None:
    picture(tmp_path / "a b.png")
    (frame,) = frames(str(tmp_path / "a b.png"), policy)
    assert frame.sources[0].uri == (tmp_path / "a b.png").as_uri()


@pytest.mark.parametrize("slash", ["", "/"])
def test_a_folder_is_read_with_the_folders_in_it(
    tmp_path: Path, policy: MediaPolicy, slash: str
) -> None:
    picture(tmp_path / "b.PNG")
    picture(tmp_path / "day" / "a #1 100%.jpg")
    picture(tmp_path / "day" / "deep" / "ü.webp")
    picture(tmp_path / "day" / ".hidden.png")
    write(tmp_path / "notes.txt", "notes")
    found = frames(tmp_path.as_uri() + slash, policy)
    assert [frame.meta for frame in found] == [
        {"path": "b.PNG"},
        {"path": "day/a #1 100%.jpg", "folder": "day"},
        {"path": "day/deep/ü.webp", "folder": "day/deep"},
    ]
    assert [frame.sources[0].content_type for frame in found] == [
        "image/png",
        "image/jpeg",
        "image/webp",
    ]
    assert all(frame.context_id == frame.sources[0].uri for frame in found)
    assert len({frame.context_id for frame in found}) == 3


def test_a_folder_with_a_manifest_is_that_manifest(tmp_path: Path, policy: MediaPolicy) -> None:
    picture(tmp_path / "a.png")
    picture(tmp_path / "masks" / "a.png")
    write(tmp_path / "frames.json", {"frames": [{"id": "x", "sources": [{"uri": "a.png"}]}]})
    assert [frame.frame_id for frame in frames(tmp_path.as_uri(), policy)] == ["x"]


def test_videos_are_the_contexts_of_their_frames(tmp_path: Path, policy: MediaPolicy) -> None:
    for name in ("one", "two"):
        (tmp_path / f"{name}.mp4").write_bytes(make_video(range(0, 2000, 40)))
    found = frames(tmp_path.as_uri(), policy, every_ms=500)
    assert [frame.timestamp for frame in found] == [0, 520, 1000, 1520] * 2
    assert {frame.context_id for frame in found} == {
        (tmp_path / f"{name}.mp4").as_uri() for name in ("one", "two")
    }
    source = found[1].sources[0]
    assert (source.timestamp, source.width, source.height) == (520, 64, 48)
    assert source.content_type == "video/mp4"


def test_a_damaged_video_does_not_stop_the_folder(tmp_path: Path, policy: MediaPolicy) -> None:
    write(tmp_path / "bad.mp4", "<html></html>")
    (tmp_path / "good.mp4").write_bytes(make_video([0]))
    items = list(open_reader(tmp_path.as_uri(), policy, {}))
    assert [item.frame is not None for item in items] == [False, True]
    assert items[0].problem is not None
    assert items[0].problem.path == "bad.mp4"


def test_a_folder_without_pictures_says_what_can_be_read(
    tmp_path: Path, policy: MediaPolicy
) -> None:
    write(tmp_path / "notes.txt", "notes")
    with pytest.raises(FormatError, match=r"which holds 1 of another kind.*\.jpg"):
        list(open_reader(tmp_path.as_uri(), policy, {}))


@pytest.mark.parametrize("name", ["missing", "missing/", "missing.json", "missing.mp4"])
def test_what_is_not_there_is_not_found(tmp_path: Path, policy: MediaPolicy, name: str) -> None:
    if name.endswith("mp4"):
        (item,) = open_reader(f"{tmp_path.as_uri()}/{name}", policy, {})
        assert item.problem is not None
        assert "No file" in item.problem.reason
        return
    with pytest.raises(MediaError) as caught:
        list(open_reader(f"{tmp_path.as_uri()}/{name}", policy, {}))
    assert caught.value.reason is PreviewReason.NOT_FOUND


@pytest.mark.parametrize("name", ["", "a.json", "sub/"])
def test_what_is_not_allowed_is_not_read(tmp_path: Path, name: str) -> None:
    policy = MediaPolicy(allow=("file:///srv/elsewhere",))
    write(tmp_path / "a.json", [])
    with pytest.raises(MediaError) as caught:
        list(open_reader(f"{tmp_path.as_uri()}/{name}", policy, {}))
    assert caught.value.reason is PreviewReason.NOT_ALLOWED


def test_every_format_and_extension_is_documented() -> None:
    text = DOCUMENT.read_text()
    headings = [line.removeprefix("## ") for line in text.splitlines() if line.startswith("## ")]
    assert [one.title for one in FORMATS] == [
        h for h in headings if h in {f.title for f in FORMATS}
    ]
    for one in FORMATS:
        assert f"`{one.name}`" in text
    for suffix in (*PICTURE_TYPES, *CONTENT_TYPES):
        assert f"`{suffix}`" in text
    for option in ("every_frames", "every_ms", "images"):
        assert f"`{option}`" in text


@pytest.mark.shared_data
@pytest.mark.parametrize(
    ("name", "count"),
    [("camvid", 84), ("camvid/images", 84), ("nuscenes/sample.json", 1), ("photos", 2)],
)
def test_reads_the_sample_data(shared_data: Path, name: str, count: int) -> None:
    policy = MediaPolicy(allow=(shared_data.as_uri(),))
    assert len(frames((shared_data / name).as_uri(), policy)) == count


@pytest.mark.shared_data
def test_pictures_copied_elsewhere_have_ids_of_their_own(
    shared_data: Path, tmp_path: Path, policy: MediaPolicy
) -> None:
    shutil.copytree(shared_data / "photos", tmp_path / "a")
    shutil.copytree(shared_data / "photos", tmp_path / "b")
    assert len({frame.context_id for frame in frames(tmp_path.as_uri(), policy)}) == 4
