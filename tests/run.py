"""Every check and every test, stage by stage: what `make test` and `make lint` run.

`python -m tests.run` runs all stages, `python -m tests.run lint` those that start no server.
A stage that fails does not keep the later ones from telling what they know.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from tests.services import BASE_DIR, postgres

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

BIN = Path(sys.executable).parent

# What a public installation sets; the check refuses a setting that is unsafe there.
PRODUCTION = {
    "ALLOWED_HOSTS": "frames.example.org",
    "CSRF_TRUSTED_ORIGINS": "https://frames.example.org",
    "DATABASE_URL": "postgres://framedeck:secret@127.0.0.1:5432/framedeck",
    "HTTPS_ONLY": "true",
    "REDIS_URL": "redis://127.0.0.1:6379/0",
    "SECRET_KEY": "only-for-this-check-" * 4,
}


@dataclass(frozen=True)
class Stage:
    """One command, with what it needs around it."""

    name: str
    command: tuple[str, ...]
    environment: dict[str, str] = field(default_factory=dict)
    database: Callable[[], AbstractContextManager[str]] | None = None

    def run(self) -> bool:
        """Run the command; return whether it succeeded."""
        with contextlib.ExitStack() as stack:
            environment = os.environ | self.environment
            # Set by importing Celery's application here; tests must choose their state first.
            environment.pop("DJANGO_SETTINGS_MODULE", None)
            # A check may not make its state where the site keeps the real one.
            state = stack.enter_context(tempfile.TemporaryDirectory(prefix="framedeck-check-"))
            environment["FRAMEDECK_VAR"] = state
            if self.database is not None:
                environment["DATABASE_URL"] = stack.enter_context(self.database())
            result = subprocess.run(self.command, cwd=BASE_DIR, env=environment)
        return result.returncode == 0


def _program(name: str, *arguments: str) -> tuple[str, ...]:
    return (str(BIN / name), *arguments)


def _manage(*arguments: str) -> tuple[str, ...]:
    return (sys.executable, "-W", "error", "manage.py", *arguments)


def _pytest(*arguments: str) -> tuple[str, ...]:
    return (sys.executable, "-m", "pytest", *arguments)


def lint_stages() -> list[Stage]:
    """Return the stages that need no server."""
    templates = sorted(str(path) for path in (BASE_DIR / "templates").rglob("*.html"))
    return [
        Stage("format", _program("ruff", "format", "--check", "--quiet", ".")),
        Stage("lint", _program("ruff", "check", "--quiet", ".")),
        Stage("templates", _program("djade", "--target-version", "5.2", "--check", *templates)),
        Stage("types", _program("mypy")),
        Stage("layers", _program("lint-imports", "--no-logo")),
        Stage("migrations", _manage("makemigrations", "--check", "--dry-run")),
        Stage("deploy", _manage("check", "--deploy", "--fail-level", "WARNING"), PRODUCTION),
    ]


def test_stages() -> list[Stage]:
    """Return the stages that run tests."""
    both_cores = ("-n", "2")
    units = _pytest(*both_cores, "--ignore=tests/live", "--ignore=tests/browser")
    return [
        Stage("units on SQLite", units),
        Stage("units on PostgreSQL", units, database=postgres),
        Stage("live", _pytest(*both_cores, "tests/live")),
        Stage("browser", _pytest(*both_cores, "tests/browser")),
    ]


def main(arguments: list[str]) -> int:
    """Run the stages; return 1 if one failed."""
    stages = lint_stages() + ([] if arguments == ["lint"] else test_stages())
    lines = []
    failed = 0
    for stage in stages:
        print(f"\n=== {stage.name}", flush=True)
        begun = time.monotonic()
        succeeded = stage.run()
        failed += not succeeded
        word = "ok" if succeeded else "FAILED"
        lines.append(f"{time.monotonic() - begun:7.1f} s  {word:7} {stage.name}")
    print("\n" + "\n".join(lines))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
