"""manage.py reindex: make the postings of datasets again from their rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from frames.index.rebuild import reindex
from frames.management.datasets import DatasetsCommand

if TYPE_CHECKING:
    from frames.models import Dataset


class Command(DatasetsCommand):
    """Rebuild the derived part of the index; what versions hold is not touched."""

    help = "Make the postings of all datasets, or of those named, again from their rows."

    def handle_datasets(self, datasets: list[Dataset]) -> None:
        """Rebuild one dataset after the other."""
        for dataset in datasets:
            count = reindex(dataset.pk)
            self.stdout.write(f"{dataset.name}: {count} frame revisions indexed")
