"""A job's page: how far it is, what went wrong, and the way to stop it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from django.conf import settings
from django.shortcuts import redirect
from django.template.defaultfilters import filesizeformat
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_POST

from frames.actions import exports, jobs
from frames.actions.edits import Edit
from frames.models import Grant, Job, JobError
from frames.web import access
from frames.web.addresses import version_address
from frames.web.http import respond
from frames.web.text import count, plural, span
from frames.web.version_export import selection_words

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.contrib.auth.models import User
    from django.http import HttpResponse

    from frames.web.http import SignedInRequest

ERRORS_PER_PAGE: Final = 100
# What a kind of job does, as its page's heading.
TITLES: Final = {
    Job.Kind.IMPORT: "Import",
    Job.Kind.CHECK: "Check before publishing",
    Job.Kind.EXPORT: "Export",
    Job.Kind.EDIT: "Bulk edit",
    Job.Kind.DELETE: "Deletion",
    Job.Kind.COLLECT: "Garbage collection",
}


@dataclass(frozen=True, slots=True)
class Link:
    """Where something is, and what to call it."""

    label: str
    url: str


@dataclass(frozen=True, slots=True)
class JobPage:
    """A job and one page of its problems; `next` is the row after which the next page begins."""

    job: Job
    errors: list[JobError]
    next: int | None
    may_edit: bool
    may_cancel: bool

    @property
    def is_finished(self) -> bool:
        """Whether nothing will change any more."""
        return self.job.state not in (Job.State.QUEUED, Job.State.RUNNING)

    @property
    def is_import(self) -> bool:
        """Whether it reads frames from somewhere."""
        return self.job.kind == Job.Kind.IMPORT

    @property
    def is_export(self) -> bool:
        """Whether it writes frames to a file."""
        return self.job.kind == Job.Kind.EXPORT

    @property
    def title(self) -> str:
        """What it does to what: an import's file, or else the version or dataset."""
        title = TITLES[Job.Kind(self.job.kind)]
        of = self.name or (self.job.version and self.job.version.name) or self.dataset_name
        return f"{title} of {of}" if of else title

    @property
    def name(self) -> str:
        """The last part of its address."""
        return self.job.uri.rstrip("/").rpartition("/")[2] or self.job.uri

    @property
    def dataset_name(self) -> str:
        """The dataset; once that is deleted, as its deletion remembers it."""
        return self.job.dataset.name if self.job.dataset else self.job.options.get("name", "")

    @property
    def results(self) -> list[Link]:
        """Where what came of it is seen; nothing until it is done."""
        if self.job.state != Job.State.DONE:
            return []
        found = RESULTS.get(Job.Kind(self.job.kind))
        return found(self.job) if found else []

    @property
    def address(self) -> str:
        """Where it is imported from, not where the server keeps uploads; or what is exported."""
        if self.is_export:
            words = [text for _, text in selection_words(self.job.options)]
            return ", ".join([exports.format_title(self.job), *words])
        is_upload = self.job.uri.startswith(settings.UPLOADS_DIR.as_uri())
        return f"uploaded: {self.name}" if is_upload else self.job.uri

    @property
    def edit(self) -> Edit | None:
        """What a bulk edit does to each frame; of any other job None."""
        return Edit(**self.job.options) if self.job.kind == Job.Kind.EDIT else None

    @property
    def can_cancel(self) -> bool:
        """Whether the reader may stop it now; what is being deleted cannot be kept any more."""
        if self.job.kind == Job.Kind.DELETE:
            return False
        return self.may_cancel and not self.is_finished and not self.job.cancel_requested

    @property
    def can_try_again(self) -> bool:
        """Whether it came to nothing and the reader may start another."""
        return self.may_edit and self.job.state in (Job.State.FAILED, Job.State.CANCELLED)

    @property
    def can_undo(self) -> bool:
        """Whether the reader may take back what it did."""
        job = self.job
        is_edit = job.kind == Job.Kind.EDIT and job.state == Job.State.DONE
        stands = job.version is not None and job.version.is_draft
        return self.may_edit and is_edit and stands and not job.result.get("undone")

    @property
    def read(self) -> int:
        """How far it is: of an import's input in the reader's own unit, else in items."""
        return int(self.job.options.get("read", 0)) if self.is_import else self.job.position

    @property
    def progress(self) -> str:
        """The share read, empty while the input's length is unknown."""
        if self.is_finished or not self.job.total:
            return ""
        return f"{min(99, 100 * self.read // self.job.total)} %"

    @property
    def figures(self) -> list[tuple[str, str]]:
        """What has become of the items so far."""
        if self.edit and self.job.state == Job.State.DONE:
            result = self.job.result
            done = "deleted" if self.edit.verb == "delete" else "changed"
            figures = [(done, result["changed"]), ("left as they were", result["left"])]
            figures += [("failed", self.job.failed)] if self.job.failed else []
            figures += [("as before again", result["restored"])] if "restored" in result else []
            return [(name, count(number)) for name, number in figures]
        if self.job.kind == Job.Kind.COLLECT and self.job.state == Job.State.DONE:
            removed = ("frames", "previews", "uploads")
            figures = [(f"{name} removed", count(self.job.result[name])) for name in removed]
            return [*figures, ("frames that wait", count(self.job.result["waiting"]))]
        if "objects" in self.job.result:
            names = ("deleted", "kept", "failed")
            counts = self.job.result["objects"]
            figures = [(f"objects {name}", count(counts[name])) for name in names]
            return [*figures, ("done", self.progress)] if self.progress else figures
        if self.job.kind == Job.Kind.CHECK:
            # It looks at each frame several times, which is no number of anything.
            return [("done", self.progress)] if self.progress else []
        if not self.is_import:
            position, total = count(self.job.position), self.job.total
            return [("done", f"{position} of {count(total)}" if total else position)]
        imported = "imported" if self.is_finished else "read"
        return [
            (imported, count(self.job.imported)),
            ("unchanged", count(self.job.unchanged)),
            ("failed", count(self.job.failed)),
        ]

    @property
    def changes(self) -> list[tuple[str, str]]:
        """What an export's format could not hold: how many, and what became of them."""
        changes = self.job.result.get("changes", {}) if self.is_export else {}
        return [(count(number), what) for what, number in changes.items()]

    @property
    def note(self) -> str:
        """What is to be known beside the links to what came of it."""
        if self.is_import:
            return "Previews arrive by themselves."
        if not self.is_export:
            return ""
        if not exports.is_kept(self.job):
            return "The file has been removed. Export the frames again."
        return f"The file is kept until {exports.kept_until(self.job):%Y-%m-%d}."

    @property
    def took(self) -> str:
        """How long it runs or ran."""
        if not self.job.started_at:
            return ""
        end = self.job.finished_at or timezone.now()
        seconds = round((end - self.job.started_at).total_seconds())
        return span(seconds * 1000).removesuffix(".000") if seconds else "under 1 s"

    @property
    def problems(self) -> str:
        """How many items failed, and how many of those are listed."""
        failed = plural(self.job.failed, "problem")
        if self.job.failed > JobError.MAX_KEPT:
            return f"{failed}, of which the first {count(JobError.MAX_KEPT)} are kept"
        return failed

    def as_json(self) -> dict[str, Any]:
        """Return the job and its problems."""
        job = self.job
        return {
            "id": job.uid,
            "kind": job.kind,
            "state": job.state,
            "uri": self.address,
            "dataset": job.dataset and {"id": job.dataset.uid, "name": job.dataset.name},
            "version": job.version and {"id": job.version.uid, "name": job.version.name},
            "read": self.read,
            "of": job.total,
            "imported": job.imported,
            "unchanged": job.unchanged,
            "failed": job.failed,
            "message": job.message,
            "result": job.result,
            "errors": [
                {"index": error.index, "path": error.path, "reason": error.reason}
                for error in self.errors
            ],
            "next": self.next,
        }


def _frames(job: Job) -> list[Link]:
    if "view" in job.options:
        return [Link("Show the view", reverse("frames:view_detail", args=[job.options["view"]]))]
    if job.version is None or job.dataset is None:
        return []
    job.version.dataset = job.dataset
    return [Link("Show the frames", version_address(job.version))]


def _findings(job: Job) -> list[Link]:
    if job.version is None or job.dataset is None:
        return []
    address = reverse("frames:version_check", args=[job.dataset.uid, job.version.uid])
    return [Link("Show what was found", address)]


def _file(job: Job) -> list[Link]:
    if not exports.is_kept(job):
        return _frames(job)
    size = filesizeformat(job.result["bytes"])
    name = job.result["file"].rpartition("/")[2]
    address = reverse("frames:job_download", args=[job.uid])
    return [Link(f"Download {name} ({size})", address), *_frames(job)]


# What a finished job of each kind leads to.
RESULTS: Final[dict[Job.Kind, Callable[[Job], list[Link]]]] = {
    Job.Kind.CHECK: _findings,
    Job.Kind.IMPORT: _frames,
    Job.Kind.EDIT: _frames,
    Job.Kind.EXPORT: _file,
}


def job_detail(request: SignedInRequest, job_uid: str, *, as_json: bool = False) -> HttpResponse:
    """Show a job; htmx asks for its figures again until it has ended."""
    job = access.job_or_404(request.user, job_uid)
    after = request.GET.get("after", "")
    errors = job.errors.order_by("index", "pk")
    start = int(after) if after.isdecimal() and len(after) < 9 else 0
    found = list(errors[start : start + ERRORS_PER_PAGE + 1])
    may_edit = access.may(request.user, job.project, Grant.Role.EDITOR)
    page = JobPage(
        job=job,
        errors=found[:ERRORS_PER_PAGE],
        next=start + ERRORS_PER_PAGE if len(found) > ERRORS_PER_PAGE else None,
        may_edit=may_edit,
        may_cancel=may_edit or _is_own(request.user, job),
    )
    return respond(request, page, "job/detail.html", as_json=as_json, partial="job")


def _is_own(user: User, job: Job) -> bool:
    """Whether it is an export that the user asked for, as viewers may too."""
    return job.kind == Job.Kind.EXPORT and job.created_by_id == user.pk


@require_POST
def job_cancel(request: SignedInRequest, job_uid: str) -> HttpResponse:
    """Ask a job to stop."""
    job = access.job_or_404(request.user, job_uid)
    if not _is_own(request.user, job):
        access.require(request.user, job.project, Grant.Role.EDITOR)
    jobs.cancel(job)
    return redirect("frames:job_detail", job.uid)
