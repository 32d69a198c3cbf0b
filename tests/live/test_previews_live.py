"""Previews by a real worker, over a folder and over Redis, and previews kept in a bucket."""

from __future__ import annotations

import io
import shutil
import urllib.request
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from django.core.cache import cache
from django.core.files.storage import storages
from django.utils import timezone
from PIL import Image

from frames.actions import previews
from frames.formats.base import FrameData, SourceData
from frames.media import s3 as buckets
from frames.models import Preview
from frames.previews.storage import preview_url
from tests.factories import make_version
from tests.previews.videos import make_video
from tests.services import wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_django.fixtures import Settings

    from frames.models import Project, Version
    from tests.services import Worker

PICTURES = 150
VIDEO_FRAMES = 120

pytestmark = pytest.mark.django_db(transaction=True)


def ready() -> int:
    return Preview.objects.filter(state=Preview.State.READY).count()


@pytest.fixture
def version(project: Project, tmp_path: Path) -> Version:
    """A version of many pictures that take a while, of one video, and of one missing file."""
    noise = np.random.default_rng(1).integers(0, 255, (800, 1000, 3), np.uint8)
    Image.fromarray(noise).save(tmp_path / "0.png")
    for number in range(1, PICTURES):
        shutil.copy(tmp_path / "0.png", tmp_path / f"{number}.png")
    (tmp_path / "drive.mp4").write_bytes(make_video(VIDEO_FRAMES))
    project.media_allow = [tmp_path.as_uri()]
    project.save()
    base = tmp_path.as_uri()
    sources = [SourceData("camera", f"{base}/{number}.png") for number in range(PICTURES)]
    sources += [
        SourceData("camera", f"{base}/drive.mp4", timestamp=number * 1000 / 30)
        for number in range(VIDEO_FRAMES)
    ]
    sources.append(SourceData("camera", f"{base}/missing.png"))
    return make_version(
        project,
        [
            FrameData(f"frame-{number}", "drive", number, [source])
            for number, source in enumerate(sources)
        ],
    )


def test_a_killed_worker_loses_nothing(worker: Worker, version: Version) -> None:
    previews.plan(version.dataset_id, 0, version.dataset.next_ordinal)
    assert Preview.objects.count() == PICTURES + VIDEO_FRAMES + 1
    wait_until(lambda: ready() >= 20, "the first previews", 60)
    worker.kill()
    left = Preview.objects.filter(state=Preview.State.PENDING)
    assert left.count() > 0

    # As if the time after which a silent worker counts as gone had passed.
    left.update(due_at=timezone.now() - timedelta(seconds=1))
    worker.start()
    previews.sweep()
    wait_until(lambda: not left.exists(), "the last previews", 120)
    assert ready() == PICTURES + VIDEO_FRAMES
    missing = Preview.objects.get(state=Preview.State.FAILED)
    assert missing.reason == Preview.Reason.NOT_FOUND
    for preview in Preview.objects.filter(state=Preview.State.READY):
        with storages["previews"].open(preview.name) as file:
            Image.open(io.BytesIO(file.read())).verify()
    assert max(Preview.objects.values_list("attempts", flat=True)) <= 2


def test_pictures_and_previews_in_buckets(
    project: Project, s3: Any, s3_url: str, settings: Settings
) -> None:
    """Read from one bucket, kept in another, shown by signed URLs that stay the same."""
    buckets._client.cache_clear()
    cache.clear()
    for bucket in ("pictures", "previews"):
        s3.create_bucket(Bucket=bucket)
    file = io.BytesIO()
    Image.new("RGB", (640, 480), (200, 30, 30)).save(file, "JPEG")
    s3.put_object(Bucket="pictures", Key="drive/1.jpg", Body=file.getvalue())
    s3.put_object(Bucket="pictures", Key="drive.mp4", Body=make_video(30))
    settings.STORAGES = {
        **settings.STORAGES,
        "previews": {
            "BACKEND": "storages.backends.s3.S3Storage",
            "OPTIONS": {"bucket_name": "previews", "endpoint_url": s3_url, "file_overwrite": True},
        },
    }
    hosted = f"s3://{s3_url.removeprefix('http://')}/pictures/"
    project.media_allow = ["s3://pictures/", hosted]
    project.save()
    rows = [
        Preview.objects.create(key=f"{number:040x}", project=project, uri=uri, edge_px=320)
        for number, uri in enumerate(
            ("s3://pictures/drive/1.jpg", f"{hosted}drive/1.jpg", "s3://pictures/drive.mp4")
        )
    ]
    previews.render([row.key for row in rows])
    for row in rows:
        row.refresh_from_db()
        assert (row.state, row.detail) == (Preview.State.READY, "")
        url = preview_url(row)
        assert preview_url(row) == url
        with urllib.request.urlopen(url) as answer:
            assert Image.open(io.BytesIO(answer.read())).size == (row.width, row.height)
    buckets._client.cache_clear()
