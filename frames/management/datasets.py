"""What the commands about datasets share: which of them they are about."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.core.management.base import BaseCommand, CommandError

from frames.models import Dataset

if TYPE_CHECKING:
    from argparse import ArgumentParser


class DatasetsCommand(BaseCommand):
    """A command about all datasets, or about those whose ids are given."""

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take dataset ids."""
        parser.add_argument("datasets", nargs="*", metavar="DATASET_ID")

    def handle(self, *args: Any, datasets: list[str], **options: Any) -> None:
        """Find the datasets; an id that none has is an error."""
        chosen = Dataset.objects.live().order_by("pk")
        if datasets:
            chosen = chosen.filter(uid__in=datasets)
            if missing := set(datasets) - set(chosen.values_list("uid", flat=True)):
                raise CommandError(f"no such dataset: {', '.join(sorted(missing))}")
        self.handle_datasets(list(chosen))

    def handle_datasets(self, datasets: list[Dataset]) -> None:
        """Do it to each of the datasets."""
        raise NotImplementedError
