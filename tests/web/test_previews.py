"""Previews over HTTP: signed files, states, retry."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import time_machine

from frames.models import Preview, Source
from frames.previews.storage import preview_url, save_preview
from tests.web.support import fail, make_preview

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.contrib.auth.models import User
    from django.test import Client

    from frames.models import Version

PICTURE = b"\xff\xd8\xff not really"


@pytest.fixture
def preview(version: Version) -> Preview:
    preview = make_preview(Source.objects.get(frame__frame_id="a-0"))
    save_preview(preview.name, PICTURE)
    return preview


def test_signed_file_is_served_for_good_and_cannot_run(
    preview: Preview, browse: Callable[[User | None], Client], viewer: User
) -> None:
    response = browse(viewer).get(preview_url(preview))
    assert b"".join(response) == PICTURE
    assert response["Content-Type"].startswith("image/")
    assert response["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" in response["Content-Security-Policy"]
    for word in ("private", "immutable", "max-age="):
        assert word in response["Cache-Control"]


def test_url_is_the_same_for_hours_and_ends(
    preview: Preview, browse: Callable[[User | None], Client], viewer: User
) -> None:
    client = browse(viewer)
    with time_machine.travel("2026-11-21T00:10:00Z", tick=False):
        url = preview_url(preview)
    with time_machine.travel("2026-11-21T06:00:00Z", tick=False):
        assert preview_url(preview) == url
        assert b"".join(client.get(url)) == PICTURE
    with time_machine.travel("2026-11-23T00:10:00Z", tick=False):
        client = browse(viewer)
        assert client.get(url).status_code == 404


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("?", "?x="),
        ("&s=", "&s=0"),
        ("?e=", "?e=9"),
        ("/previews/", "/previews/../"),
        ("/previews/", "/previews/aa/"),
    ],
)
def test_changed_url_is_not_found(
    old: str, new: str, preview: Preview, browse: Callable[[User | None], Client], viewer: User
) -> None:
    changed = preview_url(preview).replace(old, new)
    assert browse(viewer).get(changed).status_code == 404


def test_file_needs_sign_in(preview: Preview, client: Client) -> None:
    assert client.get(preview_url(preview)).status_code == 302


def test_lost_file_is_not_found(
    version: Version, browse: Callable[[User | None], Client], viewer: User
) -> None:
    preview = make_preview(Source.objects.get(frame__frame_id="a-1"), color="#000000", edge_px=99)
    assert browse(viewer).get(preview_url(preview)).status_code == 404


def test_states_say_what_fills_a_tile(
    preview: Preview, browse: Callable[[User | None], Client], viewer: User
) -> None:
    broken = make_preview(Source.objects.get(frame__frame_id="still"), edge_px=64)
    fail(broken, "codec")
    keys = f"key={preview.key}&key={broken.key}&key=unknown"
    response = browse(viewer).get(f"/previews/state/?{keys}")
    ready, failed, unknown = response.json()["items"]
    assert ready["state"] == "ready"
    assert ready["url"] == preview_url(preview)
    assert (ready["width"], ready["height"], ready["color"]) == (320, 240, "#334455")
    assert failed["state"] == "failed"
    assert failed["problem"].startswith("Cannot be decoded")
    assert unknown == {**unknown, "key": "unknown", "state": "pending", "url": None}
    assert response["Cache-Control"] == "no-store"


def test_too_many_states_are_refused(browse: Callable[[User | None], Client], viewer: User) -> None:
    keys = "&".join(f"key={n}" for n in range(101))
    assert browse(viewer).get(f"/previews/state/?{keys}").status_code == 400


def test_editor_retries_and_comes_back(
    preview: Preview, browse: Callable[[User | None], Client], editor: User
) -> None:
    fail(preview, "unreachable")
    client = browse(editor)
    address = f"/previews/{preview.key}/retry/"
    assert client.get(address).status_code == 405
    response = client.post(address, {"next": "/projects/"})
    assert response["Location"] == "/projects/"
    preview.refresh_from_db()
    assert preview.state == Preview.State.PENDING


def test_viewer_and_outsider_retry_nothing(
    preview: Preview, browse: Callable[[User | None], Client], viewer: User, outsider: User
) -> None:
    fail(preview, "unreachable")
    address = f"/previews/{preview.key}/retry/"
    assert browse(viewer).post(address).status_code == 403
    assert browse(outsider).post(address).status_code == 404
    assert browse(None).post(address)["Location"].startswith("/sign-in/")
    preview.refresh_from_db()
    assert preview.state == Preview.State.FAILED
