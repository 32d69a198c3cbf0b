"""manage.py bench: measure pages, import and previews on a dataset of N frames."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.core.management.base import BaseCommand

if TYPE_CHECKING:
    from argparse import ArgumentParser


class Command(BaseCommand):
    """Run the benchmark in a process and a state folder of its own."""

    help = "Measure pages, import and previews with N frames; print a table, and JSON to a file."
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take the number of frames and where the JSON goes."""
        parser.add_argument("frames", type=int, metavar="N")
        parser.add_argument("--json", metavar="FILE", help="write the figures there as JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        """Start bench/__main__.py on the embedded engines, whatever this site uses."""
        state = settings.VAR_DIR / "bench" / str(options["frames"])
        state.mkdir(parents=True, exist_ok=True)
        engines = ("DATABASE_URL", "REDIS_URL", "S3_PREVIEWS_BUCKET", "HTTPS_ONLY")
        environment = {k: v for k, v in os.environ.items() if k not in engines}
        environment |= {
            "FRAMEDECK_VAR": str(state),
            "DJANGO_SETTINGS_MODULE": "project.settings",
            "ALLOWED_HOSTS": "127.0.0.1",
        }
        command = [sys.executable, "-m", "bench", str(options["frames"])]
        if options["json"]:
            command += ["--json", str(os.path.abspath(options["json"]))]
        code = subprocess.run(command, cwd=settings.BASE_DIR, env=environment).returncode
        if code:
            sys.exit(code)
