"""The demo is made once, whatever comes between."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from frames.actions import imports
from frames.demo import drives, stills
from frames.demo.make import demo_dir, make_demo
from frames.demo.people import PROJECT_NAME, ensure_people
from frames.models import Dataset, Frame, Grant, Job, Project

if TYPE_CHECKING:
    from pathlib import Path

FRAMES = 3


@pytest.fixture
def folder(tmp_path: Path, settings: Any) -> Path:
    """The demo's folder, in a state folder of this test's own."""
    settings.VAR_DIR = tmp_path
    return demo_dir()


def make() -> list[str]:
    """Make a small demo; return what was said."""
    said: list[str] = []
    make_demo(said.append, frames=FRAMES, batches=1)
    return said


@pytest.mark.django_db(transaction=True)
def test_makes_two_example_datasets_and_the_second_time_nothing(folder: Path) -> None:
    make()
    found = {dataset.name: dataset for dataset in Dataset.objects.all()}
    assert set(found) == {"Demo drive", "Demo stills"}
    assert all(dataset.is_example for dataset in found.values())
    counts = {name: dataset.versions.get().frame_count for name, dataset in found.items()}
    assert counts == {
        "Demo drive": FRAMES * len(drives.DRIVES),
        "Demo stills": stills.STILLS_A_BATCH,
    }
    legend = found["Demo drive"].versions.get().metadata["mask_labels"]["_all_"]
    assert {"value": [0, 64, 226], "labels": ["car"]} in legend
    project = Project.objects.get(name=PROJECT_NAME)
    assert {grant.role for grant in project.grants.all()} == set(Grant.Role.values)
    assert any(folder.as_uri() in prefix for prefix in project.media_allow)

    written = {path: path.stat().st_mtime_ns for path in folder.rglob("*.mp4")}
    jobs = set(Job.objects.values_list("uid", flat=True))
    make()
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*.mp4")} == written
    assert set(Job.objects.values_list("uid", flat=True)) == jobs
    assert Frame.objects.count() == sum(counts.values())


@pytest.mark.django_db(transaction=True)
def test_goes_on_after_it_was_killed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed while it drew, and again while it imported."""
    morning = folder / "drive" / "morning"
    drives.make_film(drives.DRIVES[0], "front", morning, frames=FRAMES)
    kept = (morning / "front.mp4").stat().st_mtime_ns
    (morning / "rear.123.unfinished.mp4").write_bytes(b"half a film")
    (morning / "rear.mp4").write_bytes(b"a film whose labels are missing")

    def killed(*args: Any, **kwargs: Any) -> None:
        raise KeyboardInterrupt

    ensure_people()
    with monkeypatch.context() as patch:
        patch.setattr(imports, "run", killed)
        with pytest.raises(KeyboardInterrupt):
            make()
    assert Job.objects.get().state == Job.State.QUEUED

    make()
    assert (morning / "front.mp4").stat().st_mtime_ns == kept
    assert (morning / "rear.mp4").stat().st_size > 10_000
    assert not list(folder.rglob("*.unfinished*"))
    assert sorted(Job.objects.values_list("state", flat=True)) == ["cancelled", "done", "done"]
    assert Frame.objects.count() == FRAMES * len(drives.DRIVES) + stills.STILLS_A_BATCH
