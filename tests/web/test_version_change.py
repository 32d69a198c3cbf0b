"""Branching, describing, publishing and deleting a version through its forms."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from frames.actions import versions
from frames.models import AuditEvent, Version

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.contrib.auth.models import User
    from django.test import Client

    Browse = Callable[[User | None], Client]


def test_v8_publishing_with_a_working_copy(
    version: Version, base: str, browse: Browse, admin: User
) -> None:
    """V8: the name is filled in, and the copy is ticked and called Current."""
    client = browse(admin)
    form = client.get(f"{base}/publish/").content.decode()
    assert f"Snapshot of {version.dataset.name} - " in form
    assert 'name="with_copy" checked' in form
    sent = {"name": "v1", "with_copy": "on", "copy_name": "Current", "copy_description": "More"}
    sent["reason"] = "A first look"
    response = client.post(f"{base}/publish/", sent)
    assert response["Location"] == f"{base}/"
    published = Version.objects.get(name="v1")
    copy = Version.objects.get(name="Current")
    assert (published.pk, published.is_draft) == (version.pk, False)
    assert (copy.is_draft, copy.description, copy.frame_count) == (True, "More", 6)
    assert list(copy.parents.all()) == [published]
    publish = AuditEvent.objects.get(verb="publish")
    assert publish.actor == admin


def test_v8_publishing_alone(version: Version, base: str, browse: Browse, admin: User) -> None:
    browse(admin).post(f"{base}/publish/", {"name": "v1", "reason": "A first look"})
    assert [(v.name, v.is_draft) for v in Version.objects.all()] == [("v1", False)]


def test_v8_publishing_twice_says_so(
    version: Version, base: str, browse: Browse, admin: User
) -> None:
    browse(admin).post(f"{base}/publish/", {"name": "v1", "reason": "A first look"})
    response = browse(admin).post(f"{base}/publish/", {"name": "v2"})
    assert response.status_code == 400
    assert "is published and cannot change" in response.content.decode()


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        ({"name": ""}, "Give the version a name."),
        ({"name": "x" * 300}, "longer than 255"),
        (
            {"name": "v1", "with_copy": "on", "copy_name": "", "reason": "A look"},
            "Give the version a name.",
        ),
    ],
)
def test_a_form_that_cannot_be_done_keeps_what_was_typed(
    version: Version, base: str, browse: Browse, admin: User, sent: dict[str, str], said: str
) -> None:
    response = browse(admin).post(f"{base}/publish/", sent)
    body = response.content.decode()
    assert response.status_code == 400
    assert said in body
    assert f'value="{sent["name"]}"' in body
    version.refresh_from_db()
    assert (version.name, version.is_draft) == ("Current", True)


def test_v7_branching_a_published_version(
    version: Version, base: str, browse: Browse, editor: User
) -> None:
    refused = browse(editor).post(f"{base}/branch/", {"name": "child"})
    assert refused.status_code == 400
    assert "is a draft" in refused.content.decode()
    versions.publish(version, actor=None, reason="unchecked")
    response = browse(editor).post(f"{base}/branch/", {"name": "child", "description": "Night"})
    child = Version.objects.get(name="child")
    assert response["Location"].endswith(f"/versions/{child.uid}/")
    assert (child.frame_count, child.description) == (6, "Night")


def test_v7_editing_names_describes_and_tags(
    version: Version, base: str, browse: Browse, editor: User
) -> None:
    sent = {"name": "Night", "description": "After dark", "tags": "gold, night, gold"}
    browse(editor).post(f"{base}/edit/", sent)
    version.refresh_from_db()
    assert (version.name, version.description) == ("Night", "After dark")
    assert version.tags == ["gold", "night"]
    assert 'value="gold, night"' in browse(editor).get(f"{base}/edit/").content.decode()


def test_v7_deleting_a_draft(version: Version, base: str, browse: Browse, admin: User) -> None:
    assert "Delete Current?" in browse(admin).get(f"{base}/delete/").content.decode()
    response = browse(admin).post(f"{base}/delete/")
    assert response["Location"] == f"/datasets/{version.dataset.uid}/"
    assert not Version.objects.exists()


@pytest.mark.parametrize(
    ("page", "persona"),
    [
        ("branch", "viewer"),
        ("edit", "viewer"),
        ("publish", "viewer"),
        ("publish", "editor"),
        ("delete", "editor"),
    ],
)
def test_who_may_not_does_not(
    version: Version,
    base: str,
    browse: Browse,
    page: str,
    persona: str,
    request: pytest.FixtureRequest,
) -> None:
    user = request.getfixturevalue(persona)
    assert browse(user).post(f"{base}/{page}/", {"name": "taken over"}).status_code == 403
    version.refresh_from_db()
    assert (version.name, version.is_draft) == ("Current", True)


def test_names_are_escaped(version: Version, base: str, browse: Browse, admin: User) -> None:
    name = '"><script>alert(1)</script>'
    browse(admin).post(f"{base}/edit/", {"name": name, "description": name, "tags": name})
    for page in ("edit", "publish", "delete", "branch"):
        body = browse(admin).get(f"{base}/{page}/").content.decode()
        assert "<script>alert" not in body


@pytest.mark.parametrize("page", ["edit", "publish", "delete", "metadata/edit"])
def test_forms_of_a_version_show_the_path_to_it(
    version: Version, base: str, browse: Browse, admin: User, page: str
) -> None:
    body = browse(admin).get(f"{base}/{page}/").content.decode()
    crumbs = body.partition('aria-label="Path"')[2].partition("</nav>")[0]
    assert f'href="/datasets/?project={version.dataset.project.uid}"' in crumbs
    assert f'href="/datasets/{version.dataset.uid}/"' in crumbs
    assert f'href="{base}/"' in crumbs


def test_only_a_deletion_has_the_button_of_one(base: str, browse: Browse, admin: User) -> None:
    client = browse(admin)
    assert '"button danger"' in client.get(f"{base}/delete/").content.decode()
    assert '"button danger"' not in client.get(f"{base}/edit/").content.decode()
