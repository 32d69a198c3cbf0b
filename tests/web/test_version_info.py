"""A version's info: what it is and what it holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from frames.formats.base import FrameData, SourceData
from tests.factories import add_frames, make_frame, make_version
from tests.web.support import HOSTILE

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.contrib.auth.models import User
    from django.test import Client

    from frames.models import Project, Version

    Browse = Callable[[User | None], Client]


def untyped(frame_id: str) -> FrameData:
    """Return a frame whose source does not say what it is."""
    source = SourceData("default", "https://example.com/raw", "", None, None, 0)
    return FrameData(
        frame_id=frame_id, context_id="raw", timestamp=0, sources=[source], rois=[], meta={}
    )


def test_i2_info_has_the_rows_of_a_version_and_of_its_dataset(
    version: Version, base: str, browse: Browse, viewer: User
) -> None:
    version.created_by = viewer
    version.description = "Dry roads"
    version.save()
    version.dataset.tags = ["rain"]
    version.dataset.description = "Night drives"
    version.dataset.save()
    body = browse(viewer).get(f"{base}/info/").content.decode()
    shown = (version.uid, version.dataset.uid, version.dataset.name, "Night drives", "rain")
    for text in (*shown, "Draft", "67 % (4 frames)", "viewer", "Dry roads", "Updated"):
        assert text in body


def test_i2_frames_are_counted_for_each_content_type(
    project: Project, browse: Browse, viewer: User
) -> None:
    """A frame without a typed source counts as N/A."""
    version = make_version(project, [make_frame("a"), make_frame("b"), untyped("c")])
    base = f"/datasets/{version.dataset.uid}/versions/{version.uid}"
    body = browse(viewer).get(f"{base}/info/").content.decode()
    assert "2 frames of type image/jpeg, 1 frame of type N/A" in body
    page = browse(viewer).get(f"{base}/info.json").json()
    assert (page["content_types"], page["untyped_frames"]) == ({"image/jpeg": 2}, 1)


def test_i2_frames_of_other_versions_are_not_counted(
    version: Version, browse: Browse, viewer: User
) -> None:
    from frames.actions import versions

    empty = versions.create_version(dataset=version.dataset, name="Empty", actor=None)
    add_frames(empty, [make_frame("z")])
    page = browse(viewer).get(f"/datasets/{version.dataset.uid}/versions/{empty.uid}/info.json")
    assert page.json()["content_types"] == {"image/jpeg": 1}


def test_i2_the_description_has_a_pencil_for_who_may_use_it(
    version: Version, base: str, browse: Browse, viewer: User, editor: User
) -> None:
    pencil = f'href="{base}/edit/#description"'
    assert pencil in browse(editor).get(f"{base}/info/").content.decode()
    assert pencil not in browse(viewer).get(f"{base}/info/").content.decode()


def test_what_people_wrote_is_escaped(
    version: Version, base: str, browse: Browse, viewer: User
) -> None:
    version.description = HOSTILE
    version.save()
    assert "<script>alert" not in browse(viewer).get(f"{base}/info/").content.decode()


def test_json_twin(version: Version, base: str, browse: Browse, viewer: User) -> None:
    page = browse(viewer).get(f"{base}/info.json").json()
    assert page["id"] == version.uid
    assert page["parents"] == []
    assert (page["frames"], page["annotated_frames"], page["annotations"]) == (6, 4, 5)
