"""Making a version from several parents: the page's way from parents to a draft."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import pytest

from frames.actions import versions
from frames.index import membership
from frames.models import Frame, Version
from frames.web import version_merge
from tests.factories import add_frames, make_frame, make_version
from tests.web.support import HOSTILE

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.contrib.auth.models import User
    from django.test import Client

    from frames.models import Project

    Browse = Callable[[User | None], Client]

FRAMES = 30


@pytest.fixture
def parents(project: Project) -> list[Version]:
    """Two children of one root: both have changed f0 to f19, the first has lost f29."""
    frames = [make_frame(f"f{n:02}", timestamp=n) for n in range(FRAMES)]
    root = versions.publish(make_version(project, frames), actor=None, reason="unchecked")
    found = []
    for name in ("day", "night"):
        child = versions.create_version(dataset=root.dataset, name=name, parents=[root], actor=None)
        changed = [make_frame(f"f{n:02}", timestamp=n, meta={"by": name}) for n in range(20)]
        add_frames(child, changed)
        if name == "day":
            versions.delete_frames(child, ["f29"], actor=None)
        found.append(versions.publish(child, actor=None, reason="unchecked"))
    return found


@pytest.fixture
def address(parents: list[Version]) -> str:
    return f"/datasets/{parents[0].dataset.uid}/merge/"


def writers(version: Version) -> dict[str, str]:
    """Return who wrote each frame that a version holds."""
    rows = Frame.objects.at(version.dataset, membership.members(version.pk))
    return {row.frame_id: row.meta.get("by", "root") for row in rows}


def query(parents: list[Version]) -> dict[str, list[str]]:
    return {"parent": [parent.uid for parent in parents]}


def test_parents_are_chosen_among_published_versions(
    parents: list[Version], address: str, browse: Browse, editor: User
) -> None:
    draft = versions.create_version(
        dataset=parents[0].dataset, name="a draft", parents=[parents[0]], actor=None
    )
    page = browse(editor).get(address, {"parent": parents[0].uid}).content.decode()
    assert f'value="{parents[0].uid}" checked' in page
    assert f'value="{parents[1].uid}">' in page
    assert draft.uid not in page


def test_conflicts_are_chosen_page_by_page_and_the_address_keeps_them(
    parents: list[Version], address: str, browse: Browse, editor: User
) -> None:
    client = browse(editor)
    first = client.get(address, query(parents)).content.decode()
    assert "30 frames" in first
    assert "20 frames" in first
    assert "0 of 20 chosen, page 1 of 2" in first
    assert "another has deleted stays in" in first
    assert 'by: "day" → "night"' in first.replace("&quot;", '"')
    sent = {**query(parents), "picks": "-" * 20, "page": "1", "name": "Both", "go": "2"}
    response = client.post(address, {**sent, "c0": "1", "c11": "0"})
    assert response.status_code == 302
    kept = parse_qs(urlsplit(response["Location"]).query)
    assert kept == {
        "parent": [parent.uid for parent in parents],
        "picks": ["1----------0--------"],
        "page": ["2"],
        "name": ["Both"],
    }
    second = client.get(response["Location"]).content.decode()
    assert "2 of 20 chosen, page 2 of 2" in second
    assert 'value="Both"' in second
    undecided = client.post(
        address, {**query(parents), "picks": kept["picks"][0], "name": "Both", "create": "1"}
    )
    assert undecided.status_code == 400
    assert "different revisions of 18 frames" in undecided.content.decode()
    picks = {f"c{n}": "1" for n in range(12, 20)}
    created = client.post(
        address,
        {
            **query(parents),
            "picks": kept["picks"][0],
            **picks,
            "rule": "first",
            "name": "Both",
            "description": "Day and night",
            "create": "1",
        },
    )
    version = Version.objects.get(name="Both")
    assert created["Location"] == f"/datasets/{version.dataset.uid}/versions/{version.uid}/"
    assert (version.is_draft, version.description) == (True, "Day and night")
    assert set(version.parents.all()) == set(parents)
    night = {"f00", *(f"f{n}" for n in range(12, 20))}
    assert writers(version) == {
        f"f{n:02}": ("night" if f"f{n:02}" in night else "day") if n < 20 else "root"
        for n in range(FRAMES)
    }


def test_a_merge_is_told_in_json(
    parents: list[Version], address: str, browse: Browse, editor: User
) -> None:
    twin = address.rstrip("/") + ".json"
    body = browse(editor).get(twin, query(parents)).json()
    assert (body["frames"], body["total"], body["next"]) == (FRAMES, 20, 2)
    assert [item["frame_id"] for item in body["items"]] == [f"f{n:02}" for n in range(12)]
    assert [option["parents"] for option in body["items"][0]["options"]] == ["day", "night"]
    assert browse(editor).get(twin).json()["items"] == []


def test_one_rule_decides_all(
    parents: list[Version], address: str, browse: Browse, editor: User
) -> None:
    for rule, winner in (("first", "day"), ("last", "night")):
        sent = {**query(parents), "rule": rule, "name": f"all {winner}", "create": "1"}
        response = browse(editor).post(address, sent)
        assert response.status_code == 302, response.content.decode()
        version = Version.objects.get(name=f"all {winner}")
        assert {writer for name, writer in writers(version).items() if name < "f20"} == {winner}


def test_too_many_conflicts_take_a_rule(
    parents: list[Version],
    address: str,
    browse: Browse,
    editor: User,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(version_merge, "CONFLICTS_LISTED_MAX", 19)
    page = browse(editor).get(address, query(parents)).content.decode()
    assert "more than 19" in page
    assert "Ask for each" not in page
    assert 'type="radio"' not in page


def test_versions_without_a_conflict_are_merged_at_once(
    parents: list[Version], address: str, browse: Browse, editor: User
) -> None:
    root = parents[0].parents.get()
    chosen = query([root, parents[0]])
    browse(editor).post(address, {**chosen, "rule": "last", "name": "both", "create": "1"})
    assert Version.objects.get(name="both").frame_count == FRAMES
    twin = versions.create_version(dataset=root.dataset, name="twin", parents=[root], actor=None)
    twin = versions.publish(twin, actor=None, reason="unchecked")
    page = browse(editor).get(address, query([root, twin])).content.decode()
    assert "0 frames" in page
    assert 'name="rule"' not in page
    browse(editor).post(address, {**query([root, twin]), "name": "same", "create": "1"})
    assert Version.objects.get(name="same").frame_count == FRAMES


@pytest.mark.parametrize(
    "state",
    [
        {"picks": "9" * 50},
        {"picks": "éx-1", "page": "99"},
        {"page": "-1"},
        {"page": "99999999999999999999"},
        {"rule": "nonsense"},
        {"c0": "nonsense"},
        {"name": "\x00", "description": "\x00", "picks": "\x00"},
    ],
)
def test_a_state_that_cannot_be_is_read_as_none(
    parents: list[Version],
    address: str,
    browse: Browse,
    editor: User,
    state: dict[str, str],
) -> None:
    response = browse(editor).get(address, {**query(parents), **state})
    assert response.status_code == 200
    assert "of 20 chosen" in response.content.decode()


def test_a_name_that_is_taken_keeps_what_was_chosen(
    parents: list[Version], address: str, browse: Browse, editor: User
) -> None:
    sent = {**query(parents), "rule": "first", "name": "day", "create": "1", "c3": "1"}
    response = browse(editor).post(address, sent)
    assert response.status_code == 400
    body = response.content.decode()
    assert "has a version named day already" in body
    assert "1 of 20 chosen" in body


def test_parents_of_another_dataset_are_not_taken(
    parents: list[Version], address: str, browse: Browse, editor: User, project: Project
) -> None:
    other = versions.publish(make_version(project), actor=None)
    for parent in (other.uid, "\x00", "nonsense", parents[0].uid):
        sent = {"parent": [parents[0].uid, parent]}
        page = browse(editor).get(address, sent)
        assert page.status_code == 400
        assert "Choose two published versions" in page.content.decode()
        assert "What is not was left out." in page.content.decode()
        both = {"parent": [*sent["parent"], parents[1].uid], "create": "1", "name": "x"}
        assert browse(editor).post(address, both).status_code == 400
    assert not Version.objects.filter(name="x").exists()


def test_names_in_conflicts_are_escaped(project: Project, browse: Browse, editor: User) -> None:
    frames = [make_frame(HOSTILE, meta={HOSTILE: 0})]
    root = versions.publish(make_version(project, frames), actor=None, reason="unchecked")
    child = versions.create_version(dataset=root.dataset, name=HOSTILE, parents=[root], actor=None)
    add_frames(child, [make_frame(HOSTILE, meta={HOSTILE: HOSTILE})])
    child = versions.publish(child, actor=None, reason="unchecked")
    address = f"/datasets/{root.dataset.uid}/merge/"
    page = browse(editor).get(address, query([root, child])).content.decode()
    assert "0 of 1 chosen" in page
    assert "<script>alert" not in page
