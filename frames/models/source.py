"""A source: one stream of a frame."""

from __future__ import annotations

from django.db import models

from frames.models.frame import Frame


class Source(models.Model):
    """One stream of a frame, a camera or a lidar: where its raw data is and what it looks like.

    `width` and `height` are in pixels, null when unknown. `timestamp` is the position inside the
    raw data in milliseconds. `masks` and `preview` are as given; `extra` keeps the keys
    Framedeck does not know.
    """

    frame = models.ForeignKey(
        Frame, on_delete=models.CASCADE, related_name="sources", db_index=False
    )
    position = models.PositiveSmallIntegerField()
    source_id = models.CharField(max_length=255)
    uri = models.CharField(max_length=2048)
    content_type = models.CharField(max_length=255, blank=True)
    width = models.PositiveIntegerField(null=True, blank=True)
    height = models.PositiveIntegerField(null=True, blank=True)
    timestamp = models.FloatField(null=True, blank=True)
    masks = models.JSONField(null=True, blank=True)
    preview = models.JSONField(null=True, blank=True)
    meta = models.JSONField(null=True, blank=True)
    extra = models.JSONField(default=dict, blank=True)

    class Meta:
        ordering = ["frame_id", "position"]
        constraints = [
            # Also the index that finds the sources of a page of frames.
            models.UniqueConstraint(fields=["frame", "position"], name="source_position_in_frame"),
            models.CheckConstraint(condition=~models.Q(uri=""), name="source_uri_not_empty"),
        ]

    def __str__(self) -> str:
        return f"{self.source_id}: {self.uri}"
