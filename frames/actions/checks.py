"""Checking a version before it is published: a job that finds defects, and what the last found.

A check is of one state of a version: the frames it held and its mask legend. It counts only
while the version is still in that state.
"""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from django.db import transaction

from frames.actions import jobs
from frames.actions.fetching import Fetcher, Legend
from frames.actions.fields import Refused
from frames.actions.queue import enqueue
from frames.index import membership
from frames.index.bitmaps import dump, load, to_array
from frames.index.reader import DatasetIndex
from frames.media import policy_for
from frames.models import CheckFinding, Frame, Job, Source, Version
from frames.models.frame import frame_pk, ordinal_of
from frames.search import defects

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.contrib.auth.models import User

    from frames.index.bitmaps import BitMap
    from frames.search.defects import Found

Kind = CheckFinding.Kind

# The most that a kill can lose of a fetching, and what a page's progress moves by.
FETCH_FRAMES: Final = 200
_RENEW_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class Check:
    """The last finished check of a version; `is_current` while it is of the version's state."""

    job: Job
    findings: list[CheckFinding]
    is_current: bool

    @property
    def open(self) -> list[CheckFinding]:
        """What was found."""
        return [finding for finding in self.findings if finding.count]

    @property
    def has_fetched(self) -> bool:
        """Whether sources and masks were fetched."""
        return bool(self.job.options.get("fetch"))


def start_check(version: Version, *, actor: User | None, fetch: bool) -> Job:
    """Queue a check of a version, or return the one that is waiting or running already.

    With `fetch` every source is asked for and every mask is read; without, a source is taken for
    unreachable where its preview has failed so, and masks are not looked at. Raises Refused.
    """
    with transaction.atomic():
        # Two clicks at once: the second waits here.
        if Version.objects.select_for_update().filter(pk=version.pk).first() is None:
            raise Refused(f"{version.name} has been deleted.")
        running = Job.objects.unfinished().filter(kind=Job.Kind.CHECK, version=version).first()
        if running is not None:
            return running
        job = jobs.create(
            Job.Kind.CHECK,
            project=version.dataset.project,
            dataset=version.dataset,
            version=version,
            actor=actor,
            options={"fetch": fetch},
        )
        enqueue("frames.run_job", job_uid=job.uid)
    return job


def last_check(version: Version) -> Check | None:
    """Return the last check of a version that came to its end. Queries: 3."""
    checks = Job.objects.filter(kind=Job.Kind.CHECK, version=version, state=Job.State.DONE)
    job = checks.order_by("-pk").first()
    if job is None:
        return None
    order = list(Kind)
    findings = sorted(job.findings.defer("frames"), key=lambda item: order.index(Kind(item.kind)))
    state = _state(version, membership.members(version.pk))
    return Check(job, findings, is_current=job.options.get("state") == state)


def refuse_unchecked(version: Version, reason: str) -> dict[str, Any]:
    """Return what the audit log says of the check under which a draft is published.

    Raises Refused where there is none of the draft as it is, or it has found something, and no
    reason is given. An empty draft has nothing to check.
    """
    check = last_check(version)
    if check is None or not check.is_current:
        if not reason and version.frame_count:
            raise Refused(
                f"{version.name} has not been checked as it is now. Run the checks first, "
                "or say why it is published without."
            )
        return {"reason": reason, "check": None}
    if check.open and not reason:
        found = ", ".join(finding.get_kind_display().lower() for finding in check.open)
        raise Refused(
            f"The checks of {version.name} have found: {found}. Mend these, "
            "or say why it is published with them."
        )
    return {
        "reason": reason,
        "check": check.job.uid,
        "found": {finding.kind: finding.count for finding in check.open},
    }


def run(job_uid: str) -> None:
    """Run a check, from where it stopped if it was begun."""
    jobs.run(job_uid, _work)


def _state(version: Version, members: BitMap) -> str:
    """Return what stands for the frames that a version holds and its mask legend."""
    digest = hashlib.blake2b(to_array(members).data, digest_size=16)
    legend = version.metadata.get("mask_labels")
    digest.update(json.dumps(legend, sort_keys=True).encode())
    return digest.hexdigest()


class _Progress:
    """Moves a job's position, and keeps it alive, at most once a second."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.base = 0
        self._renewed = time.monotonic()

    def __call__(self, done: int) -> None:
        self.job.position = self.base + done
        self.keep_alive()

    def keep_alive(self) -> None:
        """Say that the job is in good hands, where that was not said for a second."""
        if time.monotonic() - self._renewed < _RENEW_S:
            return
        jobs.keep_alive(self.job)
        self.job.save(update_fields=["position"])
        self._renewed = time.monotonic()


def _work(job: Job) -> None:
    if job.version is None or job.dataset is None:
        raise Refused("The version that this check was for has been deleted")
    version = job.version
    members = membership.members(version.pk)
    state = _state(version, members)
    if job.options.get("state") != state:
        # Nothing of what was found in another state counts.
        job.findings.all().delete()
        job.position = 0
        job.options["state"] = state
    revisions = job.dataset.next_ordinal
    # Collisions, duplicates and known previews read every revision; fetching, every frame.
    fetches = bool(job.options.get("fetch"))
    scanned = 2 * revisions
    job.total = scanned + (len(members) if fetches else revisions)
    job.save(update_fields=["options", "position", "total"])
    index = DatasetIndex(job.dataset)
    progress = _Progress(job)
    if job.position < scanned or not fetches:
        _scan(job, index, members, progress)
        progress.base = scanned
        progress(0)
    if fetches:
        _fetch(job, index, members, scanned)
    else:
        _keep(job, Kind.UNREACHABLE, defects.failed_sources(index, members, progress))
    _finish(job)


def _scan(job: Job, index: DatasetIndex, members: BitMap, progress: _Progress) -> None:
    """Find all that needs no source."""
    for kind, found in defects.geometry_defects(index, members).items():
        _keep(job, kind, found)
    _keep(job, Kind.LABEL_CASE, defects.label_case(index, members))
    collided = defects.collisions(index, members, progress)
    _keep(job, Kind.COLLISION, collided)
    progress.base = index.dataset.next_ordinal
    _keep(job, Kind.DUPLICATE, defects.duplicates(index, collided.frames, progress))


def _fetch(job: Job, index: DatasetIndex, members: BitMap, scanned: int) -> None:
    """Ask for every source and read every mask, from where the job stands."""
    kept = {finding.kind: finding for finding in job.findings.all()}
    found = {
        kind: defects.Found(load(kept[kind].frames), kept[kind].examples)
        if kind in kept
        else defects.Found()
        for kind in (Kind.UNREACHABLE, Kind.MASK_VALUE)
    }
    legend = Legend(job.version.metadata if job.version else {})
    progress = _Progress(job)
    with Fetcher(policy_for(job.project)) as fetcher:
        start = max(0, job.position - scanned)
        for done in range(start, len(members), FETCH_FRAMES):
            part = list(members[done : done + FETCH_FRAMES])
            _fetch_part(index, part, fetcher, legend, found, progress.keep_alive)
            with transaction.atomic():
                jobs.renew(job)
                for kind, frames in found.items():
                    _keep(job, kind, frames)
                job.position = scanned + done + len(part)
                job.save(update_fields=["position"])
            jobs.heed_cancellation(job)
    for kind, frames in found.items():
        _keep(job, kind, frames)


def _fetch_part(
    index: DatasetIndex,
    ordinals: list[int],
    fetcher: Fetcher,
    legend: Legend,
    found: dict[Kind, Found],
    on_wait: Callable[[], None],
) -> None:
    """Look at the sources and masks of a few frames. Queries: 2."""
    pks = [frame_pk(index.dataset.pk, ordinal) for ordinal in ordinals]
    rows = Source.objects.filter(frame__in=pks).order_by("frame_id", "position")
    sources = list(rows.values_list("frame_id", "uri", "masks"))
    wanted = [(uri, False) for _, uri, _ in sources]
    wanted += [(mask["uri"], True) for _, _, masks in sources for mask in masks or ()]
    answers = fetcher.ask(wanted, on_wait)
    with_masks = [pk for pk, _, masks in sources if masks]
    rois = dict(Frame.objects.filter(pk__in=with_masks).values_list("pk", "rois"))
    for pk, uri, masks in sources:
        asked = [(uri, False), *((mask["uri"], True) for mask in masks or ())]
        for key in asked:
            answer = answers[key]
            if answer.reason:
                found[Kind.UNREACHABLE].frames.add(ordinal_of(pk))
                found[Kind.UNREACHABLE].add_example(uri=key[0], reason=answer.reason)
                continue
            unlabelled = legend.unlabelled(answer.values, rois.get(pk, ()))
            if unlabelled or answer.is_crowded:
                found[Kind.MASK_VALUE].frames.add(ordinal_of(pk))
                found[Kind.MASK_VALUE].add_example(uri=key[0], values=unlabelled[:4])


def _keep(job: Job, kind: str, found: Found) -> None:
    CheckFinding.objects.update_or_create(
        job=job,
        kind=kind,
        defaults={
            "frames": dump(found.frames),
            "count": len(found.frames),
            "examples": found.examples,
        },
    )


def _finish(job: Job) -> None:
    """End the job, and forget what earlier checks of its version have found."""
    with transaction.atomic():
        jobs.renew(job)
        jobs.heed_cancellation(job)
        job.position = job.total or 0
        job.result = {"found": dict(job.findings.filter(count__gt=0).values_list("kind", "count"))}
        CheckFinding.objects.filter(job__version=job.version).exclude(job=job).delete()
        jobs.finish(job, Job.State.DONE, "")
