"""Frames and versions for tests, made through the actions that the site uses."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

from django.db import transaction

from frames.actions.datasets import create_dataset
from frames.actions.frames import Stager
from frames.actions.prepare import PreparedBatch
from frames.formats.base import FrameData, SourceData
from frames.models import Project, Version

if TYPE_CHECKING:
    from collections.abc import Sequence

_numbers = itertools.count()


def make_version(project: Project | None = None, frames: Sequence[FrameData] = ()) -> Version:
    """Return the draft of a new dataset that holds the frames."""
    number = next(_numbers)
    project = project or Project.objects.create(name=f"Project {number}")
    dataset = create_dataset(project=project, name=f"Dataset {number}", actor=None)
    version = dataset.versions.get()
    return add_frames(version, frames) if frames else version


def add_frames(version: Version, frames: Sequence[FrameData]) -> Version:
    """Give a draft the frames, as an import does, and return it fresh."""
    stager = Stager(version)
    batch = PreparedBatch()
    for index, frame in enumerate(frames):
        batch.add(index, frame)
    with transaction.atomic():
        stager.stage(batch)
    with transaction.atomic():
        stager.commit()
    return Version.objects.select_related("dataset__project").get(pk=version.pk)


def make_frame(
    frame_id: str,
    *,
    context_id: str = "drive",
    timestamp: float = 0,
    labels: Sequence[str] = (),
    meta: dict[str, Any] | None = None,
    rois: list[dict[str, Any]] | None = None,
    uri: str = "https://example.com/picture.jpg",
) -> FrameData:
    """Return a frame with one camera, and a box for each label."""
    boxes = [
        {"label": [label], "poly": [0, 0, 10, 0, 10, 10, 0, 10], "sources": ["default"]}
        for label in labels
    ]
    return FrameData(
        frame_id=frame_id,
        context_id=context_id,
        timestamp=float(timestamp),
        sources=[SourceData("default", uri, "image/jpeg", 640, 480, float(timestamp))],
        rois=rois if rois is not None else boxes,
        meta=meta or {},
    )
