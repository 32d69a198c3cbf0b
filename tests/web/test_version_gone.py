"""Links to versions and datasets that have been deleted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from frames.actions import deletions, versions
from frames.models import Dataset, DeletedVersion, Version

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


@pytest.fixture
def gone_dataset(version: Version, admin: User) -> Version:
    """The version of a deleted dataset whose rows are removed."""
    job = deletions.delete_dataset(
        version.dataset,
        actor=admin,
        confirmation=version.dataset.name,
        delete_all_versions=True,
    )
    deletions.run(job.uid)
    assert not Dataset.objects.filter(pk=version.dataset_id).exists()
    return version


@pytest.mark.parametrize("page", PAGES)
def test_every_page_of_a_deleted_datasets_version_says_so(
    gone_dataset: Version, browse: Browse, viewer: User, page: str
) -> None:
    response = browse(viewer).get(address(gone_dataset) + page)
    body = response.content.decode()
    assert response.status_code == 410
    assert f"{gone_dataset.dataset.name} has been deleted" in body
    assert "by admin" in body
    assert 'href="/datasets/"' in body


def test_a_deleted_dataset_leads_to_the_one_that_has_its_name_now(
    gone_dataset: Version, browse: Browse, viewer: User
) -> None:
    link = f"/datasets/{gone_dataset.dataset.uid}"
    said = {"error": f"{gone_dataset.dataset.name} has been deleted", "replaced_by": None}
    assert browse(viewer).get(f"{link}.json").json() == said
    again = Dataset.objects.create(
        project=gone_dataset.dataset.project, name=gone_dataset.dataset.name
    )
    assert f'href="/datasets/{again.uid}/"' in browse(viewer).get(f"{link}/").content.decode()
    found = browse(viewer).get(f"{link}.json")
    assert found.status_code == 410
    assert found.json()["replaced_by"]["url"] == f"/datasets/{again.uid}/"


def test_an_outsider_is_not_told_of_a_deleted_dataset(
    gone_dataset: Version, browse: Browse, outsider: User
) -> None:
    for link in (address(gone_dataset), f"/datasets/{gone_dataset.dataset.uid}.json"):
        response = browse(outsider).get(link)
        assert response.status_code == 404
        assert gone_dataset.dataset.name not in response.content.decode()
