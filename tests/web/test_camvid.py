"""The driving videos of the sample data: the pages say what the truth beside them says."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from frames.actions.imports import import_path
from frames.web.addresses import version_address

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from django.contrib.auth.models import User
    from django.test import Client

    from frames.models import Project

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.shared_data]


def test_pages_say_what_the_truth_says(
    shared_data: Path, project: Project, browse: Callable[[User | None], Client], viewer: User
) -> None:
    truth = json.loads((shared_data / "camvid" / "truth.json").read_text())
    manifest = str(shared_data / "camvid" / "frames.json")
    job = import_path(manifest, dataset_name="CamVid", project=project)
    assert job.version is not None
    base = version_address(job.version).rstrip("/")
    client = browse(viewer)

    groups = client.get(f"{base}.json").json()
    assert groups["total"] == truth["frames"]
    assert [group["context_id"] for group in groups["items"]] == sorted(truth["contexts"])
    for group in groups["items"]:
        # The file is shuffled; a context is in the order of its timestamps.
        timestamps = truth["contexts"][group["context_id"]]
        address = group["url"].replace("/context/", "/context.json")
        context = client.get(address).json()
        assert [frame["timestamp"] for frame in context["items"]] == timestamps
        assert group["frames"] == len(timestamps)
        first = client.get(context["items"][0]["url"].rstrip("/") + ".json").json()
        assert (first["position"], first["count"]) == (0, len(timestamps))
        assert first["next"] == context["items"][1]["url"]

    labels = client.get(f"{base}/labels.json").json()["items"]
    assert {row["label"]: row["frames"] for row in labels} == truth["label_frames"]
    for label, frames in truth["label_frames"].items():
        assert client.get(f"{base}.json", {"label": label}).json()["matched"] == frames
