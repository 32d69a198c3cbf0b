"""The checks before publishing: what the last found, the way to run them, and the frames found."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from django.http import Http404
from django.shortcuts import redirect
from django.urls import reverse

from frames.actions import checks
from frames.actions.fields import Refused
from frames.index.geometry import OUTSIDE, ZERO_AREA, region_defects
from frames.models import CheckFinding, Grant, Job
from frames.search import defects
from frames.search.errors import QueryError
from frames.search.query import GROUP_NONE, FrameQuery
from frames.web import access
from frames.web.addresses import frame_address, version_address
from frames.web.cards import frame_json
from frames.web.drawn import drawn_rows
from frames.web.http import respond
from frames.web.overlay import shape_of
from frames.web.pictures import ratio_of
from frames.web.text import count, elapsed, moment, plural
from frames.web.version_detail import refused_json
from frames.web.versions import version_json

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet
    from datetime import datetime

    from django.http import HttpResponse

    from frames.actions.checks import Check
    from frames.models import Version
    from frames.search.rows import FrameRow
    from frames.web.drawn import Drawn
    from frames.web.http import SignedInRequest

Kind = CheckFinding.Kind

PAGE_SIZE: Final = 48
REGIONS_SHOWN: Final = 3
_GEOMETRY: Final = {Kind.ZERO_AREA: ZERO_AREA, Kind.OUTSIDE: OUTSIDE}
# What to do about each kind.
ADVICE: Final = {
    Kind.UNREACHABLE: "Put the files where the frames say, or let an administrator allow them.",
    Kind.ZERO_AREA: "Delete the region, or draw it again.",
    Kind.OUTSIDE: "Move the region into the picture, or mend the picture's size in the source.",
    Kind.LABEL_CASE: "Choose one spelling. The frames have a rarer one.",
    Kind.MASK_VALUE: "Add the values to mask_labels in the version's metadata.",
    Kind.COLLISION: "Give each frame of a context a moment of its own.",
    Kind.DUPLICATE: "Keep one of the frames.",
}


@dataclass(frozen=True, slots=True)
class FindingRow:
    """One kind of defect; `frames` is None where it was not looked for."""

    kind: Kind
    frames: int | None
    examples: list[str]
    url: str

    @property
    def label(self) -> str:
        """What is wrong."""
        return str(self.kind.label)

    @property
    def advice(self) -> str:
        """What to do about it."""
        return ADVICE[self.kind]

    @property
    def count(self) -> str:
        """In how many frames it was found."""
        if self.frames is None:
            return "not looked at"
        return plural(self.frames, "frame") if self.frames else "none"

    def as_json(self) -> dict[str, Any]:
        """Return the finding."""
        return {"kind": self.kind.value, "frames": self.frames, "examples": self.examples}


@dataclass(frozen=True, slots=True)
class Gate:
    """What the last check of a version says, and whether that is of the version as it is now."""

    version: Version
    check: Check | None

    @property
    def url(self) -> str:
        """The page of the checks."""
        return reverse("frames:version_check", args=[self.version.dataset.uid, self.version.uid])

    @property
    def is_current(self) -> bool:
        """Whether the version has been checked as it is now."""
        return self.check is not None and self.check.is_current

    @property
    def is_open(self) -> bool:
        """Whether the last check has found something."""
        return self.check is not None and bool(self.check.open)

    @property
    def needs_reason(self) -> bool:
        """Whether publishing needs one; an empty version has nothing to check."""
        if not self.is_current:
            return bool(self.version.frame_count)
        return self.is_open

    @property
    def at(self) -> datetime | None:
        """When the last check ended."""
        return self.check.job.finished_at if self.check else None

    @property
    def ago(self) -> str:
        """How long ago the last check ended."""
        return elapsed(self.at) if self.at else ""

    @property
    def how(self) -> str:
        """How far the last check went."""
        if self.check is None:
            return ""
        return "with sources fetched" if self.check.has_fetched else "without fetching sources"

    @property
    def rows(self) -> list[FindingRow]:
        """Every kind of defect; none where nothing was checked."""
        if self.check is None:
            return []
        found = {Kind(finding.kind): finding for finding in self.check.findings}
        return [
            FindingRow(
                kind,
                found[kind].count if kind in found else None,
                _examples(kind, found[kind].examples) if kind in found else [],
                f"{self.url}{kind.value}/",
            )
            for kind in Kind
        ]

    @property
    def open_rows(self) -> list[FindingRow]:
        """The kinds that were found."""
        return [row for row in self.rows if row.frames]


@dataclass(frozen=True, slots=True)
class CheckPage:
    """The checks of a version: the last one, and the one that runs."""

    gate: Gate
    running: Job | None
    may_edit: bool
    may_publish: bool
    problem: str = ""

    @property
    def version(self) -> Version:
        """What is checked."""
        return self.gate.version

    @property
    def can_publish(self) -> bool:
        """Whether the reader may publish it."""
        return self.may_publish and self.version.is_draft

    @property
    def version_url(self) -> str:
        """The version's page."""
        return version_address(self.version)

    def as_json(self) -> dict[str, Any]:
        """Return what the last check has found."""
        gate = self.gate
        return {
            "version": version_json(self.version),
            "checked": gate.at.isoformat() if gate.at else None,
            "is_current": gate.is_current,
            "fetched": gate.check.has_fetched if gate.check else None,
            "job": gate.check.job.uid if gate.check else None,
            "running": self.running.uid if self.running else None,
            "findings": [row.as_json() for row in gate.rows],
        }


@dataclass(frozen=True, slots=True)
class FoundFrame:
    """A frame with a defect, under its picture.

    `rarer` are the labels that the check names as rarer spellings of others.
    """

    row: FrameRow
    version: Version
    kind: Kind
    url: str
    picture: Drawn
    rarer: AbstractSet[str]

    @property
    def frame_id(self) -> str:
        """What it is called."""
        return self.row.frame.frame_id

    @property
    def drawn(self) -> Drawn:
        """Its picture; where regions are wrong, with those."""
        wrong = self._wrong if self.kind in _GEOMETRY else set()
        return replace(self.picture, shapes=[s for s in self.picture.shapes if s.number in wrong])

    @property
    def _wrong(self) -> set[int]:
        """The places of the regions that have the defect."""
        return {
            number
            for number, roi in enumerate(self.row.frame.rois)
            if _GEOMETRY[self.kind] in region_defects(roi, self.row.sources)
        }

    @property
    def lines(self) -> list[str]:
        """Where the defect is, as far as the frame itself tells."""
        frame = self.row.frame
        if self.kind in _GEOMETRY:
            wrong = [shape_of(frame.rois[n], n).description for n in sorted(self._wrong)]
            more = len(wrong) - REGIONS_SHOWN
            return wrong[:REGIONS_SHOWN] + ([f"and {more} more"] if more > 0 else [])
        if self.kind == Kind.LABEL_CASE:
            labels = {label for roi in frame.rois for label in roi.get("label") or ()}
            # The check names a few spellings; of the others the frame's labels tell what they can.
            return [", ".join(sorted(labels & self.rarer or labels))]
        if self.kind == Kind.MASK_VALUE:
            return [mask["uri"] for source in self.row.sources for mask in source.masks or ()][:3]
        if self.kind == Kind.UNREACHABLE:
            return [source.uri for source in self.row.sources][:3]
        return [frame.context_id, moment(frame.timestamp)]


@dataclass(frozen=True, slots=True)
class CheckFramesPage:
    """One page of the frames that a check has found."""

    gate: Gate
    row: FindingRow
    matched: int
    items: list[FoundFrame]
    next: str | None

    @property
    def version(self) -> Version:
        """What was checked."""
        return self.gate.version

    @property
    def found(self) -> str:
        """How many frames there are; after a change, how many of them the version still holds."""
        frames = plural(self.matched, "frame")
        gone = (self.row.frames or 0) - self.matched
        return f"{frames}, {count(gone)} more are no longer in it" if gone else frames

    @property
    def next_url(self) -> str:
        """The next page, empty at the end."""
        return f"{self.row.url}?after={self.next}" if self.next else ""

    @property
    def ratio(self) -> str:
        """The shape of the pictures' boxes."""
        return ratio_of(item.picture.size for item in self.items)

    def as_json(self) -> dict[str, Any]:
        """Return the list."""
        return {
            **self.row.as_json(),
            "is_current": self.gate.is_current,
            "total": self.row.frames,
            "matched": self.matched,
            "items": [
                {
                    **frame_json(item.row, item.version, item.url, item.picture.picture),
                    "defects": item.lines,
                }
                for item in self.items
            ],
            "next": self.next,
        }


def gate_of(version: Version) -> Gate:
    """Return what is known of a version's checks. Queries: 3."""
    return Gate(version, checks.last_check(version))


def version_check(
    request: SignedInRequest, dataset_uid: str, version_uid: str, *, as_json: bool = False
) -> HttpResponse:
    """Show what the last check has found; a POST runs the checks."""
    version = access.version_or_404(request.user, dataset_uid, version_uid)
    role = access.role_in(request.user, version.dataset.project)
    problem = ""
    if request.method == "POST":
        access.require(request.user, version.dataset.project, Grant.Role.EDITOR)
        try:
            fetch = "fetch" in request.POST
            job = checks.start_check(version, actor=request.user, fetch=fetch)
            return redirect("frames:job_detail", job.uid)
        except Refused as error:
            problem = str(error)
    running = Job.objects.unfinished().filter(kind=Job.Kind.CHECK, version=version).first()
    page = CheckPage(
        gate=gate_of(version),
        running=running,
        may_edit=role >= Grant.Role.EDITOR,
        may_publish=role >= Grant.Role.ADMIN,
        problem=problem,
    )
    status = 400 if problem else 200
    return respond(request, page, "version/check.html", as_json=as_json, status=status)


def check_frames(
    request: SignedInRequest,
    dataset_uid: str,
    version_uid: str,
    kind: str,
    *,
    as_json: bool = False,
) -> HttpResponse:
    """Show the frames that the last check has found with one kind of defect."""
    version = access.version_or_404(request.user, dataset_uid, version_uid)
    gate = gate_of(version)
    row = next((row for row in gate.rows if row.kind.value == kind), None)
    if row is None or row.frames is None or gate.check is None:
        raise Http404
    finding = CheckFinding.objects.get(job=gate.check.job, kind=kind)
    try:
        params = {"group": GROUP_NONE, "after": request.GET.get("after", "")}
        query = FrameQuery.from_params(params)
        found = defects.finding_page(version, finding, query, PAGE_SIZE)
    except QueryError as error:
        return refused_json(error) if as_json else redirect(row.url)
    drawn = drawn_rows(version.dataset.project_id, found.items)
    named = [label for example in finding.examples for label, _ in example.get("labels", [])[1:]]
    page = CheckFramesPage(
        gate=gate,
        row=row,
        matched=found.matched,
        items=[
            FoundFrame(
                row=item,
                version=version,
                kind=row.kind,
                url=frame_address(version, item.frame.frame_id, {}),
                picture=picture,
                rarer=frozenset(named),
            )
            for item, picture in zip(found.items, drawn, strict=True)
        ],
        next=found.next,
    )
    template = "version/check_frames.html"
    return respond(request, page, template, as_json=as_json, partial="items")


def _examples(kind: Kind, examples: list[dict[str, Any]]) -> list[str]:
    """Return a few defects, a line each."""
    return [_example(kind, example) for example in examples]


def _example(kind: Kind, example: dict[str, Any]) -> str:
    if kind == Kind.UNREACHABLE:
        return f"{example['uri']}: {example['reason']}"
    if kind == Kind.LABEL_CASE:
        return ", ".join(
            f"{label} ({plural(frames, 'frame')})" for label, frames in example["labels"]
        )
    if kind == Kind.MASK_VALUE:
        # A value is written in several ways; the first is the file's own.
        values = ", ".join(str(value[0]) for value in example["values"])
        return f"{values or 'thousands of values'} in {example['uri']}"
    if kind == Kind.COLLISION:
        frames = plural(example["frames"], "frame")
        return f"{frames} at {moment(example['timestamp'])} of {example['context']}"
    if kind == Kind.DUPLICATE:
        return ", ".join(example["names"])
    return str(example["frame"])
