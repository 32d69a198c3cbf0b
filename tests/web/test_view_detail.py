"""A data view's page: its counts, its drift, its frames, and what of it one may not see."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Any

import pytest

from frames.actions import versions, views
from frames.models import DataView, Frame, Grant, Project, Source
from frames.search.view_definition import Definition
from tests.factories import add_frames, make_frame, make_version

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.contrib.auth.models import User
    from django.test import Client

    from frames.models import Version

    Browse = Callable[[User | None], Client]


def save(*named: Version, project: Project | None = None, **parts: Any) -> DataView:
    scopes = [{"dataset": v.dataset.uid, "version": v.uid} for v in named]
    definition = Definition.from_json({"versions": scopes, "filters": [{}], **parts})
    return views.save_view(
        project=project or named[0].dataset.project,
        name="Cars",
        definition=definition,
        actor=None,
    )


def get(client: Client, view: DataView, query: str = "") -> dict[str, Any]:
    body: dict[str, Any] = client.get(f"/views/{view.uid}.json{query}").json()
    return body


def test_w2_details_stand_beside_the_list_they_were_found_in(
    version: Version, browse: Browse, viewer: User
) -> None:
    view = save(version)
    page = browse(viewer).get(f"/views/{view.uid}/?status=draft&sort=name").content.decode()
    assert 'aria-current="page"' in page
    assert 'href="/views/?status=draft&amp;sort=name"' in page
    assert "none" not in page[page.index("<title>") : page.index("</title>")]


def test_filters_show_their_counts_and_lead_to_the_frames(
    version: Version, browse: Browse, viewer: User
) -> None:
    view = save(version, filters=[{"q": "label:car"}, {"q": "label:bus", "weight": 3}])
    body = get(browse(viewer), view)
    assert [item["frames"] for item in body["filters"]] == [3, 1]
    assert body["frames"] == 4
    link = body["filters"][0]["versions"][0]
    assert link["url"].endswith("?q=label%3Acar")
    assert browse(viewer).get(link["url"].replace("/?", ".json?")).json()["matched"] == 3


def test_frames_come_in_order_under_mapped_and_numbered_labels(
    version: Version, browse: Browse, viewer: User
) -> None:
    view = save(
        version,
        filters=[{"q": "label:car OR label:bus"}],
        mapping={"rules": [{"source": {"labels": ["car"]}, "target": "vehicle"}]},
        labels_enumeration={"vehicle": 7},
    )
    items = get(browse(viewer), view)["items"]
    assert [item["id"] for item in items] == ["a-0", "a-2", "b-0", "b-1"]
    regions = [(roi["label"], roi["label_num"]) for roi in items[0]["rois"]]
    assert regions == [(["vehicle"], 7), (["person"], -1)]
    assert "vehicle" in browse(viewer).get(f"/views/{view.uid}/").content.decode()


def test_frames_are_paged(
    version: Version, browse: Browse, viewer: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("frames.web.view_detail.PAGE_SIZE", 4)
    view = save(version)
    client = browse(viewer)
    first = get(client, view)
    second = get(client, view, f"?after={first['next']}")
    assert (len(first["items"]), len(second["items"]), second["next"]) == (4, 2, None)
    assert get(client, view, "?after=x").get("field") == "after"
    assert client.get(f"/views/{view.uid}/?after=x").status_code == 400


def read_csv(client: Client, view: DataView) -> list[dict[str, str]]:
    response = client.get(f"/views/{view.uid}/?format=csv")
    text = b"".join(response.streaming_content).decode()  # type: ignore[attr-defined]
    return list(csv.DictReader(io.StringIO(text)))


def test_all_frames_are_listed_as_csv_in_the_view_s_order(
    version: Version, browse: Browse, viewer: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("frames.web.view_csv.CHUNK", 2)
    version = add_frames(version, [make_frame("=1+1", context_id="zz", labels=["car"])])
    view = save(
        version,
        filters=[{"q": "label:car"}],
        mapping={"rules": [{"source": {"labels": ["car"]}, "target": "vehicle"}]},
    )
    rows = read_csv(browse(viewer), view)
    assert [row["frame_id"] for row in rows] == ["a-0", "a-2", "b-1", "'=1+1"]
    assert rows[0]["labels"] == "vehicle | person"
    assert rows[0]["digest"] == bytes(Frame.objects.get(frame_id="a-0").digest).hex()


def test_what_has_no_end_is_not_listed(version: Version, browse: Browse, viewer: User) -> None:
    view = save(version, iteration={"infinite": True})
    response = browse(viewer).get(f"/views/{view.uid}/?format=csv")
    assert response.status_code == 400
    assert "format=csv" not in browse(viewer).get(f"/views/{view.uid}/").content.decode()


def test_frames_that_vanish_while_the_csv_is_read_have_no_line(
    version: Version, browse: Browse, viewer: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Garbage may be collected without a grace, also in the middle of a list."""
    view = save(version, iteration={"order": "random"})
    monkeypatch.setattr("frames.web.view_csv.CHUNK", 2)
    response = browse(viewer).get(f"/views/{view.uid}/?format=csv")
    lines = iter(response)
    first = next(lines) + next(lines)
    Source.objects.filter(frame__dataset=version.dataset).delete()
    Frame.objects.filter(dataset=version.dataset).delete()
    assert b"frame_id" in first
    assert b"".join(lines) == b""


def test_csv_of_a_view_holds_nothing_hidden(mixed: DataView, browse: Browse, viewer: User) -> None:
    assert {row["dataset"] for row in read_csv(browse(viewer), mixed)} == {
        Frame.objects.get(frame_id="a-0").dataset.name
    }


def test_a_live_view_says_how_it_has_drifted(
    version: Version, browse: Browse, editor: User
) -> None:
    view = save(version)
    client = browse(editor)
    assert get(client, view)["drift"] is None
    assert "This view is live" in client.get(f"/views/{view.uid}/").content.decode()
    versions.delete_frames(version, ["a-0", "a-1"], actor=None)
    assert get(client, view)["drift"] == "6 at save, 4 now"
    page = client.get(f"/views/{view.uid}/").content.decode()
    assert "6 at save, 4 now" in page
    assert "Save it again" in page


def test_other_frames_of_the_same_number_are_drift(
    version: Version, browse: Browse, viewer: User
) -> None:
    view = save(version)
    add_frames(version, [make_frame("a-0", meta={"changed": 1})])
    assert get(browse(viewer), view)["drift"] == "6 at save and now, but not the same frames"


def test_a_pinned_view_shows_its_hash_and_never_drifts(
    version: Version, browse: Browse, viewer: User
) -> None:
    versions.publish(version, actor=None, name="v1", reason="unchecked")
    view = save(version)
    child = versions.create_version(
        dataset=version.dataset, name="next", parents=[version], actor=None
    )
    versions.delete_frames(child, ["a-0"], actor=None)
    body = get(browse(viewer), view)
    assert (body["drift"], body["is_pinned"]) == (None, True)
    assert body["content_hash"] == view.content_hash
    assert view.content_hash in browse(viewer).get(f"/views/{view.uid}/").content.decode()


def test_a_hash_that_is_awaited_says_so(version: Version, browse: Browse, viewer: User) -> None:
    versions.publish(version, actor=None, name="v1", reason="unchecked")
    view = save(version)
    DataView.objects.filter(pk=view.pk).update(content_hash="")
    assert "being computed" in browse(viewer).get(f"/views/{view.uid}/").content.decode()


@pytest.fixture
def mixed(version: Version) -> DataView:
    """A view of the project's over its own version and one that its members may not see."""
    hidden = make_version(
        Project.objects.create(name="Secret project"),
        [make_frame(f"secret-{n}", labels=["spy"]) for n in range(3)],
    )
    scope = {"dataset": hidden.dataset.uid, "version": hidden.uid}
    return save(
        version,
        hidden,
        filters=[{"q": "label:car"}, {**scope, "q": "label:spy"}],
        mapping={"rules": [{"source": {**scope, "labels": ["spy"]}, "target": "agent"}]},
    )


def test_a_reader_sees_only_what_they_may_see(
    mixed: DataView, version: Version, browse: Browse, viewer: User
) -> None:
    client = browse(viewer)
    body = get(client, mixed)
    assert [item["visible"] for item in body["filters"]] == [True, False]
    assert body["filters"][1] == {"visible": False, "frames": 0}
    assert (body["frames"], body["frames_at_save"], body["definition"]) == (3, None, None)
    hidden = next(
        entry["dataset"]
        for entry in mixed.definition["versions"]
        if entry["dataset"] != version.dataset.uid
    )
    for address in (f"/views/{mixed.uid}/", f"/views/{mixed.uid}.json"):
        text = client.get(address).content.decode()
        for secret in ("spy", "agent", "secret-", "Secret project", hidden):
            assert secret not in text
    assert "not visible to you" in client.get(f"/views/{mixed.uid}/").content.decode()


def test_numbers_of_labels_do_not_tell_what_a_reader_may_not_see(
    version: Version, browse: Browse, viewer: User
) -> None:
    hidden = make_version(frames=[make_frame("h", labels=["prototype"])])
    view = save(version, hidden, labels_enumeration={"prototype": 1})
    page = browse(viewer).get(f"/views/{view.uid}/")
    assert page.status_code == 200
    assert "prototype" not in page.content.decode()


def test_the_table_does_not_tell_how_much_a_reader_may_not_see(
    mixed: DataView, browse: Browse, viewer: User
) -> None:
    client = browse(viewer)
    assert "not all visible to you" in client.get("/views/").content.decode()
    for address in ("/views/", f"/views/{mixed.uid}/"):
        assert "6 frames" not in client.get(address).content.decode()
    response = client.get("/views/?format=csv")
    row = b"".join(response.streaming_content).decode().splitlines()[1]  # type: ignore[attr-defined]
    assert row.endswith(f",,,{mixed.uid},")


def test_who_may_see_all_of_it_sees_all_of_it(
    mixed: DataView, browse: Browse, viewer: User
) -> None:
    secret = Project.objects.get(name="Secret project")
    Grant.objects.create(project=secret, user=viewer)
    body = get(browse(viewer), mixed)
    assert (body["frames"], body["frames_at_save"]) == (6, 6)
    assert body["filters"][1]["q"] == "label:spy"


def test_what_one_may_not_see_cannot_be_cloned(
    mixed: DataView, browse: Browse, editor: User
) -> None:
    client = browse(editor)
    client.post("/views/act/", {"one": f"clone {mixed.uid}"})
    assert DataView.objects.count() == 1
    assert "not visible to you" in client.get("/views/").content.decode()


def test_a_view_of_a_deleted_version_says_so(
    version: Version, browse: Browse, viewer: User
) -> None:
    view = save(version)
    versions.delete_version(version, actor=None)
    response = browse(viewer).get(f"/views/{view.uid}/")
    assert response.status_code == 200
    assert "not there, or not visible to you" in response.content.decode()


def test_a_view_whose_dataset_came_to_too_many_versions_says_so(
    version: Version, browse: Browse, editor: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    scope = {"dataset": version.dataset.uid, "version": "*"}
    view = views.save_view(
        project=version.dataset.project,
        name="All",
        definition=Definition.from_json({"versions": [scope], "filters": [{}]}),
        actor=None,
    )
    versions.create_version(dataset=version.dataset, name="More", actor=None)
    monkeypatch.setattr("frames.search.views.VERSIONS_MAX", 1)
    client = browse(editor)
    assert "more than 1 versions" in client.get(f"/views/{view.uid}/").content.decode()
    assert client.get(f"/views/{view.uid}/?format=csv").status_code == 400
    response = client.get(f"/views/{view.uid}/edit/", follow=True)
    assert "more than 1 versions" in response.content.decode()


def test_a_view_without_end_shows_its_first_frames(
    version: Version, browse: Browse, viewer: User
) -> None:
    body = get(browse(viewer), save(version, iteration={"order": "random", "infinite": True}))
    assert (len(body["items"]), body["length"]) == (24, None)
    assert body["next"]


def test_the_page_asks_as_much_for_many_frames_as_for_few(
    project: Project, browse: Browse, viewer: User, django_assert_max_num_queries: Any
) -> None:
    client = browse(viewer)
    for count in (4, 100):
        frames = [make_frame(f"{count}-{n}", timestamp=n, labels=["car"]) for n in range(count)]
        view = save(make_version(project, frames), filters=[{"q": "label:car"}])
        with django_assert_max_num_queries(25):
            client.get(f"/views/{view.uid}/")


def test_the_admin_publishes_and_the_editor_edits(
    version: Version, browse: Browse, viewer: User, editor: User, admin: User
) -> None:
    view = save(version)
    pages = {
        user.username: browse(user).get(f"/views/{view.uid}/").content.decode()
        for user in (viewer, editor, admin)
    }
    assert ["Edit</a>" in pages[name] for name in ("viewer", "editor", "admin")] == [
        False,
        True,
        True,
    ]
    assert ["Publish" in pages[name] for name in ("viewer", "editor", "admin")] == [
        False,
        False,
        True,
    ]
