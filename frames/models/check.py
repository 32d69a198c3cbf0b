"""What a check before publishing has found."""

from __future__ import annotations

from django.db import models

from frames.models.job import Job


class CheckFinding(models.Model):
    """What one check found of one kind of defect, zero frames included.

    A kind without a row was not looked at. `frames` is a bitmap of ordinals, `count` how many they
    are. `examples` are a few of the defects as objects, whose keys depend on the kind.
    """

    EXAMPLES_MAX = 5

    class Kind(models.TextChoices):
        """What can be wrong with a frame, in the order in which it is listed."""

        UNREACHABLE = "unreachable", "Sources that cannot be read"
        ZERO_AREA = "zero-area", "Regions without an area"
        OUTSIDE = "outside", "Regions outside of the picture"
        LABEL_CASE = "label-case", "Labels that differ only by case"
        MASK_VALUE = "mask-value", "Mask values without a label"
        COLLISION = "collision", "Timestamps that collide in a context"
        DUPLICATE = "duplicate", "Frames with the same content"

    job = models.ForeignKey(Job, on_delete=models.CASCADE, related_name="findings")
    kind = models.CharField(max_length=16, choices=Kind.choices)
    frames = models.BinaryField(default=bytes, editable=False)
    count = models.PositiveBigIntegerField(default=0)
    examples = models.JSONField(default=list, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["job", "kind"], name="finding_in_check"),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()}: {self.count}"
