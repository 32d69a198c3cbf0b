"""A job's page: how far it is, what went wrong, and the way to stop it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from django.conf import settings
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_POST

from frames.actions import imports
from frames.models import Grant, Job, JobError
from frames.web import access
from frames.web.addresses import version_address
from frames.web.http import respond
from frames.web.text import count, plural, span

if TYPE_CHECKING:
    from django.http import HttpResponse

    from frames.web.http import SignedInRequest

ERRORS_PER_PAGE: Final = 100


@dataclass(frozen=True, slots=True)
class JobPage:
    """A job and one page of its problems; `next` is the row after which the next page begins."""

    job: Job
    errors: list[JobError]
    next: int | None
    may_edit: bool

    @property
    def is_finished(self) -> bool:
        """Whether nothing will change any more."""
        return self.job.state not in (Job.State.QUEUED, Job.State.RUNNING)

    @property
    def name(self) -> str:
        """What is imported: the last part of its address."""
        return self.job.uri.rstrip("/").rpartition("/")[2] or self.job.uri

    @property
    def address(self) -> str:
        """Where it is imported from; not where the server keeps uploads."""
        is_upload = self.job.uri.startswith(settings.UPLOADS_DIR.as_uri())
        return f"uploaded: {self.name}" if is_upload else self.job.uri

    @property
    def can_cancel(self) -> bool:
        """Whether the reader may stop it now."""
        return self.may_edit and not self.is_finished and not self.job.cancel_requested

    @property
    def can_try_again(self) -> bool:
        """Whether it came to nothing and the reader may start another."""
        return self.may_edit and self.job.state in (Job.State.FAILED, Job.State.CANCELLED)

    @property
    def read(self) -> int:
        """How far the input is read, in the reader's own unit."""
        return int(self.job.options.get("read", 0))

    @property
    def progress(self) -> str:
        """The share read, empty while the input's length is unknown."""
        if self.is_finished or not self.job.total:
            return ""
        return f"{min(99, 100 * self.read // self.job.total)} %"

    @property
    def figures(self) -> list[tuple[str, str]]:
        """What has become of the items so far."""
        imported = "imported" if self.is_finished else "read"
        return [
            (imported, count(self.job.imported)),
            ("unchanged", count(self.job.unchanged)),
            ("failed", count(self.job.failed)),
        ]

    @property
    def took(self) -> str:
        """How long it runs or ran."""
        if not self.job.started_at:
            return ""
        end = self.job.finished_at or timezone.now()
        return span(round((end - self.job.started_at).total_seconds()) * 1000).removesuffix(".000")

    @property
    def problems(self) -> str:
        """How many items failed, and how many of those are listed."""
        failed = plural(self.job.failed, "problem")
        if self.job.failed > JobError.MAX_KEPT:
            return f"{failed}, of which the first {count(JobError.MAX_KEPT)} are kept"
        return failed

    @property
    def version_url(self) -> str:
        """Where the frames are."""
        if self.job.version is None:
            return reverse("frames:dataset_detail", args=[self.job.dataset.uid])
        self.job.version.dataset = self.job.dataset
        return version_address(self.job.version)

    def as_json(self) -> dict[str, Any]:
        """Return the job and its problems."""
        job = self.job
        return {
            "id": job.uid,
            "kind": job.kind,
            "state": job.state,
            "uri": self.address,
            "dataset": {"id": job.dataset.uid, "name": job.dataset.name},
            "version": job.version and {"id": job.version.uid, "name": job.version.name},
            "read": self.read,
            "of": job.total,
            "imported": job.imported,
            "unchanged": job.unchanged,
            "failed": job.failed,
            "message": job.message,
            "errors": [
                {"index": error.index, "path": error.path, "reason": error.reason}
                for error in self.errors
            ],
            "next": self.next,
        }


def job_detail(request: SignedInRequest, job_uid: str, *, as_json: bool = False) -> HttpResponse:
    """Show a job; htmx asks for its figures again until it has ended."""
    job = access.job_or_404(request.user, job_uid)
    after = request.GET.get("after", "")
    errors = job.errors.order_by("index", "pk")
    start = int(after) if after.isdecimal() and len(after) < 9 else 0
    found = list(errors[start : start + ERRORS_PER_PAGE + 1])
    page = JobPage(
        job=job,
        errors=found[:ERRORS_PER_PAGE],
        next=start + ERRORS_PER_PAGE if len(found) > ERRORS_PER_PAGE else None,
        may_edit=access.may(request.user, job.project, Grant.Role.EDITOR),
    )
    return respond(request, page, "job/detail.html", as_json=as_json, partial="job")


@require_POST
def job_cancel(request: SignedInRequest, job_uid: str) -> HttpResponse:
    """Ask a job to stop."""
    job = access.job_or_404(request.user, job_uid)
    access.require(request.user, job.project, Grant.Role.EDITOR)
    imports.cancel(job)
    return redirect("frames:job_detail", job.uid)
