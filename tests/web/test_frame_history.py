"""A frame's history page, and restoring from it and from a comparison."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from frames.actions import versions
from frames.models import AuditEvent, Frame, Version
from tests.factories import add_frames, make_frame
from tests.web.support import HOSTILE

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from django.contrib.auth.models import User
    from django.test import Client

    Browse = Callable[[User | None], Client]


@pytest.fixture
def release(version: Version) -> Version:
    """The version, published as v1."""
    return versions.publish(version, actor=None, name="v1", reason="unchecked")


@pytest.fixture
def draft(release: Version) -> Version:
    """Its child, in which a-0 has one box less, b-0 is gone and `new` has come."""
    child = versions.create_version(
        dataset=release.dataset, name="Current", parents=[release], actor=None
    )
    versions.delete_frames(child, ["b-0"], actor=None)
    changed = make_frame("a-0", context_id="drive/a", labels=["car"], meta={"checked": True})
    return add_frames(child, [changed, make_frame("new", context_id="drive/a", timestamp=99)])


def address(version: Version) -> str:
    return f"/datasets/{version.dataset.uid}/versions/{version.uid}"


def labels(version: Version, frame_id: str) -> list[str]:
    """Return the labels that a version's frame has; raise if it does not hold the frame."""
    from frames.index import membership

    rows = Frame.objects.at(version.dataset, membership.members(version.pk))
    return [label for roi in rows.get(frame_id=frame_id).rois for label in roi["label"]]


def test_a_frames_page_leads_to_its_history(draft: Version, browse: Browse, viewer: User) -> None:
    client = browse(viewer)
    page = client.get(f"{address(draft)}/frames/a-0/").content.decode()
    assert f'href="{address(draft)}/history/?id=a-0"' in page
    history = client.get(f"{address(draft)}/history/", {"id": "a-0"}).content.decode()
    assert "2 revisions" in history
    assert "checked: none → true" in history
    assert "person: removed" in history
    assert f'href="{address(draft.parents.get())}/frames/a-0/"' in history
    assert "Restore into" not in history, "a viewer changes nothing"


def test_a_history_is_told_in_json(draft: Version, browse: Browse, viewer: User) -> None:
    body = browse(viewer).get(f"{address(draft)}/history.json", {"id": "a-0"}).json()
    newest, first = body["items"]
    assert body["total"] == 2
    assert [v["name"] for v in newest["held_by"]] == ["Current"]
    assert [v["name"] for v in first["held_by"]] == ["v1"]
    assert newest["frame"]["meta"] == {"checked": True}
    assert first["changes"] == []


def test_a_frame_that_never_was_has_no_history_page(
    draft: Version, browse: Browse, viewer: User
) -> None:
    client = browse(viewer)
    assert client.get(f"{address(draft)}/history/", {"id": "nobody"}).status_code == 404
    assert client.get(f"{address(draft)}/history/").status_code == 404
    response = client.get(f"{address(draft)}/history/", {"id": "a-0", "after": "nonsense"})
    assert response["Location"] == f"{address(draft)}/history/?id=a-0"


def test_names_in_a_history_are_escaped(version: Version, browse: Browse, viewer: User) -> None:
    for number in range(2):
        add_frames(version, [make_frame(HOSTILE, labels=[HOSTILE], meta={HOSTILE: number})])
    page = browse(viewer).get(f"{address(version)}/history/", {"id": HOSTILE})
    assert "<script>alert" not in page.content.decode()


def test_a_frame_is_restored_from_its_history(
    draft: Version, release: Version, browse: Browse, editor: User
) -> None:
    client = browse(editor)
    history = client.get(f"{address(draft)}/history/", {"id": "a-0"}).content.decode()
    restore = f"{address(draft)}/restore/?from={release.uid}&id=a-0"
    assert history.count("Restore into Current") == 1
    assert restore.replace("&", "&amp;") in history
    asked = client.get(restore).content.decode()
    assert "Restore a-0 from v1?" in asked
    assert "Current gets the frame a-0 as v1 has it." in asked
    for frame_id, said in (
        ("b-0", "Current does not have the frame b-0, and gets it."),
        ("new", "v1 does not have the frame new. It is taken out."),
        ("still", "Nothing would change."),
    ):
        other = client.get(f"{address(draft)}/restore/?from={release.uid}&id={frame_id}")
        assert said in other.content.decode()
    response = client.post(restore)
    base = f"/datasets/{draft.dataset.uid}/compare"
    assert response["Location"] == f"{base}/{release.uid}/{draft.uid}/"
    assert labels(draft, "a-0") == ["car", "person"]
    event = AuditEvent.objects.get(verb="restore")
    assert (event.actor, event.details["source"]) == (editor, release.uid)


def test_a_frame_that_never_was_is_not_restored(
    draft: Version, release: Version, browse: Browse, editor: User
) -> None:
    """Of a frame that neither version has the page does not say that it is the same in both."""
    client = browse(editor)
    for version in (draft, release):
        restore = f"{address(version)}/restore/?from={release.uid}&id=nobody"
        assert client.get(restore).status_code == 404
        assert client.post(restore).status_code == 404
    add_frames(draft, [make_frame("elsewhere")])
    other = versions.create_version(
        dataset=draft.dataset, name="other", parents=[release], actor=None
    )
    restore = f"{address(other)}/restore/?from={release.uid}&id=elsewhere"
    asked = client.get(restore).content.decode()
    assert "Neither other nor v1 has the frame elsewhere. Nothing would change." in asked


def test_a_whole_version_is_restored_with_its_counts_told(
    draft: Version, release: Version, browse: Browse, editor: User
) -> None:
    client = browse(editor)
    compared = client.get(f"/datasets/{draft.dataset.uid}/compare/{release.uid}/{draft.uid}/")
    restore = f"{address(draft)}/restore/?from={release.uid}"
    assert f'href="{restore}"' in compared.content.decode()
    asked = client.get(restore).content.decode()
    assert "1 frame changed back, 1 added, 1 taken out" in asked
    client.post(restore)
    draft.refresh_from_db()
    assert draft.frame_count == 6
    again = client.get(restore).content.decode()
    assert "have the same frames" in again


def test_a_comparison_offers_to_restore_each_frame(
    draft: Version, release: Version, browse: Browse, editor: User, viewer: User
) -> None:
    compared = f"/datasets/{draft.dataset.uid}/compare/{release.uid}/{draft.uid}/"
    restore = f"{address(draft)}/restore/?from={release.uid}&amp;id="
    for side, frame_id in (("changed", "a-0"), ("added", "new"), ("removed", "b-0")):
        page = browse(editor).get(compared, {"side": side}).content.decode()
        assert f'href="{restore}{frame_id}"' in page
        assert "restore" not in browse(viewer).get(compared, {"side": side}).content.decode()
    browse(editor).post(f"{address(draft)}/restore/?from={release.uid}&id=new")
    browse(editor).post(f"{address(draft)}/restore/?from={release.uid}&id=b-0")
    draft.refresh_from_db()
    assert draft.frame_count == 6
    assert labels(draft, "b-0") == ["bus"]


def test_restoring_into_a_published_version_asks_for_a_draft(
    draft: Version, release: Version, browse: Browse, editor: User
) -> None:
    client = browse(editor)
    restore = f"{address(release)}/restore/?from={draft.uid}&id=a-0"
    asked = client.get(restore).content.decode()
    assert "v1 is published and cannot change" in asked
    response = client.post(restore, {"draft": draft.uid})
    assert response["Location"] == f"{address(draft)}/restore/?from={draft.uid}&id=a-0"
    assert client.post(restore, {"draft": "nonsense"}).status_code == 400
    versions.delete_version(draft, actor=None)
    gone = client.get(f"{address(release)}/restore/?from={release.uid}").content.decode()
    assert "The dataset has no draft" in gone


@pytest.mark.parametrize(("persona", "status"), [("viewer", 403), ("outsider", 404)])
def test_who_may_not_change_restores_nothing(
    draft: Version,
    release: Version,
    browse: Browse,
    persona: str,
    status: int,
    request: pytest.FixtureRequest,
) -> None:
    client = browse(request.getfixturevalue(persona))
    restore = f"{address(draft)}/restore/?from={release.uid}"
    assert client.get(restore).status_code == status
    assert client.post(restore).status_code == status
    assert labels(draft, "a-0") == ["car"]


def test_an_id_that_no_frame_can_have_is_not_found(
    draft: Version, browse: Browse, editor: User
) -> None:
    for query in (f"from={draft.uid}&id=%00", "from=%00", ""):
        assert browse(editor).get(f"{address(draft)}/restore/?{query}").status_code == 404
    assert browse(editor).get(f"{address(draft)}/history/?id=%00").status_code == 404


def test_nothing_is_restored_from_another_dataset(
    draft: Version, project: object, browse: Browse, editor: User
) -> None:
    from tests.factories import make_version

    other = make_version(draft.dataset.project)
    restore = f"{address(draft)}/restore/?from={other.uid}"
    assert browse(editor).post(restore).status_code == 404


def test_a_history_asks_the_same_number_of_queries_whatever_it_shows(
    version: Version,
    browse: Browse,
    viewer: User,
    django_assert_max_num_queries: Callable[[int], AbstractContextManager[object]],
) -> None:
    """Of a frame with many revisions that many versions hold."""
    for number in range(15):
        add_frames(version, [make_frame("a-0", meta={"n": number})])
        _, version = versions.snapshot(
            version,
            actor=None,
            name=f"v{number}",
            child_name=f"draft {number}",
            reason="unchecked",
        )
    client = browse(viewer)
    with django_assert_max_num_queries(20):
        page = client.get(f"{address(version)}/history/", {"id": "a-0"})
    assert page.content.decode().count('class="revision"') == 12
