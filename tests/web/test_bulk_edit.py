"""The page that edits many frames, and the way back."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import pytest

from frames.actions import edits, versions
from frames.models import Job

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.contrib.auth.models import User
    from django.test import Client

    from frames.models import Version

pytestmark = pytest.mark.django_db


@pytest.fixture
def client(browse: Callable[[User | None], Client], editor: User) -> Client:
    return browse(editor)


def send(client: Client, address: str, **data: object) -> str:
    return client.post(address, data).content.decode()


def test_the_grid_of_a_draft_offers_to_select_and_to_edit_all_that_match(
    client: Client, base: str
) -> None:
    page = client.get(f"{base}/?group=none&q=label:car").content.decode()
    assert page.count('form="selection" name="frame"') == 3
    assert f'href="{base}/bulk/?{urlencode({"q": "label:car"})}"' in page
    grouped = client.get(f"{base}/").content.decode()
    assert grouped.count('form="selection" name="context"') == 3


def test_nobody_is_offered_what_they_may_not(
    browse: Callable[[User | None], Client], viewer: User, editor: User, version: Version, base: str
) -> None:
    assert "selection" not in browse(viewer).get(f"{base}/").content.decode()
    versions.publish(version, actor=None, reason="for the test")
    assert 'form="selection"' not in browse(editor).get(f"{base}/").content.decode()
    refused = browse(editor).get(f"{base}/bulk/")
    assert refused.status_code == 400
    assert "is published and cannot change" in refused.content.decode()


@pytest.mark.parametrize(
    ("selection", "sentence"),
    [
        ({}, "All 6 frames of the version"),
        ({"q": "label:car"}, "All 3 frames that match the filter"),
        ({"frame": ["a-0", "b-1", "nowhere"]}, "2 frames selected by hand"),
        ({"context": ["drive/a", "drive/b"]}, "5 frames in 2 selected contexts"),
        ({"context": ["drive/a"], "q": "label:car"}, "2 frames in 1 selected context"),
    ],
)
def test_a_selection_is_said_with_its_number(
    client: Client, base: str, selection: dict[str, object], sentence: str
) -> None:
    assert sentence in send(client, f"{base}/bulk/", **selection)


def test_an_edit_is_counted_then_started_then_undone(
    client: Client, base: str, version: Version
) -> None:
    edit = {"verb": "relabel", "key": "car", "value": "van", "context": ["drive/a", "drive/b"]}
    asked = send(client, f"{base}/bulk/", **edit)
    assert "3 frames would change, 2 frames stay as they are." in asked
    assert "Change 3 frames" in asked
    hidden = re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', asked)
    assert ("context", "drive/a") in hidden
    assert ("value", "van") in hidden
    assert not Job.objects.exists()

    started = client.post(f"{base}/bulk/", {**edit, "confirm": "1"})
    job = Job.objects.get()
    assert started.headers["Location"] == f"/jobs/{job.uid}/"
    edits.run(job.uid)
    page = client.get(f"/jobs/{job.uid}/").content.decode()
    assert f'action="/jobs/{job.uid}/undo/"' in page
    assert "Relabel car to van" in page
    assert "<dt>changed</dt><dd>3</dd>" in page
    assert client.get(f"{base}.json?q=label:van").json()["matched"] == 3

    undone = client.post(f"/jobs/{job.uid}/undo/", follow=True).content.decode()
    assert "3 frames as before the edit." in undone
    assert "/undo/" not in undone
    assert client.get(f"{base}.json?q=label:van").json()["matched"] == 0
    again = client.post(f"/jobs/{job.uid}/undo/", follow=True).content.decode()
    assert "undone already" in again


def test_back_leads_to_the_choices_with_the_selection(client: Client, base: str) -> None:
    page = send(client, f"{base}/bulk/", verb="", key="car", value="van", frame=["a-0"])
    assert "1 frame selected by hand" in page
    assert "Relabel: count and go on" in page


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"verb": "set", "key": "", "value": "1"}, "Give a metadata key"),
        ({"verb": "relabel", "key": "tram", "value": "van"}, "None of these frames would change"),
        ({"verb": "tag", "value": "x", "q": "label:("}, "The query cannot be read"),
        ({"frame": ["x"] * 901}, "Over 900 are selected by hand"),
        ({"verb": "tag", "value": "x", "frame": ["none"], "confirm": "1"}, "would change"),
    ],
)
def test_what_cannot_be_done_is_said(
    client: Client, base: str, data: dict[str, object], message: str
) -> None:
    response = client.post(f"{base}/bulk/", data)
    assert response.status_code == 400
    assert message in response.content.decode()
    assert not Job.objects.exists()


@pytest.mark.parametrize(
    ("persona", "status"), [("viewer", 403), ("editor", 302), ("outsider", 404)]
)
def test_only_editors_undo(
    persona: str,
    status: int,
    browse: Callable[[User | None], Client],
    version: Version,
    request: pytest.FixtureRequest,
) -> None:
    from frames.index.reader import DatasetIndex

    frames = DatasetIndex(version.dataset).members(version)
    job = edits.start_edit(version, edits.Edit("tag", value="x"), frames, actor=None)
    edits.run(job.uid)
    client = browse(request.getfixturevalue(persona))
    assert client.post(f"/jobs/{job.uid}/undo/").status_code == status
