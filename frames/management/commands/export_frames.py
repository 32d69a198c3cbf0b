"""manage.py export_frames: write a version's frames to a file from the terminal."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.core.management.base import BaseCommand, CommandError

from frames.actions import exports
from frames.actions.export_content import of_version, of_view
from frames.actions.fields import Refused
from frames.formats.writers import BY_NAME
from frames.models import DataView, Version
from frames.search import views
from frames.search.errors import QueryError
from frames.search.query import FrameQuery
from frames.search.selection import SELECTION
from frames.search.view_definition import Definition

if TYPE_CHECKING:
    from argparse import ArgumentParser

    from django.core.management.base import CommandParser

    from frames.actions.export_content import Content


class Command(BaseCommand):
    """Export now, showing progress; the operator may write anywhere."""

    help = "Write the frames of a dataset's version, or the list of a data view, to a file."

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        """Let --version be the dataset's, not Django's."""
        return super().create_parser(prog_name, subcommand, conflict_handler="resolve", **kwargs)

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take what is exported, how and where to."""
        what = parser.add_mutually_exclusive_group(required=True)
        what.add_argument("--dataset", help="its name")
        what.add_argument("--view", metavar="ID", help="a data view's id, for its list in order")
        parser.add_argument("--project", help="its project's name, where datasets share a name")
        parser.add_argument("--version", help="its name; without it, the newest")
        parser.add_argument("--format", required=True, choices=list(BY_NAME), metavar="FORMAT")
        parser.add_argument("--out", required=True, type=Path, help="the file, replaced at the end")
        parser.add_argument("--q", default="", metavar="LUCENE", help="only frames that match")
        parser.add_argument("--label", default="", help="only frames that have this label")
        parser.add_argument("--group", default="", metavar="KEY", help="what groups are by: url")
        parser.add_argument("--scope", default="", help="any, every, none: how much of a group")
        parser.add_argument("--sample", default="", metavar="N", help="so many of each value")
        parser.add_argument("--match", default="", metavar="LUCENE", help="regions that count")

    def handle(self, *args: Any, **options: Any) -> None:
        """Export, and end with the line `exported N frames, B bytes`."""
        try:
            exported = exports.export_to_path(
                content=_content(options),
                format_name=options["format"],
                path=options["out"],
                progress=self._progress if sys.stderr.isatty() else None,
            )
        except QueryError as error:
            place = "" if error.position is None else f" (at character {error.position + 1})"
            raise CommandError(f"{error.message}{place}") from error
        except Refused as error:
            raise CommandError(str(error)) from error
        for what, number in exported.changes.most_common():
            self.stderr.write(f"{number:,}: {what}")
        self.stdout.write(f"exported {exported.frames} frames, {exported.bytes} bytes")

    def _progress(self, done: int, total: int) -> None:
        ending = "\n" if done == total else ""
        self.stderr.write(f"\r{done:,} of {total:,} frames ", ending=ending)


def _content(options: dict[str, Any]) -> Content:
    """Return what is meant. Raises CommandError, Refused, QueryError."""
    if options["view"]:
        source = DataView.objects.filter(uid=options["view"]).select_related("project").first()
        if source is None:
            raise CommandError(f"There is no data view {options['view']}.")
        definition = Definition.from_json(source.definition)
        return of_view(source, views.evaluate(definition, Version.objects.all()))
    query = FrameQuery.from_params({name: options[name] for name in SELECTION})
    return of_version(_version(options["dataset"], options["project"], options["version"]), query)


def _version(dataset: str, project: str | None, version: str | None) -> Version:
    """Return the version that is meant. Raises CommandError."""
    found = Version.objects.select_related("dataset__project").filter(
        dataset__name=dataset, dataset__deleted_at=None
    )
    if project:
        found = found.filter(dataset__project__name=project)
    datasets = found.values_list("dataset", "dataset__project__name").order_by().distinct()
    projects = sorted(name for _, name in datasets)
    if not projects:
        raise CommandError(f"There is no dataset named {dataset}.")
    if len(projects) > 1:
        raise CommandError(f"Several projects have it: {', '.join(projects)}. Give --project.")
    if version:
        found = found.filter(name=version)
    newest = found.order_by("-updated_at").first()
    if newest is None:
        raise CommandError(f"{dataset} has no version named {version}.")
    return newest
