"""A version's info and metadata."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.contrib.auth.models import User
    from django.test import Client

    from frames.models import Version

LEGEND = {"mask_labels": {"_all_": [{"value": [1, 2, 3], "labels": ["road"]}]}}


def test_facts_and_metadata_are_shown(
    version: Version, base: str, browse: Callable[[User | None], Client], viewer: User
) -> None:
    version.metadata = LEGEND
    version.created_by = viewer
    version.save()
    body = browse(viewer).get(f"{base}/info/").content.decode()
    for text in (version.uid, version.dataset.uid, "Draft", "4 (67 %)", "viewer", "mask_labels"):
        assert text in body
    assert "Metadata of the dataset" not in body  # it has none
    assert "Description" not in body


def test_json_twin(
    version: Version, base: str, browse: Callable[[User | None], Client], viewer: User
) -> None:
    version.metadata = LEGEND
    version.save()
    page = browse(viewer).get(f"{base}/info.json").json()
    assert page["id"] == version.uid
    assert page["metadata"] == LEGEND
    assert page["parents"] == []
    assert (page["frames"], page["annotated_frames"], page["annotations"]) == (6, 4, 5)
