"""`python -m bench N`: measure, print a table, and write JSON where asked."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import django

django.setup()

from django.core.management import call_command  # noqa: E402  after the settings

from bench import find, grid, imports, pages, previews, versions  # noqa: E402
from bench.figures import as_json, machine, table  # noqa: E402
from frames.models import Version  # noqa: E402


def main() -> None:
    """Run the whole benchmark."""
    parser = argparse.ArgumentParser(prog="bench")
    parser.add_argument("frames", type=int)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--versions", type=Path, help="measure versions alone, in this state")
    arguments = parser.parse_args()
    call_command("migrate", verbosity=0)
    if arguments.versions:
        versions.measure_here(arguments.frames, arguments.versions)
        return
    call_command("collectstatic", interactive=False, verbosity=0)
    version = _version(arguments.frames)
    figures = [
        *pages.measure(version, arguments.frames),
        *find.measure(version),
        *grid.measure(version),
        *versions.measure(arguments.frames),
        *imports.measure(arguments.frames),
        *previews.measure(),
    ]
    about = machine()
    print(f"\n{arguments.frames:,} frames; " + ", ".join(f"{k} {v}" for k, v in about.items()))
    print(table(figures))
    if arguments.json:
        report = {"frames": arguments.frames, "machine": about, "figures": as_json(figures)}
        arguments.json.write_text(json.dumps(report, indent=2) + "\n")
    missed = [figure.name for figure in figures if figure.holds is False]
    if missed:
        print(f"missed: {'; '.join(missed)}", file=sys.stderr)


def _version(count: int) -> Version:
    """Return the version with `count` frames, imported now if this state folder has it not."""
    versions = Version.objects.select_related("dataset").filter(dataset__name=imports.DATASET)
    version = versions.first()
    if version is None or version.frame_count != count:
        print(f"importing {count:,} frames", file=sys.stderr)
        imports.build(count)
        version = versions.get()
    return version


if __name__ == "__main__":
    main()
