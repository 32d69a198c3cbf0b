"""A job: long work with progress that survives the death of its worker."""

from __future__ import annotations

from django.conf import settings
from django.db import models

from frames.models.base import VisibleQuerySet, new_uid
from frames.models.dataset import Dataset
from frames.models.project import Project
from frames.models.version import Version


class JobQuerySet(VisibleQuerySet["Job"]):
    """Jobs by who may see them and by state."""

    def unfinished(self) -> JobQuerySet:
        """Keep the jobs that are queued or running."""
        return self.filter(state__in=[Job.State.QUEUED, Job.State.RUNNING])


class Job(models.Model):
    """Long work on a dataset: what it is, how far it came, what came of it, what went wrong.

    `position` items are done for good: a job whose worker died goes on behind them. A job that
    writes frames keeps three bitmaps of ordinals: `staged` are the revisions it has written, which
    its version gets all at once at the end, `replaced` those that they take the place of, and
    `seen` every frame met, so that a second one with the same id is found. `selected` are the
    revisions that an edit is about; what it staged and replaced stays, to be undone. An export's
    `staged` are the revisions that it writes to its file. `options` is what was asked, `result`
    what came of it. `heartbeat_at` is renewed with each batch; a running job whose heartbeat is
    old is sent again by the sweep.
    """

    class Kind(models.TextChoices):
        """What kind of work."""

        IMPORT = "import", "Import"
        CHECK = "check", "Check"
        EXPORT = "export", "Export"
        EDIT = "edit", "Edit"
        DELETE = "delete", "Deletion"
        COLLECT = "collect", "Garbage collection"

    class State(models.TextChoices):
        """Queued, running, and how it ended."""

        QUEUED = "queued", "Queued"
        RUNNING = "running", "Running"
        DONE = "done", "Done"
        FAILED = "failed", "Failed"
        CANCELLED = "cancelled", "Cancelled"

    uid = models.CharField(max_length=32, unique=True, default=new_uid, editable=False)
    kind = models.CharField(max_length=16, choices=Kind.choices)
    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="jobs")
    dataset = models.ForeignKey(
        Dataset, null=True, blank=True, on_delete=models.SET_NULL, related_name="jobs"
    )
    version = models.ForeignKey(
        Version, null=True, blank=True, on_delete=models.SET_NULL, related_name="jobs"
    )
    uri = models.CharField(max_length=2048, blank=True)
    options = models.JSONField(default=dict, blank=True)
    result = models.JSONField(default=dict, blank=True)
    state = models.CharField(max_length=9, choices=State.choices, default=State.QUEUED)
    total = models.PositiveBigIntegerField(null=True, blank=True)
    position = models.PositiveBigIntegerField(default=0)
    imported = models.PositiveBigIntegerField(default=0)
    unchanged = models.PositiveBigIntegerField(default=0)
    failed = models.PositiveBigIntegerField(default=0)
    selected = models.BinaryField(default=bytes, editable=False)
    staged = models.BinaryField(default=bytes, editable=False)
    replaced = models.BinaryField(default=bytes, editable=False)
    seen = models.BinaryField(default=bytes, editable=False)
    message = models.TextField(blank=True)
    cancel_requested = models.BooleanField(default=False)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)
    started_at = models.DateTimeField(null=True, blank=True)
    heartbeat_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    objects = JobQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at"]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(state__in=["queued", "running"], finished_at__isnull=True)
                | models.Q(state__in=["done", "failed", "cancelled"], finished_at__isnull=False),
                name="job_finished_has_a_date",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.uri or self.uid}"


class JobError(models.Model):
    """One item a job could not take: where it stands in the input and why."""

    # More are counted but not kept: a report nobody reads to its end must not grow with N.
    MAX_KEPT = 1_000

    job = models.ForeignKey(Job, on_delete=models.CASCADE, related_name="errors")
    index = models.PositiveBigIntegerField()
    path = models.CharField(max_length=500, blank=True)
    reason = models.CharField(max_length=1000)

    class Meta:
        ordering = ["index", "id"]
        indexes = [models.Index(fields=["job", "index"], name="job_error_in_order")]

    def __str__(self) -> str:
        return f"{self.index}: {self.path}: {self.reason}"
