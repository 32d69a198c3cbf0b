"""manage.py check_index: prove the index equal to the rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.core.management.base import CommandError

from frames.index.check import check
from frames.management.datasets import DatasetsCommand

if TYPE_CHECKING:
    from frames.models import Dataset


class Command(DatasetsCommand):
    """Compare the index with a brute-force pass; exit with an error if they differ."""

    help = "Compare the index of all datasets, or of those named, with a pass over their rows."

    def handle_datasets(self, datasets: list[Dataset]) -> None:
        """Check one dataset after the other and print every difference."""
        differences = 0
        for dataset in datasets:
            for difference in check(dataset):
                differences += 1
                self.stderr.write(f"{dataset.name}: {difference}")
        if differences:
            raise CommandError(f"{differences} differences; run manage.py reindex")
        found = "1 dataset" if len(datasets) == 1 else f"{len(datasets)} datasets"
        self.stdout.write(f"{found}: the index equals the rows")
