"""Bulk edits: one change made to many frames of a draft, as a job that can be undone.

The revisions that an edit writes are staged in batches and given to the draft all at once, as an
import's are: a draft has all of an edit or nothing of it. An edit is of frames, as they are when
it begins: of two that are asked for at once the second changes what the first has made. What
another writer changes while it runs is left as that writer left it.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from django.db import transaction

from frames.actions import audit, jobs
from frames.actions.fields import Refused
from frames.actions.frames import Stager, change_membership, lock_draft
from frames.actions.prepare import PreparedBatch
from frames.actions.queue import enqueue
from frames.formats import jsontext
from frames.formats.base import FrameError
from frames.formats.singleframe import MAX_NAME_CHARACTERS, check_json
from frames.formats.stored import frame_data
from frames.index import membership
from frames.index.bitmaps import BitMap, dump, from_array, load, to_array
from frames.index.reader import DatasetIndex
from frames.models import Job, Version
from frames.models.job import JobError
from frames.search.rows import rows_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from django.contrib.auth.models import User

    from frames.formats.base import FrameData
    from frames.search.rows import FrameRow

BATCH_FRAMES: Final = 1_000
KEY_LEVELS_MAX: Final = 8
VALUE_MAX_BYTES: Final = 16 * 1024
TAGS_KEY: Final = "tags"
# One name of a key: in quotes, as JSON writes a text, or up to the next dot.
_KEY_PART: Final = r'"(?:[^"\\]|\\.)*"|[^".][^.]*'
_KEY_PATH: Final = re.compile(rf"(?:{_KEY_PART})(?:\.(?:{_KEY_PART}))*")
# So many frames' rows are read in 50 ms.
EXACT_FRAMES_MAX: Final = 1_000
# Among so many later edits the one is looked for that stands in an undo's way.
_LATER_EDITS: Final = 50


@dataclass(frozen=True, slots=True)
class Edit:
    """One change to frames.

    `verb` is tag or untag (`value` a tag in the list `meta.tags`), set (the key `key` of the
    metadata, nested ones joined by dots and one that holds a dot in quotes, becomes `value`),
    unset (the key goes), relabel (the label `key` of every region becomes `value`) or delete.
    """

    verb: str
    key: str = ""
    value: Any = None

    def as_options(self) -> dict[str, Any]:
        """Return the edit as JSON, for `Job.options`."""
        return {"verb": self.verb, "key": self.key, "value": self.value}

    @property
    def sentence(self) -> str:
        """What it does, for a heading."""
        return {
            "tag": f"Tag with {self.value}",
            "untag": f"Remove the tag {self.value}",
            "set": f"Set meta.{self.key} to {json.dumps(self.value, ensure_ascii=False)[:80]}",
            "unset": f"Remove meta.{self.key}",
            "relabel": f"Relabel {_shown(self.key)} to {_shown(self.value)}",
            "delete": "Delete",
        }[self.verb]


def edit_of(verb: str, key: str, value: str) -> Edit:
    """Return the edit that a form describes; raise Refused for one that cannot be meant.

    The value of `set` is JSON, or text where it is none. Labels and the parts of a key are taken
    as they stand in quotes, with the spaces at their ends and their dots.
    """
    key, value = key.strip(), value.strip()
    if verb in ("tag", "untag"):
        return Edit(verb, value=_name(value, "tag"))
    if verb == "relabel":
        old, new = _name(_unquoted(key), "label"), _name(_unquoted(value), "label")
        if old == new:
            raise Refused("The new label is the old one.")
        return Edit(verb, key=old, value=new)
    if verb in ("set", "unset"):
        path = key.removeprefix("meta.")
        for part in _parts(path):
            _name(part, "key")
        return Edit(verb, key=path) if verb == "unset" else Edit(verb, path, _value(value))
    if verb == "delete":
        return Edit(verb)
    raise Refused("Choose what to do: tag, untag, set, unset, relabel or delete.")


def affected(index: DatasetIndex, frames: BitMap, edit: Edit) -> BitMap:
    """Return those of the frames that an edit would change, or of which only a row can tell.

    Exact for tags, labels and deletions; for keys up to EXACT_FRAMES_MAX frames, whose rows are
    read, and else all of them: the index leaves out some keys that a frame may have. Queries: up
    to 4.
    """
    if edit.verb == "tag":
        return frames - index.text(f"meta.{TAGS_KEY}", edit.value)
    if edit.verb == "untag":
        return frames & index.text(f"meta.{TAGS_KEY}", edit.value)
    if edit.verb == "relabel":
        return frames & index.text("label", edit.key)
    if edit.verb in ("set", "unset") and len(frames) <= EXACT_FRAMES_MAX:
        rows = rows_of(index.dataset, list(frames))
        return BitMap([row.frame.ordinal for row in rows if _would_change(row, edit)])
    return frames


def is_exact(frames: int, edit: Edit) -> bool:
    """Whether `affected` is sure of so many frames."""
    return edit.verb not in ("set", "unset") or frames <= EXACT_FRAMES_MAX


def _would_change(row: FrameRow, edit: Edit) -> bool:
    frame = frame_data(row.frame, row.sources)
    before = frame.meta
    try:
        _CHANGES[edit.verb](frame, edit)
    except FrameError:
        return True  # which the job is to say
    return jsontext.dump(frame.meta) != jsontext.dump(before)


def start_edit(version: Version, edit: Edit, frames: BitMap, *, actor: User | None) -> Job:
    """Queue an edit of those of the frames that the draft holds. Raises Refused."""
    with transaction.atomic():
        version = lock_draft(version.pk)
        selected = affected(
            DatasetIndex(version.dataset), frames & membership.members(version.pk), edit
        )
        if not selected:
            raise Refused("None of these frames would change.")
        project = version.dataset.project
        job = jobs.create(
            Job.Kind.EDIT,
            project=project,
            dataset=version.dataset,
            version=version,
            actor=actor,
            options=edit.as_options(),
        )
        job.selected = dump(selected)
        job.total = len(selected)
        job.save(update_fields=["selected", "total"])
        audit.record(
            "start edit",
            version,
            project=project,
            actor=actor,
            job=job.uid,
            frames=len(selected),
            edit=edit.as_options(),
        )
    enqueue("frames.run_job", job_uid=job.uid)
    return job


def run(job_uid: str) -> None:
    """Run an edit from where it stands; do nothing if it has ended or another worker has it."""
    jobs.run(job_uid, _run)


def undo(job: Job, *, actor: User | None) -> int:
    """Take an edit back; return how many frames are as before. Raises Refused.

    Frames that were changed again since are left as they are, and can be taken back once that is
    undone. Refused where there are no others.
    """
    with transaction.atomic():
        # Alone: PostgreSQL locks no row that may be missing, as its version's.
        job = Job.objects.select_for_update().get(pk=job.pk)
        if job.kind != Job.Kind.EDIT or job.state != Job.State.DONE:
            raise Refused("Only an edit that was made can be undone.")
        if job.result.get("undone"):
            raise Refused("This edit has been undone already.")
        if job.version is None:
            raise Refused("The version that this edit changed has been deleted.")
        version = lock_draft(job.version.pk)
        index = DatasetIndex(version.dataset)
        held = membership.members(version.pk)
        staged, replaced = load(job.staged), load(job.replaced)
        made = staged & held
        # Of the frames without a new revision, those that nobody has added again; of the others
        # those whose new revision is still the one held.
        back = _with_identity(index, replaced, index.identities(made)) | (
            _without_identity(
                index, replaced, np.concatenate([index.identities(held), index.identities(staged)])
            )
        )
        left = replaced - back
        if left and not back:
            raise Refused(_changed_since(job, staged))
        if back or made:
            change_membership(version, add=back - held, remove=made)
        restored = job.result.get("restored", 0) + len(back)
        job.result = {**job.result, "undone": not left, "restored": restored}
        job.staged, job.replaced = (dump(staged - made), dump(left)) if left else (b"", b"")
        job.save(update_fields=["result", "staged", "replaced"])
        audit.record(
            "undo edit",
            version,
            project=version.dataset.project,
            actor=actor,
            job=job.uid,
            frames=len(back),
        )
    return len(back)


def _changed_since(job: Job, staged: BitMap) -> str:
    """Return why none of an edit's frames can be taken back."""
    later = Job.objects.filter(version=job.version, kind=Job.Kind.EDIT, pk__gt=job.pk)
    for other in later.filter(state=Job.State.DONE).order_by("-pk")[:_LATER_EDITS]:
        if len(other.replaced) and load(other.replaced).intersect(staged):
            done = Edit(**other.options).sentence
            return f"Its frames have been edited again since: “{done}”. Undo that first."
    return "Its frames have all been changed since, so there is nothing that it could take back."


def _run(job: Job) -> None:
    if job.version is None:
        raise Refused("The version that this edit was for has been deleted.")
    edit = Edit(**job.options)
    if not job.position:
        # Whatever was written to the frames since they were selected.
        index = DatasetIndex(job.version.dataset)
        chosen = index.identities(load(job.selected))
        job.selected = dump(_with_identity(index, membership.members(job.version.pk), chosen))
        job.save(update_fields=["selected"])
    try:
        if edit.verb == "delete":
            _delete(job, job.version)
        else:
            _change(job, job.version, edit)
    except Version.DoesNotExist:
        raise Refused("The version that this edit was for has been deleted.") from None


def _delete(job: Job, version: Version) -> None:
    with transaction.atomic():
        jobs.keep_alive(job)
        version = lock_draft(version.pk)
        gone = load(job.selected) & membership.members(version.pk)
        change_membership(version, add=BitMap(), remove=gone)
        _done(job, version, staged=BitMap(), replaced=gone)


def _change(job: Job, version: Version, edit: Edit) -> None:
    """Stage a new revision of each frame, then give all of them to the draft."""
    change = _CHANGES[edit.verb]
    selected = load(job.selected)
    stager = Stager(
        version,
        staged=_bitmap(job.staged),
        replaced=_bitmap(job.replaced),
        seen=_bitmap(job.seen),
    )
    while job.position < len(selected):
        part = list(selected[job.position : job.position + BATCH_FRAMES])
        batch = PreparedBatch()
        problems: list[JobError] = []
        held = membership.members(version.pk)
        rows = rows_of(version.dataset, [ordinal for ordinal in part if ordinal in held])
        for place, row in enumerate(rows):
            frame = frame_data(row.frame, row.sources)
            try:
                change(frame, edit)
                check_json(frame.meta)
            except FrameError as error:
                problem = error.problem
                problems.append(
                    JobError(
                        job=job,
                        index=job.position + place,
                        path=row.frame.frame_id,
                        reason=problem.reason[:1000],
                    )
                )
                continue
            batch.add(job.position + place, frame)
        try:
            with transaction.atomic():
                stager.stage(batch)
                jobs.renew(job)
                room = max(0, JobError.MAX_KEPT - job.failed)
                JobError.objects.bulk_create(problems[:room])
                job.failed += len(problems)
                job.position += len(part)
                job.staged, job.replaced = dump(stager.staged), dump(stager.replaced)
                job.seen = dump(stager.seen)
                job.save(update_fields=["position", "failed", "staged", "replaced", "seen"])
        except Exception:
            stager.forget()
            raise
        jobs.heed_cancellation(job)
    with transaction.atomic():
        jobs.keep_alive(job)
        version = lock_draft(version.pk)
        index = DatasetIndex(version.dataset)
        # Frames whose revision is not the one that was edited are someone else's now.
        replaced = stager.replaced & selected & membership.members(version.pk)
        staged = _with_identity(index, stager.staged, index.identities(replaced))
        change_membership(version, add=staged, remove=replaced)
        _done(job, version, staged=staged, replaced=replaced)


def _done(job: Job, version: Version, *, staged: BitMap, replaced: BitMap) -> None:
    """End a job whose change is made, in its transaction."""
    changed = len(replaced)
    job.position = job.total or 0
    job.staged, job.replaced, job.seen = dump(staged), dump(replaced), b""
    job.result = {"changed": changed, "left": (job.total or 0) - changed - job.failed}
    audit.record(
        "edit",
        version,
        project=job.project,
        actor=job.created_by,
        job=job.uid,
        frames=changed,
        edit=job.options,
    )
    jobs.finish(job, Job.State.DONE, "")


def _with_identity(index: DatasetIndex, frames: BitMap, identities: Any) -> BitMap:
    """Return those of the revisions that are of one of the frames."""
    if not frames:
        return BitMap()
    return from_array(to_array(frames)[np.isin(index.identities(frames), identities)])


def _without_identity(index: DatasetIndex, frames: BitMap, identities: Any) -> BitMap:
    return frames - _with_identity(index, frames, identities)


def _tag(frame: FrameData, edit: Edit) -> None:
    tags = _tags(frame)
    if edit.value not in tags:
        frame.meta = {**frame.meta, TAGS_KEY: [*tags, edit.value]}


def _untag(frame: FrameData, edit: Edit) -> None:
    tags = [tag for tag in _tags(frame) if tag != edit.value]
    meta = {key: value for key, value in frame.meta.items() if key != TAGS_KEY}
    frame.meta = {**meta, TAGS_KEY: tags} if tags else meta


def _tags(frame: FrameData) -> list[Any]:
    tags = frame.meta.get(TAGS_KEY, [])
    if isinstance(tags, list):
        return tags
    return [tags]


def _set(frame: FrameData, edit: Edit) -> None:
    frame.meta = _with_key(frame.meta, _parts(edit.key), edit.value)


def _with_key(meta: dict[str, Any], path: list[str], value: Any) -> dict[str, Any]:
    """Return a copy of nested metadata with one key set."""
    name, *rest = path
    if not rest:
        return {**meta, name: value}
    inner = meta.get(name, {})
    if not isinstance(inner, dict):
        raise FrameError(name, f"meta.{name} is a value, not an object: nothing fits inside of it")
    return {**meta, name: _with_key(inner, rest, value)}


def _unset(frame: FrameData, edit: Edit) -> None:
    frame.meta = _without_key(frame.meta, _parts(edit.key))


def _without_key(meta: dict[str, Any], path: list[str]) -> dict[str, Any]:
    """Return a copy of nested metadata without one key."""
    name, *rest = path
    if name not in meta:
        return meta
    if not rest:
        return {key: value for key, value in meta.items() if key != name}
    inner = meta[name]
    return {**meta, name: _without_key(inner, rest)} if isinstance(inner, dict) else meta


def _relabel(frame: FrameData, edit: Edit) -> None:
    """Give every region that has the label the new one, each label once and in its place."""
    rois = []
    for roi in frame.rois:
        labels = roi.get("label") or []
        if edit.key in labels:
            renamed = [edit.value if label == edit.key else label for label in labels]
            roi = {**roi, "label": list(dict.fromkeys(renamed))}
        rois.append(roi)
    frame.rois = rois


_CHANGES: Final[Mapping[str, Callable[[FrameData, Edit], None]]] = {
    "tag": _tag,
    "untag": _untag,
    "set": _set,
    "unset": _unset,
    "relabel": _relabel,
}


def _parts(path: str) -> list[str]:
    """Return the names that lead to a key of the metadata; raise Refused."""
    parts = re.findall(_KEY_PART, path) if _KEY_PATH.fullmatch(path) else []
    if not parts or len(parts) > KEY_LEVELS_MAX:
        raise Refused(
            "Give a metadata key, such as weather, or camera.lens for one inside of another. "
            'A key that holds a dot stands in quotes: camera."f.stop".'
        )
    return [_unquoted(part) for part in parts]


def _unquoted(text: str) -> str:
    """Return what stands in quotes, as JSON writes it, or the text itself."""
    if not text.startswith('"'):
        return text
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return value if isinstance(value, str) else text


def _shown(name: str) -> str:
    """Return a label as it is typed: one with a space at an end would look like another."""
    return name if name == name.strip() else json.dumps(name, ensure_ascii=False)


def _name(text: str, what: str) -> str:
    if not text:
        raise Refused(f"Give a {what}.")
    if len(text) > MAX_NAME_CHARACTERS:
        raise Refused(f"The {what} is longer than {MAX_NAME_CHARACTERS} characters.")
    if not text.isprintable():
        raise Refused(f"The {what} holds control characters.")
    return text


def _value(text: str) -> Any:
    """Return the JSON value of a text, or the text itself where it is none."""
    if len(text.encode(errors="replace")) > VALUE_MAX_BYTES:
        raise Refused(f"The value is over {VALUE_MAX_BYTES:,} bytes.")
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = text
    try:
        check_json({"value": value})
    except FrameError as error:
        raise Refused(f"The value cannot be kept: {error.problem.reason}.") from error
    return value


def _bitmap(data: bytes | memoryview) -> BitMap:
    return load(data) if len(data) else BitMap()
