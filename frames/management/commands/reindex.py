"""manage.py reindex: make the postings of datasets again from their rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.core.management.base import BaseCommand, CommandError

from frames.index.rebuild import reindex
from frames.models import Dataset

if TYPE_CHECKING:
    from argparse import ArgumentParser


class Command(BaseCommand):
    """Rebuild the derived part of the index; what versions hold is not touched."""

    help = "Make the postings of all datasets, or of those named, again from their rows."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take dataset ids."""
        parser.add_argument("datasets", nargs="*", metavar="DATASET_ID")

    def handle(self, *args: Any, datasets: list[str], **options: Any) -> None:
        """Rebuild one dataset after the other."""
        chosen = Dataset.objects.live().order_by("pk")
        if datasets:
            chosen = chosen.filter(uid__in=datasets)
            if missing := set(datasets) - set(chosen.values_list("uid", flat=True)):
                raise CommandError(f"no such dataset: {', '.join(sorted(missing))}")
        for dataset in chosen:
            count = reindex(dataset.pk)
            self.stdout.write(f"{dataset.name}: {count} frame revisions indexed")
