"""What a data view holds: its filters' frames, how many, and a hash to cite them by."""

from __future__ import annotations

import json
import time
from base64 import b64decode, b64encode
from collections import Counter
from copy import copy
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Final

from django.db.models import Q

from frames.index import store
from frames.index.bitmaps import BitMap, dump, load, to_array, union
from frames.index.reader import DatasetIndex
from frames.models import Version
from frames.models.frame import ordinal_of
from frames.search import order
from frames.search.errors import QueryError
from frames.search.lucene import frames_matching
from frames.search.view_definition import ALL, Definition, FrameFilter, MappingRule, Scope

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from django.db.models import QuerySet

    from frames.models import Dataset
    from frames.models.version import VersionQuerySet
    from frames.search.rows import FrameRow

# All versions of a dataset may be many; each is asked each filter.
VERSIONS_MAX: Final = 500
# Each filter has a bound of its own for each dataset; a view may have many of both.
BUDGET_S: Final = 5.0
_FORMAT: Final = "framedeck data view 1"
# So many rows are read and sorted at once; more are read along an index, past all revisions.
READ_AT_ONCE_MAX: Final = 20_000
_CHUNK: Final = 10_000


@dataclass(frozen=True, slots=True)
class Part:
    """Frames of one version; `place` is the version's among those of the view."""

    place: int
    version: Version
    frames: BitMap


@dataclass(frozen=True, slots=True)
class FilterFrames:
    """What one filter matches, version by version.

    `own` is without what another filter counts as its own: a frame that several filters match
    belongs to the one that matches the fewest. `is_visible` is false where the filter names what
    is not there for whoever asks; `error` says why it cannot be answered.
    """

    filter: FrameFilter
    parts: list[Part]
    own: list[Part]
    is_visible: bool = True
    error: QueryError | None = None

    @property
    def matched(self) -> int:
        """How many frames it matches; a frame counts once for each version that holds it."""
        return sum(len(part.frames) for part in self.parts)


@dataclass(frozen=True, slots=True)
class ViewFrames:
    """A data view as it is now, for someone who may see certain versions.

    `missing` are the entries of the input of which nothing is there, or nothing visible.
    """

    definition: Definition
    versions: list[Version]
    filters: list[FilterFrames]
    missing: list[Scope]

    @property
    def is_complete(self) -> bool:
        """Whether all that the view names is there and could be answered."""
        return not self.missing and all(
            item.is_visible and item.error is None for item in self.filters
        )

    @property
    def is_pinned(self) -> bool:
        """Whether it names published versions alone, so that its frames never change."""
        return self.is_complete and not self.live

    @property
    def live(self) -> list[str]:
        """What may change, in words: drafts by name, and whole datasets."""
        datasets = {version.dataset.uid: version.dataset.name for version in self.versions}
        whole = [
            f"all versions of {datasets.get(scope.dataset, scope.dataset)}"
            for scope in self.definition.versions
            if scope.version == ALL and scope not in self.missing
        ]
        drafts = [
            f"{version.dataset.name} {version.name}"
            for version in self.versions
            if version.is_draft
        ]
        return list(dict.fromkeys([*whole, *drafts]))

    @property
    def count(self) -> int:
        """How many frames it holds, each once for each version."""
        return sum(len(part.frames) for item in self.filters for part in item.own)

    @property
    def length(self) -> int | None:
        """How many frames an iteration gives, None where it has no end."""
        iteration = self.definition.iteration
        if iteration.infinite:
            return None if self.count else 0
        return self.count if iteration.limit is None else min(iteration.limit, self.count)

    @property
    def error(self) -> QueryError | None:
        """Why one of the filters cannot be answered."""
        return next((item.error for item in self.filters if item.error), None)

    @property
    def fingerprint(self) -> str:
        """32 digits that change with the frames; they hold on this installation alone."""
        digest = blake2b(digest_size=16)
        for item in self.filters:
            for part in item.parts:
                digest.update(f"{part.version.uid} {len(part.frames)};".encode())
                digest.update(to_array(part.frames).tobytes())
        return digest.hexdigest()


def evaluate(definition: Definition, versions: VersionQuerySet) -> ViewFrames:
    """Return what a view holds now of the versions that may be seen.

    Costs each filter once for each dataset it covers. Queries: 1 for the versions, 0 or 1 for the
    members of each, and those of the filters.
    """
    found, missing = _resolve(definition, versions)
    indexes = {version.dataset_id: DatasetIndex(version.dataset) for version in found}
    members = [indexes[version.dataset_id].members(version) for version in found]
    deadline = time.monotonic() + BUDGET_S
    results = []
    for item in definition.filters:
        covered = [place for place, version in enumerate(found) if item.scope.covers(version)]
        parts: list[Part] = []
        error = None
        try:
            matched = _matched(item.q, covered, found, members, indexes, deadline)
            for place in covered:
                frames = members[place] & matched[found[place].dataset_id]
                parts.append(Part(place, found[place], frames))
        except QueryError as refused:
            error = refused
        is_visible = bool(covered) or item.scope == Scope()
        results.append(FilterFrames(item, parts, [], is_visible, error))
    return ViewFrames(definition, found, _with_own(results), missing)


def _matched(
    q: str,
    covered: Sequence[int],
    versions: Sequence[Version],
    members: Sequence[BitMap],
    indexes: Mapping[int, DatasetIndex],
    deadline: float,
) -> dict[int, BitMap]:
    """Return what a text matches of each dataset, in all of its versions covered together."""
    held: dict[int, list[BitMap]] = {}
    for place in covered:
        held.setdefault(versions[place].dataset_id, []).append(members[place])
    found = {}
    for pk, sets in held.items():
        if time.monotonic() > deadline:
            raise QueryError("This view takes too long. Give it fewer filters or datasets.")
        universe = union(sets)
        found[pk] = frames_matching(indexes[pk], universe, q) if q else universe
    return found


def labelled(definition: Definition, version: Version, row: FrameRow) -> FrameRow:
    """Return a frame as a view gives it: labels mapped, and numbered where there are numbers.

    A copy: the row may be shown under another view or version as well.
    """
    frame = copy(row.frame)
    frame.rois = labelled_rois(definition, version, row.frame.rois)
    return replace(row, frame=frame)


def labelled_rois(
    definition: Definition, version: Version, rois: Sequence[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Return copies of a frame's regions as a view gives them, with their numbers as label_num."""
    found = []
    for roi in rois:
        labels = definition.mapped(version, roi.get("label") or [])
        changed = {**roi, "label": labels} if labels or "label" in roi else dict(roi)
        if definition.labels_enumeration:
            changed["label_num"] = definition.number_of(labels)
        found.append(changed)
    return found


def labels_of(view: ViewFrames) -> list[str]:
    """Return the labels of a view's frames as it gives them, most frequent first.

    Labels that are mapped only together are counted as if each stood alone. Queries: 2 for each
    part, and 1 for each 500 labels.
    """
    counts: Counter[str] = Counter()
    for part in (part for item in view.filters for part in item.own):
        index = DatasetIndex(part.version.dataset)
        for label, frames in index.label_counts(part.frames).items():
            for mapped in view.definition.mapped(part.version, [label]):
                counts[mapped] += frames
    return [label for label, _ in sorted(counts.items(), key=lambda item: (-item[1], item[0]))]


def _resolve(
    definition: Definition, versions: VersionQuerySet
) -> tuple[list[Version], list[Scope]]:
    """Return the versions of a view's input in its order, and the entries of which none is there.

    Versions of a dataset that is named whole are in the order they were made. Queries: 1.
    """
    named = [scope.version for scope in definition.versions if scope.version != ALL]
    whole = [scope.dataset for scope in definition.versions if scope.version == ALL]
    rows = versions.filter(Q(uid__in=named) | Q(dataset__uid__in=whole))
    candidates = _of_one_state(rows.order_by("created_at", "pk")[: VERSIONS_MAX + 1])
    if len(candidates) > VERSIONS_MAX:
        raise QueryError(f"The view takes more than {VERSIONS_MAX:,} versions.", field="versions")
    found: dict[int, Version] = {}
    missing = []
    for scope in definition.versions:
        meant = [version for version in candidates if scope.covers(version)]
        found |= {version.pk: version for version in meant}
        if not meant:
            missing.append(scope)
    return list(found.values()), missing


def _of_one_state(rows: QuerySet[Version]) -> list[Version]:
    """Return versions of which those of a dataset share its row. Queries: 1.

    So that a dataset's index is asked about one state of it.
    """
    found = list(rows.select_related("dataset__project"))
    datasets: dict[int, Dataset] = {}
    for version in found:
        version.dataset = datasets.setdefault(version.dataset_id, version.dataset)
    return found


def _with_own(results: list[FilterFrames]) -> list[FilterFrames]:
    """Give each frame to one of the filters that match it: the one that matches the fewest.

    So a filter inside another still has frames of its own to be drawn by its weight.
    """
    taken: dict[int, BitMap] = {}
    own: dict[int, list[Part]] = {}
    for number in sorted(range(len(results)), key=lambda n: (results[n].matched, n)):
        own[number] = []
        for part in results[number].parts:
            others = taken.get(part.place, BitMap())
            own[number].append(replace(part, frames=part.frames - others))
            taken[part.place] = others | part.frames
    return [replace(item, own=own[number]) for number, item in enumerate(results)]


# --- to be kept by a job ---------------------------------------------------------------------


def freeze(view: ViewFrames) -> bytes:
    """Return what a view gives in an iteration that ends, for `thaw`: a few bytes a frame."""
    body = {
        "definition": view.definition.as_json(),
        "versions": [version.uid for version in view.versions],
        "own": [
            [[part.place, b64encode(dump(part.frames)).decode()] for part in item.own]
            for item in view.filters
        ],
    }
    return json.dumps(body).encode()


def thaw(data: bytes) -> ViewFrames | None:
    """Return what was frozen, whoever may see it; None if a version of it is gone. Queries: 1.

    Its filters have what is their own, and no more of what they match.
    """
    body = json.loads(data)
    definition = Definition.from_json(body["definition"])
    rows = Version.objects.filter(uid__in=body["versions"], dataset__deleted_at=None)
    found = {version.uid: version for version in _of_one_state(rows)}
    if len(found) < len(body["versions"]):
        return None
    versions = [found[uid] for uid in body["versions"]]
    filters = []
    for item, parts in zip(definition.filters, body["own"], strict=True):
        own = [Part(place, versions[place], load(b64decode(bits))) for place, bits in parts]
        filters.append(FilterFrames(item, own, own))
    return ViewFrames(definition, versions, filters, [])


# --- the content hash -----------------------------------------------------------------------


def content_hash(view: ViewFrames) -> str:
    """Return the hash of a view's frames and of what it does with them: 64 hexadecimal digits.

    Built from frame ids and content digests, so it is the same on every machine that holds the
    same frames, whatever they are called there and in whatever order they were written.
    docs/views.md has the algorithm. Costs a row for each frame; queries: 2 for each 10,000
    revisions of each dataset, 1 for each 10,000 frames where there are few.
    """
    sets: dict[tuple[str, int], list[Part]] = {}
    for number, item in enumerate(view.filters):
        sets["filter", number] = item.parts
    for place, version in enumerate(view.versions):
        frames = union(p.frames for item in view.filters for p in item.parts if p.place == place)
        sets["version", place] = [Part(place, version, frames)]
    digests = _digests(sets)
    body = {
        "format": _FORMAT,
        "filters": [
            {
                "q": item.filter.q,
                "weight": item.filter.weight,
                "frames": sorted(digests["filter", number]),
            }
            for number, item in enumerate(view.filters)
        ],
        "mapping": [_canonical(rule, view, digests) for rule in view.definition.mapping],
        "labels_enumeration": view.definition.labels_enumeration,
        "iteration": view.definition.iteration.as_json(),
    }
    text = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return blake2b(text.encode(), digest_size=32).hexdigest()


def _canonical(
    rule: MappingRule, view: ViewFrames, digests: Mapping[tuple[str, int], list[str]]
) -> dict[str, Any]:
    """Return a mapping rule that names versions by what the view takes of them."""
    frames = [
        digests["version", place][0]
        for place, version in enumerate(view.versions)
        if rule.scope.covers(version)
    ]
    return {"labels": sorted(rule.labels), "target": rule.target, "frames": sorted(frames)}


def _digests(
    sets: Mapping[tuple[str, int], Sequence[Part]],
) -> dict[tuple[str, int], list[str]]:
    """Return the digest of each part of each set, reading every frame once."""
    datasets: dict[int, Dataset] = {}
    waiting: dict[int, list[tuple[tuple[str, int], int, BitMap]]] = {}
    found: dict[tuple[str, int], list[str]] = {}
    for key, parts in sets.items():
        found[key] = [""] * len(parts)
        for number, part in enumerate(parts):
            dataset = part.version.dataset
            datasets[dataset.pk] = dataset
            waiting.setdefault(dataset.pk, []).append((key, number, part.frames))
    for pk, wanted in waiting.items():
        # Filters that match the same frames, and versions that a filter takes whole, share one.
        distinct = {_same(frames): frames for _, _, frames in wanted}
        pairs = [(frames, blake2b(digest_size=32)) for frames in distinct.values()]
        for ordinal, line in _lines(datasets[pk], union(distinct.values())):
            for frames, hasher in pairs:
                if ordinal in frames:
                    hasher.update(line)
        hashed = {_same(frames): hasher.hexdigest() for frames, hasher in pairs}
        for key, number, frames in wanted:
            found[key][number] = hashed[_same(frames)]
    return found


def _same(frames: BitMap) -> bytes:
    """Return a key that sets with the same members share."""
    return blake2b(to_array(frames).tobytes(), digest_size=16).digest()


def _lines(dataset: Dataset, frames: BitMap) -> Iterator[tuple[int, bytes]]:
    """Yield (ordinal, what is hashed of the frame) of each frame, in byte order of frame ids."""
    index = DatasetIndex(dataset)
    if len(frames) <= READ_AT_ONCE_MAX:
        rows = order.read(index, frames, ("frame_id", "digest"))
        for ordinal, frame_id, digest in sorted(rows, key=lambda row: row[1].encode()):
            yield ordinal, _line(frame_id, digest)
        return
    place: tuple[str, int] | None = None
    while True:
        page = store.frames_behind(dataset.pk, ("frame_id",), place, descending=False, limit=_CHUNK)
        held = BitMap([ordinal_of(pk) for _, pk in page]) & frames
        digests = dict(order.read(index, held, ("digest",)))
        for frame_id, pk in page:
            if (ordinal := ordinal_of(pk)) in held:
                yield ordinal, _line(frame_id, digests[ordinal])
        if len(page) < _CHUNK:
            return
        place = page[-1]


def _line(frame_id: str, digest: bytes | memoryview) -> bytes:
    encoded = frame_id.encode()
    return len(encoded).to_bytes(4, "big") + encoded + bytes(digest)
