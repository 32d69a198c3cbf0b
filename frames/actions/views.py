"""Saving, publishing, cloning, archiving, moving and deleting data views."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from django.core.cache import cache
from django.db import transaction
from django.utils import timezone

from frames.actions import audit
from frames.actions.fields import NAME_MAX_CHARS, Refused, clean_description, clean_name
from frames.actions.queue import enqueue
from frames.models import DataView, Version
from frames.search import views
from frames.search.errors import QueryError
from frames.search.view_definition import Definition, DefinitionError, Problem

if TYPE_CHECKING:
    from django.contrib.auth.models import User

    from frames.models import Project
    from frames.models.version import VersionQuerySet
    from frames.search.views import ViewFrames

# More would keep whoever saves waiting: their dataset is read from end to end.
HASHED_AT_ONCE_MAX: Final = views.READ_AT_ONCE_MAX
HASH_WAIT: Final = timedelta(minutes=30)


def save_view(
    *,
    project: Project,
    name: str,
    definition: Definition,
    actor: User | None,
    description: str = "",
) -> DataView:
    """Make a draft. Raises Refused, and DefinitionError where the definition cannot be answered.

    It may name versions of any project that the actor is in.
    """
    return _create(project, clean_name(name, "view"), description, definition, actor, "create")


def update_view(
    view: DataView,
    *,
    actor: User | None,
    name: str | None = None,
    description: str | None = None,
    definition: Definition | None = None,
    seen: str = "",
) -> DataView:
    """Change a draft. Raises Refused, and DefinitionError as `save_view` does.

    `seen` is the `saved_at`, in ISO format, of what the change was made from: a view that somebody
    else has saved since is not written over.
    """
    state = {} if definition is None else _state(_checked(definition, actor))
    with transaction.atomic():
        view = _lock_draft(view)
        if seen and view.saved_at and seen != view.saved_at.isoformat():
            raise Refused(f"Somebody has saved {view.name} since you opened it. Open it again.")
        changed: dict[str, Any] = {}
        if name is not None:
            changed["name"] = clean_name(name, "view")
        if description is not None:
            changed["description"] = clean_description(description)
        if definition is not None:
            changed["definition"] = definition.as_json()
        before = {field: getattr(view, field) for field in changed}
        for field, value in {**changed, **state}.items():
            setattr(view, field, value)
        view.save(update_fields=[*changed, *state])
        _hash_later(view)
        _record("update", view, actor, before=before, after=changed)
    return view


def publish_view(view: DataView, *, actor: User | None) -> DataView:
    """Make a draft final, with what it holds now as what it held at saving. Raises Refused."""
    state = _state(_checked(_definition_of(view), actor))
    with transaction.atomic():
        view = _lock_draft(view)
        changed = {"status": DataView.Status.PUBLISHED, "published_at": timezone.now(), **state}
        for field, value in changed.items():
            setattr(view, field, value)
        view.save(update_fields=[*changed])
        _record("publish", view, actor, frames=view.saved_count)
        _hash_later(view)
    return view


def clone_view(view: DataView, *, actor: User | None, name: str = "") -> DataView:
    """Make a draft that asks for the same, in the same project. Raises Refused."""
    name = clean_name(name or f"Clone of {view.name}"[:NAME_MAX_CHARS], "view")
    definition = _definition_of(view)
    return _create(
        view.project, name, view.description, definition, actor, "clone", source=view.uid
    )


def archive_view(view: DataView, *, actor: User | None) -> DataView:
    """Put a view into the archive. Raises Refused."""
    with transaction.atomic():
        view = _lock(view)
        if view.is_archived:
            raise Refused(f"{view.name} is in the archive already.")
        view.archived_at = timezone.now()
        view.save(update_fields=["archived_at"])
        _record("archive", view, actor)
    return view


def restore_view(view: DataView, *, actor: User | None) -> DataView:
    """Take a view out of the archive. Raises Refused."""
    with transaction.atomic():
        view = _lock_archived(view)
        view.archived_at = None
        view.save(update_fields=["archived_at"])
        _record("restore", view, actor)
    return view


def delete_view(view: DataView, *, actor: User | None) -> None:
    """Delete a view that is in the archive, published or not. Raises Refused."""
    with transaction.atomic():
        view = _lock_archived(view)
        _record("delete", view, actor, definition=view.definition, frames=view.saved_count)
        view.delete()


def move_view(view: DataView, *, project: Project, actor: User | None) -> DataView:
    """Move a view to another project, whose members then see it. Raises Refused."""
    with transaction.atomic():
        view = _lock(view)
        if view.project_id == project.pk:
            raise Refused(f"{view.name} is in {project.name} already.")
        before = view.project
        view.project = project
        view.save(update_fields=["project"])
        # In both logs: those of the old project can read where it went.
        audit.record("move", view, project=before, actor=actor, to=project.uid)
        _record("move", view, actor, source=before.uid)
    return view


def hash_view(view_pk: int) -> None:
    """Compute the content hash that a pinned view waits for. Does nothing if it waits for none."""
    view = DataView.objects.filter(pk=view_pk, is_pinned=True, content_hash="").first()
    if view is None:
        return
    found = views.evaluate(_definition_of(view), _visible_versions(None))
    if found.error:
        return  # what took too long is asked again by the sweep
    # Its dataset may have been deleted since: what is not all there has no hash.
    result: dict[str, Any] = (
        {"content_hash": views.content_hash(found)} if found.is_pinned else {"is_pinned": False}
    )
    # Whoever saved it in the meantime has asked for another hash.
    DataView.objects.filter(pk=view.pk, saved_at=view.saved_at).update(**result)


def sweep() -> None:
    """Send again the hashes that a lost worker or a lost queue left waiting."""
    # Ten million frames take minutes, in which they are not to be hashed twice.
    long_ago = timezone.now() - HASH_WAIT
    waiting = DataView.objects.filter(is_pinned=True, content_hash="", saved_at__lt=long_ago)
    for pk, uid in waiting.values_list("pk", "uid")[:100]:
        if cache.add(f"hash_view:{uid}", 1, timeout=HASH_WAIT.total_seconds()):
            enqueue("frames.hash_view", view_pk=pk)


def _create(
    project: Project,
    name: str,
    description: str,
    definition: Definition,
    actor: User | None,
    verb: str,
    **details: Any,
) -> DataView:
    description = clean_description(description)
    state = _state(_checked(definition, actor))
    with transaction.atomic():
        view = DataView.objects.create(
            project=project,
            name=name,
            description=description,
            definition=definition.as_json(),
            created_by=actor,
            **state,
        )
        _record(verb, view, actor, frames=view.saved_count, **details)
        _hash_later(view)
    return view


def _definition_of(view: DataView) -> Definition:
    try:
        return Definition.from_json(view.definition)
    except DefinitionError as error:
        raise Refused(f"{view.name} cannot be read: {error}") from error


def _checked(definition: Definition, actor: User | None) -> ViewFrames:
    """Return what a definition holds; raise DefinitionError for what its saver cannot see."""
    try:
        found = views.evaluate(definition, _visible_versions(actor))
    except QueryError as error:
        raise DefinitionError([Problem((error.field,), error.message)]) from error
    problems = [
        Problem(("versions", n), "This version is not there, or not visible to you.")
        for n, scope in enumerate(definition.versions)
        if scope in found.missing
    ]
    problems += [
        Problem(("filters", n, "q"), item.error.message)
        for n, item in enumerate(found.filters)
        if item.error is not None
    ]
    if problems:
        raise DefinitionError(problems)
    return found


def _visible_versions(actor: User | None) -> VersionQuerySet:
    """Return the versions an actor may name; the operator may name all that are there."""
    if actor is None:
        return Version.objects.filter(dataset__deleted_at=None)
    return Version.objects.visible_to(actor)


def _state(found: ViewFrames) -> dict[str, Any]:
    """Return what a view holds, as the columns that keep it; outside of any lock, for the hash."""
    is_hashed = found.is_pinned and found.count <= HASHED_AT_ONCE_MAX
    return {
        "saved_at": timezone.now(),
        "saved_count": found.count,
        "fingerprint": found.fingerprint,
        "is_pinned": found.is_pinned,
        "content_hash": views.content_hash(found) if is_hashed else "",
    }


def _hash_later(view: DataView) -> None:
    if view.is_pinned and not view.content_hash:
        enqueue("frames.hash_view", view_pk=view.pk)


def _lock(view: DataView) -> DataView:
    found = (
        DataView.objects.select_for_update(of=("self",))
        .select_related("project")
        .filter(pk=view.pk)
        .first()
    )
    if found is None:
        raise Refused(f"{view.name} has been deleted.")
    return found


def _lock_draft(view: DataView) -> DataView:
    view = _lock(view)
    if not view.is_draft:
        raise Refused(f"{view.name} is published and cannot change. Clone it.")
    if view.is_archived:
        raise Refused(f"{view.name} is in the archive. Restore it first.")
    return view


def _lock_archived(view: DataView) -> DataView:
    view = _lock(view)
    if not view.is_archived:
        raise Refused(f"{view.name} is not in the archive.")
    return view


def _record(verb: str, view: DataView, actor: User | None, **details: Any) -> None:
    audit.record(verb, view, project=view.project, actor=actor, **details)
