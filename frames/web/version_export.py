"""The page that exports the frames of a filter."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from django.conf import settings
from django.shortcuts import redirect
from django.template.defaultfilters import filesizeformat
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from frames.actions import exports
from frames.actions.export_content import of_version
from frames.actions.fields import Refused
from frames.formats.writers import OUTPUT_FORMATS
from frames.models import Job, Version
from frames.search.errors import QueryError
from frames.search.query import GROUP_URL, FrameQuery
from frames.search.selection import SELECTION, selected_frames, selection_of
from frames.web import access
from frames.web.addresses import version_address
from frames.web.http import respond
from frames.web.text import count, plural

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from django.db.models import QuerySet
    from django.http import HttpResponse

    from frames.formats.writers import OutputFormat
    from frames.web.http import SignedInRequest

SHOWN: Final = 10


@dataclass(frozen=True, slots=True)
class EarlierExport:
    """An export that was asked for before; its page leads to its file."""

    job: Job

    @property
    def url(self) -> str:
        """Its page."""
        return reverse("frames:job_detail", args=[self.job.uid])

    @property
    def title(self) -> str:
        """Its format."""
        return exports.format_title(self.job)

    @property
    def frames(self) -> str:
        """How many frames it is of."""
        return plural(self.job.total or 0, "frame")

    @property
    def filter(self) -> str:
        """What was filtered by."""
        return ", ".join(text for _, text in selection_words(self.job.options))

    @property
    def state(self) -> str:
        """How it stands, or how large the file is."""
        if self.job.state != Job.State.DONE:
            return self.job.get_state_display()
        return filesizeformat(self.job.result["bytes"]) if exports.is_kept(self.job) else "Removed"

    def as_json(self) -> dict[str, Any]:
        """Return what is shown of it."""
        return {
            "id": self.job.uid,
            "format": self.job.options.get("format"),
            "state": self.job.state,
            "frames": self.job.total,
            "url": self.url,
        }


@dataclass(frozen=True, slots=True)
class VersionExportPage:
    """What would be exported, the formats, and what was exported before.

    `filter` is the filter as it was typed, whether or not it can be read.
    """

    version: Version
    filter: Mapping[str, str]
    matched: int
    chosen: str
    problem: str
    earlier: Sequence[EarlierExport]

    formats: Sequence[OutputFormat] = OUTPUT_FORMATS

    @property
    def words(self) -> list[tuple[str, str]]:
        """The filter in words."""
        return selection_words(self.filter)

    @property
    def found(self) -> str:
        """How many frames it is about: "12 of 84 frames"."""
        total = plural(self.version.frame_count, "frame")
        return total if self.is_all else f"{count(self.matched)} of {total}"

    @property
    def is_all(self) -> bool:
        """Whether nothing is filtered out."""
        return self.matched == self.version.frame_count

    @property
    def submit(self) -> str:
        """What the button does."""
        return f"Export {plural(self.matched, 'frame')}"

    @property
    def back_url(self) -> str:
        """The frames that are exported."""
        return version_address(self.version, self.filter)

    @property
    def keep_days(self) -> str:
        """How long a file is kept."""
        return plural(settings.EXPORT_KEEP_DAYS, "day")

    def as_json(self) -> dict[str, Any]:
        """Return the number of frames, the formats and the earlier exports."""
        return {
            "total": self.version.frame_count,
            "matched": self.matched,
            **self.filter,
            "formats": [
                {"name": one.name, "title": one.title, "holds": one.holds} for one in self.formats
            ],
            "items": [export.as_json() for export in self.earlier],
            "error": self.problem or None,
        }


@require_http_methods(["GET", "HEAD", "POST"])
def version_export(
    request: SignedInRequest, dataset_uid: str, version_uid: str, *, as_json: bool = False
) -> HttpResponse:
    """Let who may see a version export the frames that a page of it is about."""
    version = access.version_or_404(request.user, dataset_uid, version_uid)
    given = request.POST if request.method == "POST" else request.GET
    wanted = {name: given[name] for name in SELECTION if given.get(name)}
    matched, problem = 0, ""
    try:
        query = selection_of(FrameQuery.from_params(wanted))
        wanted = query.params()
        if request.method == "POST":
            content = of_version(version, query)
            matched = content.total
            format_name = given.get("format", "")
            job = exports.start_export(content=content, format_name=format_name, actor=request.user)
            return redirect("frames:job_detail", job.uid)
        matched = len(selected_frames(version, query))
    except QueryError as error:
        problem = error.message
    except Refused as error:
        problem = str(error)
    page = VersionExportPage(
        version=version,
        filter=wanted,
        matched=matched,
        chosen=given.get("format") or OUTPUT_FORMATS[0].name,
        problem=problem,
        earlier=earlier_exports(Job.objects.filter(version=version)),
    )
    status = 400 if problem else 200
    return respond(request, page, "version/export.html", as_json=as_json, status=status)


def earlier_exports(found: QuerySet[Job]) -> list[EarlierExport]:
    """Return the newest exports among some jobs; one query."""
    of_kind = found.filter(kind=Job.Kind.EXPORT)
    return [
        EarlierExport(job)
        for job in of_kind.defer("staged", "replaced", "seen", "selected")[:SHOWN]
    ]


def selection_words(given: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return what says which frames, each with its name; see `selection_of`."""
    words = [("Filter", given.get("q", "")), ("Label", given.get("label", ""))]
    group = given.get("group", GROUP_URL)
    of = "contexts" if group == GROUP_URL else f"values of {group}"
    if scope := given.get("scope"):
        how_many = "no" if scope == "none" else scope
        words.append(("Groups", f"all frames of the {of} of which {how_many} frame matches"))
    if sample := given.get("sample"):
        words.append(("Sample", f"{sample} of each of the {of}"))
    words.append(("Regions", given.get("match", "")))
    return [(name, text) for name, text in words if text]
