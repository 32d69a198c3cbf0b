"""A preview: one small picture of what a source shows at one moment."""

from __future__ import annotations

import hashlib

from django.db import models
from django.utils import timezone

from frames.models.project import Project


class PreviewReason(models.TextChoices):
    """Why a preview could not be made; the label says what the person can do."""

    NOT_FOUND = "not_found", "Not found: nothing is stored at this address."
    FORBIDDEN = "forbidden", "Forbidden: the storage refused the operator's credentials."
    NOT_ALLOWED = (
        "not_allowed",
        "Not allowed: ask an administrator to add this address to the project's allowed prefixes.",
    )
    PRIVATE_ADDRESS = (
        "private_address",
        "Private address: the operator must list this host in MEDIA_PRIVATE_HOSTS.",
    )
    UNREACHABLE = "unreachable", "Unreachable: the host did not answer."
    TIMED_OUT = "timed_out", "Timed out: the storage answered too slowly."
    TOO_LARGE = "too_large", "Too large: over the operator's limit of bytes or pixels."
    NOT_AN_IMAGE = "not_an_image", "Not a picture: the file holds something else."
    CODEC = "codec", "Cannot be decoded: the file is damaged or its codec is not supported."
    OUT_OF_RANGE = "out_of_range", "The video ends before this timestamp."
    UNSUPPORTED = "unsupported", "No preview for this kind of file."
    INTERNAL = "internal", "Framedeck failed here; the log has the reason."


def preview_key(project_pk: int, uri: str, timestamp_ms: float, edge_px: int) -> str:
    """Return the key of the preview that shows this: 40 hexadecimal digits.

    The project is part of it, so that nobody learns from a thumbnail what another project holds.
    """
    text = f"{project_pk}\n{timestamp_ms!r}\n{edge_px}\n{uri}"
    return hashlib.blake2b(text.encode(), digest_size=20).hexdigest()


class Preview(models.Model):
    """One rendered picture, keyed by what it shows; every frame that shows it shares it.

    `width`, `height` are of the preview and `original_width`, `original_height` of what it was
    made from, all in pixels after EXIF rotation; `color` is the dominant colour as #rrggbb.
    `original_displayable` says whether a browser shows the original as it is. `attempts` counts
    how often the rendering was begun. While pending, `due_at` is when the sweep sends it to the
    queue (again): whoever takes the work moves it on, whoever dies with it leaves it to pass.
    """

    class State(models.TextChoices):
        """Pending until a worker has tried; failed keeps the reason."""

        PENDING = "pending", "Pending"
        READY = "ready", "Ready"
        FAILED = "failed", "Failed"

    Reason = PreviewReason

    key = models.CharField(max_length=40, primary_key=True)
    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="previews")
    uri = models.CharField(max_length=2048)
    content_type = models.CharField(max_length=255, blank=True)
    timestamp_ms = models.FloatField(default=0)
    edge_px = models.PositiveIntegerField()
    state = models.CharField(max_length=7, choices=State.choices, default=State.PENDING)
    reason = models.CharField(max_length=16, choices=PreviewReason.choices, blank=True)
    detail = models.CharField(max_length=500, blank=True)
    attempts = models.PositiveSmallIntegerField(default=0)
    due_at = models.DateTimeField(default=timezone.now)
    updated_at = models.DateTimeField(auto_now=True)
    width = models.PositiveIntegerField(null=True, blank=True)
    height = models.PositiveIntegerField(null=True, blank=True)
    original_width = models.PositiveIntegerField(null=True, blank=True)
    original_height = models.PositiveIntegerField(null=True, blank=True)
    original_displayable = models.BooleanField(default=False)
    color = models.CharField(max_length=7, blank=True)
    bytes = models.PositiveIntegerField(null=True, blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(state="pending", reason="")
                | models.Q(state="ready", reason="", width__isnull=False, height__isnull=False)
                | (models.Q(state="failed") & ~models.Q(reason="")),
                name="preview_state_is_whole",
            ),
        ]
        indexes = [
            # What the sweep reads: the few that wait, not the millions that are done.
            models.Index(
                fields=["due_at"],
                condition=models.Q(state="pending"),
                name="preview_waiting",
            ),
            # What a check before publishing reads: the few that failed.
            models.Index(
                fields=["project"],
                condition=models.Q(state="failed"),
                name="preview_failed",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.uri} at {self.timestamp_ms:g} ms, {self.edge_px} px"

    @property
    def name(self) -> str:
        """The file's name in the previews storage."""
        # 256 folders: making a folder costs more than writing the preview.
        return f"{self.key[:2]}/{self.key}.jpg"
