"""`manage.py serve`: the whole site on this machine, until Ctrl-C."""

from __future__ import annotations

import errno
import os
import signal
import socket
import subprocess
import sys
import time
from functools import partial
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.contrib.auth.models import User
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError

from frames.demo.people import ensure_people, password_path
from frames.models import Project
from project.processes import die_with_parent

if TYPE_CHECKING:
    from argparse import ArgumentParser
    from pathlib import Path
    from types import FrameType

START_TIMEOUT_S = 60
STOP_TIMEOUT_S = 10
# A worker that ends sooner after its start than this does not get better by being started again.
WORKER_MIN_LIFE_S = 5


class Command(BaseCommand):
    """Start the web server and the worker, and stop whatever was started when told to."""

    help = "Migrate, then serve the site with a worker beside it, until Ctrl-C."
    # They would load every page into this process too, before the first one comes.
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take what `make run` passes."""
        parser.add_argument("--no-worker", action="store_true", help="start the web server alone")
        parser.add_argument(
            "--end-with-parent",
            action="store_true",
            help="also stop when the program that started this one is gone",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Serve until a signal comes or the web server ends."""
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.stopping = False
        if options["end_with_parent"]:
            die_with_parent(os.getppid(), signal.SIGTERM)
        _refuse_taken_port()
        if not (settings.STATIC_ROOT / "staticfiles.json").exists():
            raise CommandError("The site's static files are missing: run `make setup` first.")
        for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(name, self._on_signal)
        call_command("migrate", interactive=False, verbosity=0)
        is_first_start = not User.objects.exists() and not Project.objects.exists()
        if is_first_start:
            _demo_wanted().touch()
            ensure_people()
        try:
            self._start("web", "gunicorn", "-c", "python:project.gunicorn", "project.wsgi")
            self._wait_until_answering()
            if self.stopping:
                return
            self._greet()
            if not options["no_worker"]:
                self._start_worker()
            if _demo_wanted().exists():
                self._start("demo", "django", "make_demo")
            self._supervise(with_worker=not options["no_worker"])
        finally:
            self._stop()

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self.stopping = True

    def _start(self, name: str, *module_and_arguments: str) -> None:
        """Start a Python module as a process of its own session.

        Ctrl-C in a terminal then reaches this process alone, which ends the others in order.
        """
        self.processes[name] = subprocess.Popen(
            [sys.executable, "-m", *module_and_arguments],
            cwd=settings.BASE_DIR,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            preexec_fn=partial(die_with_parent, os.getpid()),  # no threads here to disturb it
        )

    def _start_worker(self) -> None:
        self.worker_started = time.monotonic()
        self._start(
            *("worker", "celery", "--quiet", "-A", "project", "worker", "--beat"),
            *("--loglevel", "WARNING"),
            *("--without-gossip", "--without-mingle", "--without-heartbeat"),
        )

    def _wait_until_answering(self) -> None:
        """Return when the port takes a connection."""
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline and not self.stopping:
            if self.processes["web"].poll() is not None:
                raise CommandError("The web server ended at once; its lines above say why.")
            try:
                socket.create_connection((_browser_host(), settings.PORT), timeout=1).close()
            except OSError:
                time.sleep(0.05)
            else:
                return
        if not self.stopping:
            raise CommandError(f"The web server did not answer within {START_TIMEOUT_S} s.")

    def _greet(self) -> None:
        host = _browser_host()
        host = f"[{host}]" if ":" in host else host
        self.stdout.write(f"\nFramedeck runs at http://{host}:{settings.PORT}/\n")
        if password_path().exists():
            password = password_path().read_text().strip()
            self.stdout.write(
                f"Sign in as viewer, editor or admin; the password of each is {password}\n"
            )
        else:
            self.stdout.write("Sign in with your account; `manage.py createsuperuser` makes one.\n")
        self.stdout.write("Ctrl-C stops it.\n\n")
        self.stdout.flush()

    def _supervise(self, *, with_worker: bool) -> None:
        """Watch over the processes until told to stop."""
        while not self.stopping:
            for name, process in list(self.processes.items()):
                if process.poll() is None:
                    continue
                if name == "web":
                    raise CommandError("The web server ended; its lines above say why.")
                del self.processes[name]
                if name == "demo":
                    self._end_of_demo(process.returncode)
                elif with_worker:
                    if time.monotonic() - self.worker_started < WORKER_MIN_LIFE_S:
                        raise CommandError("The worker ended at once; its lines above say why.")
                    self.stderr.write("The worker ended and is started again.")
                    self._start_worker()
            time.sleep(0.2)

    def _end_of_demo(self, code: int) -> None:
        if code == 0:
            _demo_wanted().unlink(missing_ok=True)
        else:
            self.stderr.write("The demo could not be made; the next start tries again.")

    def _stop(self) -> None:
        """End every process, kindly first."""
        for process in self.processes.values():
            process.terminate()
        deadline = time.monotonic() + STOP_TIMEOUT_S
        for process in self.processes.values():
            try:
                process.wait(timeout=max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                # Imports and previews go on from their rows at the next start.
                process.kill()
                process.wait()


def _demo_wanted() -> Path:
    """Return the file that is there while the demo is still to be made."""
    path: Path = settings.VAR_DIR / "demo_wanted"
    return path


def _browser_host() -> str:
    """Return the host to open in a browser on this machine."""
    wildcards = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # noqa: S104  not listened on
    return wildcards.get(settings.HOST, settings.HOST)


def _refuse_taken_port() -> None:
    """Raise CommandError when the address cannot be listened on."""
    host, port = settings.HOST, settings.PORT
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise CommandError(
                    f"Port {port} of {host} is taken; choose another: make run PORT={port + 1}"
                ) from None
            raise CommandError(f"Cannot listen on {host} port {port}: {error.strerror}") from None
