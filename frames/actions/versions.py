"""Making, publishing, changing and deleting versions."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from django.db import transaction
from django.utils import timezone
from pyroaring import BitMap

from frames.actions import audit, checks
from frames.actions.datasets import CURRENT
from frames.actions.fields import (
    Refused,
    clean_description,
    clean_metadata,
    clean_name,
    clean_reason,
    clean_tags,
    refuse_taken,
)
from frames.actions.frames import change_membership, lock_dataset, lock_draft
from frames.index import membership, store
from frames.index.reader import DatasetIndex
from frames.models import Dataset, DeletedVersion, Frame, Job, Version
from frames.models.base import name_key
from frames.models.frame import ordinal_of
from frames.search.merge import Rule, unite

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from django.contrib.auth.models import User

# So many conflicts are listed to be chosen one by one; more take one rule for all.
CONFLICTS_LISTED_MAX: Final = 1_000


class VersionConflict(Refused):
    """Parents hold different revisions of some frames, and nobody has said which to take.

    `frame_ids` are the first of them, at most CONFLICTS_LISTED_MAX; `count` is how many there are.
    """

    def __init__(self, frame_ids: list[str], count: int) -> None:
        super().__init__(
            f"The parents hold different revisions of {count:,} frames. "
            "Choose which parent's to take."
        )
        self.frame_ids = frame_ids
        self.count = count


def create_version(
    *,
    dataset: Dataset,
    name: str,
    parents: Sequence[Version] = (),
    actor: User | None,
    description: str = "",
    rule: Rule | None = None,
    chosen: Mapping[str, str] | None = None,
) -> Version:
    """Make a draft that holds what its published parents hold; without parents it is empty.

    Where parents hold different revisions of a frame, `chosen` (frame id to the uid of a parent)
    decides, then `rule`. Raises Refused, and VersionConflict where neither does.
    Queries: a dozen, whatever the parents' size, and 1 for each 500 frames chosen.
    """
    name = clean_name(name, "version")
    description = clean_description(description)
    with transaction.atomic():
        dataset = lock_dataset(dataset.pk)
        refuse_taken(name, dataset.versions.all(), dataset, "version")
        sources = _published_parents(dataset, parents)
        version = Version.objects.create(
            dataset=dataset,
            name=name,
            description=description,
            created_by=actor,
            metadata=_merged_metadata(sources),
        )
        version.parents.set(sources)
        if len(sources) == 1:
            _copy(sources[0], version)
        elif sources:
            _unite(version, sources, rule, chosen or {})
        _touch(dataset, actor)
        _record("create", version, actor, parents=[parent.uid for parent in sources])
    version.refresh_from_db()
    return version


def draft_for_writing(dataset: Dataset, *, actor: User | None) -> Version:
    """Return the dataset's newest draft; where all are published, a new child of the newest."""
    with transaction.atomic():
        lock_dataset(dataset.pk)
        draft = dataset.versions.drafts().order_by("-updated_at", "-pk").first()
        if draft is not None:
            return draft
        parents = dataset.versions.published().order_by("-published_at", "-pk")[:1]
        return create_version(
            dataset=dataset, name=_free_name(dataset, CURRENT), parents=list(parents), actor=actor
        )


def publish(version: Version, *, actor: User | None, name: str = "", reason: str = "") -> Version:
    """Make a draft final, under a new name if one is given. Raises Refused.

    It must have passed its checks as it is now, or there is a `reason` why it need not, which
    stays in the audit log.
    """
    with transaction.atomic():
        version = _lock_draft(version)
        _refuse_while_importing(version)
        checked = checks.refuse_unchecked(version, clean_reason(reason))
        version.status = Version.Status.PUBLISHED
        version.published_at = version.updated_at = timezone.now()
        if name:
            version.name = _new_name(version, name)
        version.save(update_fields=["status", "published_at", "updated_at", "name"])
        _touch(version.dataset, actor)
        _record("publish", version, actor, **checked)
    return version


def snapshot(
    version: Version,
    *,
    actor: User | None,
    name: str = "",
    child_name: str = CURRENT,
    child_description: str = "",
    reason: str = "",
) -> tuple[Version, Version]:
    """Publish a draft under a name, or the time, and continue it in a new draft; return both.

    The version keeps its id. What holds for `publish` holds here. Raises Refused.
    """
    with transaction.atomic():
        now = datetime.now(UTC).replace(microsecond=0, tzinfo=None)
        published = publish(
            version, actor=actor, name=name or f"snapshot {now.isoformat()}", reason=reason
        )
        child = create_version(
            dataset=published.dataset,
            name=child_name,
            parents=[published],
            actor=actor,
            description=child_description,
        )
    return published, child


def update_version(
    version: Version,
    *,
    actor: User | None,
    name: str | None = None,
    description: str | None = None,
    tags: Sequence[str] | None = None,
    metadata: Any = None,
) -> Version:
    """Change what is said of a version; of a published one all but its metadata. Raises Refused."""
    with transaction.atomic():
        dataset = lock_dataset(version.dataset_id)
        version = _fresh(version)
        changed: dict[str, Any] = {}
        if name is not None:
            changed["name"] = _new_name(version, name)
        if description is not None:
            changed["description"] = clean_description(description)
        if tags is not None:
            changed["tags"] = clean_tags(tags)
        if metadata is not None:
            if not version.is_draft:
                raise Refused(
                    f"{version.name} is published: its metadata cannot change. "
                    "Create a new version of it, and change that one's."
                )
            changed["metadata"] = clean_metadata(metadata)
        before = {field: getattr(version, field) for field in changed}
        for field, value in changed.items():
            setattr(version, field, value)
        version.updated_at = timezone.now()
        version.save(update_fields=[*changed, "updated_at"])
        _touch(dataset, actor)
        _record("update", version, actor, before=before, after=changed)
    return version


def delete_version(version: Version, *, actor: User | None) -> None:
    """Delete a draft that has no children; its frames' rows are collected later. Raises Refused.

    What is left is a DeletedVersion, which tells who follows an old link what took its place.
    """
    with transaction.atomic():
        version = _lock_draft(version)
        _refuse_while_importing(version)
        if version.children.exists():
            raise Refused(f"{version.name} has children. Delete those first.")
        parents = list(version.parents.order_by("pk"))
        _record(
            "delete",
            version,
            actor,
            dataset=version.dataset.uid,
            parents=[parent.uid for parent in parents],
        )
        DeletedVersion.objects.create(
            dataset=version.dataset,
            uid=version.uid,
            name=version.name,
            deleted_by=actor,
            replaced_by=parents[0] if parents else None,
        )
        membership.delete(version.pk)
        version.delete()
        _touch(version.dataset, actor)


def delete_frames(version: Version, frame_ids: Collection[str], *, actor: User | None) -> int:
    """Take frames out of a draft; return how many it held. Raises VersionNotWritable.

    Queries: 1 for each 500 frames and a dozen more.
    """
    with transaction.atomic():
        version = lock_draft(version.pk)
        held = membership.members(version.pk)
        gone = BitMap(_revisions(version.dataset, sorted(frame_ids), held).values())
        if gone:
            change_membership(version, add=BitMap(), remove=gone)
            _record("delete frames", version, actor, count=len(gone))
    return len(gone)


def restore(
    version: Version,
    source: Version,
    *,
    actor: User | None,
    frame_ids: Collection[str] | None = None,
) -> int:
    """Make a draft hold what another version of its dataset does; return how many frames changed.

    All frames, or those with the given ids: one that `source` does not hold is taken out.
    Raises Refused, VersionNotWritable.
    """
    if source.dataset_id != version.dataset_id:
        raise Refused(f"{source.name} is a version of another dataset.")
    with transaction.atomic():
        version = lock_draft(version.pk)
        # A deleted version holds nothing, and would take all there is out of the draft.
        if not Version.objects.filter(pk=source.pk).exists():
            raise Refused(f"{source.name} has been deleted.")
        held, wanted = membership.members(version.pk), membership.members(source.pk)
        if frame_ids is not None:
            ids = sorted(frame_ids)
            mine = BitMap(_revisions(version.dataset, ids, held).values())
            wanted = (held - mine) | BitMap(_revisions(version.dataset, ids, wanted).values())
        add, remove = wanted - held, held - wanted
        index = DatasetIndex(version.dataset)
        changed = len(np.union1d(index.identities(add), index.identities(remove)))
        if changed:
            change_membership(version, add=add, remove=remove)
            _record(
                "restore",
                version,
                actor,
                source=source.uid,
                added=len(add),
                removed=len(remove),
            )
    return changed


def _published_parents(dataset: Dataset, parents: Sequence[Version]) -> list[Version]:
    if len({parent.pk for parent in parents}) != len(parents):
        raise Refused("A parent is named twice.")
    found = {
        parent.pk: parent for parent in dataset.versions.filter(pk__in=[p.pk for p in parents])
    }
    for parent in parents:
        if parent.pk not in found:
            raise Refused(f"{parent.name} is not a version of {dataset.name}.")
        if found[parent.pk].is_draft:
            raise Refused(f"{parent.name} is a draft. Publish it, then create its child.")
    return [found[parent.pk] for parent in parents]


def _merged_metadata(parents: Sequence[Version]) -> dict[str, Any]:
    """Return the parents' metadata, the first parent's where several have a key."""
    merged: dict[str, Any] = {}
    for parent in reversed(parents):
        merged |= parent.metadata
    return merged


def _copy(parent: Version, child: Version) -> None:
    membership.copy(parent.pk, child.pk)
    Version.objects.filter(pk=child.pk).update(
        frame_count=parent.frame_count,
        annotated_count=parent.annotated_count,
        region_count=parent.region_count,
        sample=parent.sample,
    )


def _unite(
    version: Version, parents: Sequence[Version], rule: Rule | None, chosen: Mapping[str, str]
) -> None:
    """Give a new draft the union of its parents, one revision of each frame."""
    union = unite(parents)
    frames, undecided = union.decide(rule, chosen)
    if undecided:
        listed = union.names(undecided[:CONFLICTS_LISTED_MAX])
        raise VersionConflict(sorted(listed), len(undecided))
    change_membership(version, add=frames, remove=BitMap())


def _revisions(dataset: Dataset, frame_ids: Sequence[str], held: BitMap) -> dict[str, int]:
    """Return the ordinals of those of the frames that a set holds. Queries: 1 for each 500."""
    found: dict[str, int] = {}
    for part in store.chunks(frame_ids):
        rows = Frame.objects.filter(dataset=dataset, frame_id__in=part)
        for frame_id, pk in rows.values_list("frame_id", "pk"):
            if ordinal_of(pk) in held:
                found[frame_id] = ordinal_of(pk)
    return found


def _lock_draft(version: Version) -> Version:
    """Return the draft with its dataset locked; raise Refused for a published or deleted one."""
    lock_dataset(version.dataset_id)
    found = _fresh(version)
    if not found.is_draft:
        raise Refused(f"{found.name} is published and cannot change. Create a child of it.")
    return found


def _fresh(version: Version) -> Version:
    """Return the version as it is now, its dataset being locked; raise Refused if it is gone."""
    found = Version.objects.select_related("dataset__project").filter(pk=version.pk).first()
    if found is None:
        raise Refused(f"{version.name} has been deleted.")
    return found


def _new_name(version: Version, name: str) -> str:
    """Return the name a version is to have, its dataset being locked; raise Refused if taken."""
    name = clean_name(name, "version")
    siblings = version.dataset.versions.exclude(pk=version.pk)
    refuse_taken(name, siblings, version.dataset, "version")
    return name


def _refuse_while_importing(version: Version) -> None:
    writing = Job.objects.unfinished().exclude(kind__in=[Job.Kind.CHECK, Job.Kind.EXPORT])
    if writing.filter(version=version).exists():
        raise Refused(
            f"An import into {version.name} or an edit of it is running. Wait for it, or cancel it."
        )


def _free_name(dataset: Dataset, name: str) -> str:
    """Return the name, or the name with the first free number behind it."""
    alike = dataset.versions.filter(name_key__startswith=name_key(name))
    taken = set(alike.values_list("name_key", flat=True))
    candidates = [name, *(f"{name} {number}" for number in range(2, len(taken) + 2))]
    return next(candidate for candidate in candidates if name_key(candidate) not in taken)


def _touch(dataset: Dataset, actor: User | None) -> None:
    Dataset.objects.filter(pk=dataset.pk).update(updated_at=timezone.now(), updated_by=actor)


def _record(verb: str, version: Version, actor: User | None, **details: Any) -> None:
    project = version.dataset.project
    audit.record(verb, version, project=project, actor=actor, **details)
