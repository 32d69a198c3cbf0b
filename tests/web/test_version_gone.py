"""Links to versions that have been deleted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from frames.actions import versions
from frames.models import DeletedVersion, Version

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.contrib.auth.models import User
    from django.test import Client

    Browse = Callable[[User | None], Client]

PAGES = (
    "",
    "info/",
    "metadata/",
    "labels/",
    "context/?id=drive/a",
    "frames/a-0/",
    "edit/",
    "branch/",
)


@pytest.fixture
def gone(version: Version, admin: User) -> Version:
    """A deleted draft of a published version."""
    release = versions.publish(version, actor=None, name="v1", reason="unchecked")
    draft = versions.create_version(
        dataset=release.dataset, name="scratch", parents=[release], actor=None
    )
    kept = Version.objects.select_related("dataset").get(pk=draft.pk)
    versions.delete_version(draft, actor=admin)
    return kept


def address(version: Version) -> str:
    """Return a version's page."""
    return f"/datasets/{version.dataset.uid}/versions/{version.uid}/"


@pytest.mark.parametrize("page", PAGES)
def test_every_page_of_a_deleted_version_says_so(
    gone: Version, version: Version, browse: Browse, viewer: User, page: str
) -> None:
    response = browse(viewer).get(address(gone) + page)
    body = response.content.decode()
    assert response.status_code == 410
    assert "scratch has been deleted" in body
    assert "by admin" in body
    assert "It was made from v1" in body
    assert f'href="{address(version)}"' in body


def test_json_twin_says_what_replaced_it(
    gone: Version, version: Version, browse: Browse, viewer: User
) -> None:
    response = browse(viewer).get(f"{address(gone).rstrip('/')}.json")
    assert response.status_code == 410
    assert response.json() == {
        "error": "scratch has been deleted",
        "replaced_by": {"id": version.uid, "name": "v1", "url": address(version)},
    }


def test_without_a_parent_the_newest_version_took_its_place(
    version: Version, browse: Browse, viewer: User
) -> None:
    root = versions.create_version(dataset=version.dataset, name="root", actor=None)
    versions.delete_version(Version.objects.get(pk=root.pk), actor=None)
    body = browse(viewer).get(address(root)).content.decode()
    assert "The newest version of the dataset is Current." in body
    assert f'href="{address(version)}"' in body


def test_the_last_version_of_a_dataset_has_nothing_in_its_place(
    version: Version, browse: Browse, viewer: User
) -> None:
    link = address(version)
    versions.delete_version(version, actor=None)
    response = browse(viewer).get(link)
    assert response.status_code == 410
    assert "The dataset has no other version." in response.content.decode()
    assert browse(viewer).get(f"{link.rstrip('/')}.json").json()["replaced_by"] is None


def test_an_outsider_is_not_told(gone: Version, browse: Browse, outsider: User) -> None:
    response = browse(outsider).get(address(gone))
    assert response.status_code == 404
    assert "scratch" not in response.content.decode()


def test_a_change_of_a_deleted_version_is_refused(
    gone: Version, browse: Browse, admin: User
) -> None:
    for page in ("edit/", "publish/", "delete/", "metadata/edit/"):
        assert browse(admin).post(address(gone) + page, {"name": "again"}).status_code == 410
    assert not Version.objects.filter(name="again").exists()


def test_the_name_of_a_deleted_version_is_free(gone: Version) -> None:
    again = versions.create_version(dataset=gone.dataset, name="scratch", actor=None)
    assert again.uid != gone.uid
    assert DeletedVersion.objects.get().name == "scratch"
