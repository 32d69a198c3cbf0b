"""Deleting the objects that a deleted dataset's sources point at, where the operator allows it.

An object that a source, a mask or a preview of any other dataset names stays, whatever form of
address names it there. What the others name is read at the beginning, and before each batch what
they have got since. Nothing that a store answers stops the deletion of the dataset.
"""

from __future__ import annotations

import hashlib
import time
from array import array
from bisect import bisect_left
from collections import Counter
from typing import TYPE_CHECKING, Final

import numpy as np
from django.db import transaction
from django.db.models import Q

from frames.actions import garbage, jobs
from frames.media import MediaError, deletion_policy, parse_uri, policy_for, s3
from frames.models import Dataset, Job, JobError, Source
from frames.models.frame import frame_pk, ordinal_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from django.db.models import QuerySet

    from frames.media import MediaPolicy
    from frames.media.uris import Uri
    from frames.models import Project

# Revisions whose objects are deleted in one step: what a kill repeats, which does no harm.
REVISIONS_PER_BATCH: Final = 500
_REVISIONS_PER_QUERY: Final = 2_048
# A store that did not answer so many times in a row is not asked again.
_STRIKES: Final = 3
_RENEW_S: Final = 1.0
_SCHEMES: Final = ("s3://", "gs://")


def deletable(dataset: Dataset) -> list[str]:
    """Return the prefixes in which sources of a dataset lie that may be deleted with it.

    Queries: 1 for each prefix.
    """
    reach = _Reach(dataset.project)
    found = []
    for prefix in reach.prefixes():
        lies_there = Q(uri__startswith=prefix) | Q(uri=prefix.rstrip("/"))
        addresses = _sources(dataset.pk, 0, dataset.next_ordinal).filter(lies_there)
        # The database may take capitals for small letters.
        if any(reach.find(address) for address in addresses.values_list("uri", flat=True)[:100]):
            found.append(prefix)
    return found


def delete_objects(job: Job, dataset: Dataset) -> None:
    """Delete what the sources of a deleted dataset point at, from where the job stands.

    `job.position` moves up to the dataset's next ordinal, `job.result["objects"]` counts what was
    deleted, kept and failed. Memory: 10 bytes an object.
    """
    if job.position >= dataset.next_ordinal:
        return
    removal = _ObjectRemoval(job, dataset)
    while job.position < dataset.next_ordinal:
        removal.step()


class _Reach:
    """What a deletion may delete: what the operator allows of what the project may read."""

    def __init__(self, project: Project) -> None:
        self.readable: MediaPolicy = policy_for(project)
        self._readable = self.readable.prefixes()
        self._deletable = deletion_policy().prefixes()

    def prefixes(self) -> list[str]:
        """Return the prefixes that the operator allows, as addresses begin with them."""
        return [
            f"{prefix.scheme}://{'/'.join((prefix.authority, *prefix.path))}/"
            for prefix in self._deletable
        ]

    def find(self, address: str) -> Uri | None:
        """Return the address of an object that may be deleted, in parts; None for any other."""
        uri = _object(address)
        if uri is None or not uri.name:
            return None
        for prefixes in (self._deletable, self._readable):
            if not any(uri.starts_with(prefix) for prefix in prefixes):
                return None
        return uri

    def number_of(self, uri: Uri) -> int:
        """Return 64 bits that stand for the object, the same for each address that names it."""
        name = "\n".join(s3.object_of(uri, self.readable))
        return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest())


class _ObjectRemoval:
    """The objects of one dataset by their numbers, and what others name of them."""

    def __init__(self, job: Job, dataset: Dataset) -> None:
        self._job = job
        self._dataset = dataset
        self._reach = _Reach(job.project)
        self._renewed = time.monotonic()
        self._unanswered: Counter[str] = Counter()
        # Up to which ordinal each other dataset has been read.
        self._read: dict[int, int] = {}
        found, done = self._numbers()
        # Ascending; beside each number, whether it is done and whether others name it.
        self._own = array("Q", np.unique(np.frombuffer(found, dtype=np.uint64)).tobytes())
        self._done, self._shared = bytearray(len(self._own)), bytearray(len(self._own))
        for number in done:
            self._done[bisect_left(self._own, number)] = True

    def _numbers(self) -> tuple[array[int], array[int]]:
        """Return the numbers of the dataset's objects, and those of revisions that are done."""
        found, done = array("Q"), array("Q")
        for first in range(0, self._dataset.next_ordinal, _REVISIONS_PER_QUERY):
            self._keep_alive()
            sources = _sources(self._dataset.pk, first, first + _REVISIONS_PER_QUERY)
            for pk, address in sources.values_list("frame_id", "uri"):
                if uri := self._reach.find(address):
                    found.append(self._reach.number_of(uri))
                    if ordinal_of(pk) < self._job.position:
                        done.append(found[-1])
        return found, done

    def step(self) -> None:
        """Delete the objects of the next revisions, and note what came of it."""
        job = self._job
        self._read_others()
        end = min(job.position + REVISIONS_PER_BATCH, self._dataset.next_ordinal)
        wanted, kept = self._next(job.position, end)
        problems: dict[Uri, str] = {}
        for part in s3.deletions(list(wanted), self._reach.readable):
            self._keep_alive()
            problems |= self._delete(part)
        errors = [
            JobError(job=job, index=ordinal_of(pk), path=address[:500], reason=problems[uri][:1000])
            for uri, (pk, address) in wanted.items()
            if uri in problems
        ]
        with transaction.atomic():
            jobs.renew(job)
            JobError.objects.bulk_create(errors[: max(0, JobError.MAX_KEPT - job.failed)])
            counts = Counter(job.result.get("objects", {}))
            counts.update(deleted=len(wanted) - len(errors), kept=kept, failed=len(errors))
            job.result["objects"] = dict(counts)
            job.failed += len(errors)
            job.position = end
            job.save(update_fields=["result", "failed", "position", "total"])

    def _next(self, first: int, end: int) -> tuple[dict[Uri, tuple[int, str]], int]:
        """Return what is to be deleted, with the frame and address of each, and how many stay."""
        wanted: dict[Uri, tuple[int, str]] = {}
        kept = 0
        sources = _sources(self._dataset.pk, first, end).order_by("frame_id", "position")
        for pk, address in sources.values_list("frame_id", "uri"):
            uri = self._reach.find(address)
            if uri is None:
                continue
            place = bisect_left(self._own, self._reach.number_of(uri))
            if self._done[place]:
                continue
            self._done[place] = True
            if self._shared[place]:
                kept += 1
            else:
                wanted[uri] = (pk, address)
        return wanted, kept

    def _read_others(self) -> None:
        """Note which of the objects other datasets name, as far as that is not known yet."""
        others = Dataset.objects.exclude(pk=self._dataset.pk)
        for pk, end in others.values_list("pk", "next_ordinal"):
            for first in range(self._read.get(pk, 0), end, _REVISIONS_PER_QUERY):
                self._keep_alive()
                sources = _sources(pk, first, min(end, first + _REVISIONS_PER_QUERY))
                for named in sources.values_list("uri", "masks", "preview"):
                    for address in garbage.texts_in(list(named)):
                        self._note_other(address)
            self._read[pk] = end

    def _note_other(self, address: str) -> None:
        uri = _object(address)
        if uri is None:
            return
        number = self._reach.number_of(uri)
        place = bisect_left(self._own, number)
        if place < len(self._own) and self._own[place] == number:
            self._shared[place] = True

    def _delete(self, part: Sequence[Uri]) -> dict[Uri, str]:
        """Delete objects of one bucket; return why, for those that are still there."""
        store = s3.object_of(part[0], self._reach.readable).endpoint
        if self._unanswered[store] >= _STRIKES:
            return dict.fromkeys(part, "Not asked: the store has not answered before.")
        try:
            problems = s3.delete_objects(part, self._reach.readable)
        except MediaError as error:
            self._unanswered[store] += 1
            return dict.fromkeys(part, error.detail)
        self._unanswered[store] = 0
        return problems

    def _keep_alive(self) -> None:
        # Not heeding cancellation: nobody can see the dataset any more.
        if time.monotonic() - self._renewed >= _RENEW_S:
            jobs.renew(self._job)
            self._renewed = time.monotonic()


def _object(address: str) -> Uri | None:
    """Return the address of an object in a bucket, in parts; None for any other."""
    if not address[:5].lower().startswith(_SCHEMES):
        return None
    try:
        return parse_uri(address)
    except MediaError:
        return None


def _sources(dataset_pk: int, first: int, end: int) -> QuerySet[Source]:
    """Return the sources of the revisions of a dataset with ordinals in [first, end)."""
    return Source.objects.filter(
        frame_id__gte=frame_pk(dataset_pk, first), frame_id__lt=frame_pk(dataset_pk, end)
    ).order_by()
