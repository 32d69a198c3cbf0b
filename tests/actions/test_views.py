"""Saving, publishing, cloning, archiving, moving and deleting data views."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from django.utils import timezone

from frames.actions import versions, views
from frames.actions.fields import Refused
from frames.models import AuditEvent, Dataset, DataView, Grant, Project, Version
from frames.search import views as search
from frames.search.view_definition import Definition, DefinitionError
from tests.factories import add_frames, make_frame, make_version

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.contrib.auth.models import User


def definition(*named: Version, **parts: Any) -> Definition:
    """Return a definition over some versions; without filters it takes all."""
    scopes = [{"dataset": v.dataset.uid, "version": v.uid} for v in named]
    return Definition.from_json({"versions": scopes, "filters": [{}], **parts})


@pytest.fixture
def version(project: Project) -> Version:
    return make_version(project, [make_frame(f"f{n}", labels=["car"]) for n in range(6)])


@pytest.fixture
def published(version: Version) -> Version:
    return versions.publish(version, actor=None, name="v1", reason="unchecked")


def save(version: Version, actor: User | None = None, **fields: Any) -> DataView:
    asked = fields.pop("definition", None) or definition(version)
    given = {"project": version.dataset.project, "name": "Cars", "actor": actor, **fields}
    return views.save_view(definition=asked, **given)


def verbs() -> list[str]:
    events = AuditEvent.objects.filter(object_kind="dataview").order_by("pk")
    return list(events.values_list("verb", flat=True))


def test_saving_keeps_what_the_view_held(version: Version, editor: User) -> None:
    view = save(version, editor, description="All of them")
    assert (view.status, view.saved_count, view.is_pinned) == ("draft", 6, False)
    assert (view.created_by, view.description) == (editor, "All of them")
    assert view.content_hash == ""
    assert view.fingerprint
    assert AuditEvent.objects.get(verb="create", object_uid=view.uid).actor == editor


def test_a_view_of_published_versions_has_its_hash(published: Version) -> None:
    view = save(published)
    assert view.is_pinned
    assert len(view.content_hash) == 64


def test_changing_a_draft_never_changes_the_hash_of_a_pinned_view(
    version: Version, published: Version
) -> None:
    first = save(published)
    child = versions.create_version(
        dataset=published.dataset, name="next", parents=[published], actor=None
    )
    child = add_frames(child, [make_frame("f0", meta={"changed": 1}), make_frame("new")])
    versions.delete_frames(child, ["f1"], actor=None)
    again = save(published)
    assert (again.content_hash, again.saved_count) == (first.content_hash, first.saved_count)
    assert again.fingerprint == first.fingerprint


def test_a_large_view_is_hashed_by_the_queue(
    published: Version,
    monkeypatch: pytest.MonkeyPatch,
    run_queue: Callable[[], list[str]],
    django_capture_on_commit_callbacks: Any,
) -> None:
    expected = save(published).content_hash
    monkeypatch.setattr(views, "HASHED_AT_ONCE_MAX", 5)
    with django_capture_on_commit_callbacks(execute=True):
        view = save(published)
    assert view.content_hash == ""
    assert "frames.hash_view" in run_queue()
    view.refresh_from_db()
    assert view.content_hash == expected


def test_a_hash_that_was_lost_is_sent_again(
    published: Version,
    run_queue: Callable[[], list[str]],
    django_capture_on_commit_callbacks: Any,
) -> None:
    view = save(published)
    expected = view.content_hash
    DataView.objects.filter(pk=view.pk).update(content_hash="")
    with django_capture_on_commit_callbacks(execute=True):
        views.sweep()
    assert "frames.hash_view" not in run_queue()
    long_ago = timezone.now() - 2 * views.HASH_WAIT
    DataView.objects.filter(pk=view.pk).update(saved_at=long_ago)
    with django_capture_on_commit_callbacks(execute=True):
        views.sweep()
    run_queue()
    view.refresh_from_db()
    assert view.content_hash == expected


def test_a_hash_that_takes_long_is_not_sent_with_every_sweep(
    published: Version, monkeypatch: pytest.MonkeyPatch
) -> None:
    view = save(published)
    long_ago = timezone.now() - 2 * views.HASH_WAIT
    DataView.objects.filter(pk=view.pk).update(content_hash="", saved_at=long_ago)
    sent: list[int] = []
    monkeypatch.setattr(views, "enqueue", lambda task, view_pk: sent.append(view_pk))
    for _ in range(3):
        views.sweep()
    assert sent == [view.pk]


def test_a_hash_of_what_was_deleted_is_awaited_no_more(published: Version) -> None:
    view = save(published)
    DataView.objects.filter(pk=view.pk).update(content_hash="")
    Dataset.objects.filter(pk=published.dataset_id).update(deleted_at=timezone.now())
    views.hash_view(view.pk)
    view.refresh_from_db()
    assert (view.is_pinned, view.content_hash) == (False, "")


def test_a_hash_is_not_kept_for_what_was_saved_in_the_meantime(
    published: Version, monkeypatch: pytest.MonkeyPatch
) -> None:
    view = save(published)
    DataView.objects.filter(pk=view.pk).update(content_hash="")
    real = search.content_hash

    def slow(found: search.ViewFrames) -> str:
        monkeypatch.setattr(search, "content_hash", real)
        views.update_view(
            view, definition=definition(published, labels_enumeration={"car": 1}), actor=None
        )
        return real(found)

    monkeypatch.setattr(search, "content_hash", slow)
    views.hash_view(view.pk)
    view.refresh_from_db()
    assert (
        view.content_hash
        == save(
            published, definition=definition(published, labels_enumeration={"car": 1})
        ).content_hash
    )


def test_what_the_saver_may_not_see_cannot_be_named(version: Version, editor: User) -> None:
    hidden = make_version(frames=[make_frame("h")])
    with pytest.raises(DefinitionError) as refused:
        save(version, editor, definition=definition(version, hidden))
    assert refused.value.problems[0].path == ("versions", 1)
    assert not DataView.objects.exists()


def test_versions_of_another_project_can_be_named_by_who_is_in_both(
    version: Version, editor: User
) -> None:
    other = make_version(frames=[make_frame("o")])
    Grant.objects.create(project=other.dataset.project, user=editor, role=Grant.Role.VIEWER)
    assert save(version, editor, definition=definition(version, other)).saved_count == 7


def test_a_filter_that_cannot_be_read_is_not_saved(version: Version) -> None:
    with pytest.raises(DefinitionError) as refused:
        save(version, definition=definition(version, filters=[{}, {"q": "label:("}]))
    assert refused.value.problems[0].path == ("filters", 1, "q")


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"name": " "}, "Give the view a name"),
        ({"name": "x" * 256}, "longer than 255"),
        ({"description": "x" * 10_001}, "description"),
    ],
)
def test_names_and_descriptions_are_checked(
    version: Version, fields: dict[str, Any], said: str
) -> None:
    with pytest.raises(Refused, match=said):
        save(version, **fields)


def test_updating_a_draft_takes_what_it_holds_now(version: Version) -> None:
    view = save(version)
    add_frames(version, [make_frame("more")])
    view = views.update_view(view, name="More", definition=definition(version), actor=None)
    assert (view.name, view.saved_count) == ("More", 7)
    assert verbs() == ["create", "update"]


def test_a_view_saved_by_somebody_else_is_not_written_over(version: Version) -> None:
    view = save(version)
    assert view.saved_at is not None
    seen = view.saved_at.isoformat()
    views.update_view(view, definition=definition(version), actor=None, seen=seen)
    with pytest.raises(Refused, match="since you opened it"):
        views.update_view(view, name="Mine", definition=definition(version), actor=None, seen=seen)


def test_a_published_view_cannot_change_but_be_cloned(version: Version) -> None:
    view = views.publish_view(save(version), actor=None)
    assert (view.status, view.published_at is not None) == ("published", True)
    with pytest.raises(Refused, match="Clone it"):
        views.update_view(view, name="Other", actor=None)
    with pytest.raises(Refused, match="published"):
        views.publish_view(view, actor=None)
    clone = views.clone_view(view, actor=None)
    assert (clone.name, clone.status) == ("Clone of Cars", "draft")
    assert clone.definition == view.definition
    assert verbs() == ["create", "publish", "clone"]


def test_publishing_takes_what_the_view_holds_now(version: Version) -> None:
    view = save(version)
    add_frames(version, [make_frame("more")])
    assert views.publish_view(view, actor=None).saved_count == 7


def test_only_what_is_archived_is_deleted_and_what_is_archived_stays_as_it_is(
    version: Version,
) -> None:
    view = save(version)
    with pytest.raises(Refused, match="not in the archive"):
        views.delete_view(view, actor=None)
    view = views.archive_view(view, actor=None)
    for act in (views.archive_view, views.publish_view):
        with pytest.raises(Refused, match="in the archive"):
            act(view, actor=None)
    with pytest.raises(Refused, match="in the archive"):
        views.update_view(view, name="Other", actor=None)
    view = views.restore_view(view, actor=None)
    assert not view.is_archived
    views.delete_view(views.archive_view(view, actor=None), actor=None)
    assert not DataView.objects.exists()
    with pytest.raises(Refused, match="deleted"):
        views.archive_view(view, actor=None)
    assert verbs() == ["create", "archive", "restore", "archive", "delete"]


def test_moving_changes_who_sees_it_and_both_logs_know(version: Version, viewer: User) -> None:
    view = save(version)
    other = Project.objects.create(name="Elsewhere")
    assert DataView.objects.visible_to(viewer).exists()
    views.move_view(view, project=other, actor=None)
    assert not DataView.objects.visible_to(viewer).exists()
    events = AuditEvent.objects.filter(verb="move", object_uid=view.uid)
    assert {event.project for event in events} == {version.dataset.project, other}
    with pytest.raises(Refused, match="already"):
        views.move_view(view, project=other, actor=None)
