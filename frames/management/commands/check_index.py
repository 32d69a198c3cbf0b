"""manage.py check_index: prove the index equal to the rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.core.management.base import BaseCommand, CommandError

from frames.index.check import check
from frames.models import Dataset

if TYPE_CHECKING:
    from argparse import ArgumentParser


class Command(BaseCommand):
    """Compare the index with a brute-force pass; exit with an error if they differ."""

    help = "Compare the index of all datasets, or of those named, with a pass over their rows."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take dataset ids."""
        parser.add_argument("datasets", nargs="*", metavar="DATASET_ID")

    def handle(self, *args: Any, datasets: list[str], **options: Any) -> None:
        """Check one dataset after the other and print every difference."""
        chosen = Dataset.objects.live().order_by("pk")
        if datasets:
            chosen = chosen.filter(uid__in=datasets)
        differences = 0
        for dataset in chosen:
            for difference in check(dataset):
                differences += 1
                self.stderr.write(f"{dataset.name}: {difference}")
        if differences:
            raise CommandError(f"{differences} differences; run manage.py reindex")
        self.stdout.write(f"{len(chosen)} datasets: the index equals the rows")
