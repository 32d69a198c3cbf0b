"""Real servers for tests, each on a free loopback port, each gone when its block ends."""

from __future__ import annotations

import contextlib
import os
import pwd
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import redis

from project.processes import die_with_parent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

BASE_DIR = Path(__file__).resolve().parent.parent
START_TIMEOUT_S = 30


def free_port() -> int:
    """Return a loopback port that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_until(
    is_ready: Callable[[], object], what: str, timeout_s: float = START_TIMEOUT_S
) -> None:
    """Return when the callable returns something true; OSError counts as not yet.

    Raises:
        TimeoutError: it did not within the time; the message names what was waited for.
    """
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError, psycopg.OperationalError, redis.RedisError):
            if is_ready():
                return
        time.sleep(0.05)
    raise TimeoutError(f"{what}: not within {timeout_s:g} s")


@contextlib.contextmanager
def _running(command: Sequence[str], log: Path, user: str | None = None) -> Iterator[None]:
    """Run a server for the length of the block, its output in a file."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            stdout=output,
            stderr=output,
            user=user,
            preexec_fn=partial(die_with_parent, os.getpid()),
        )
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _postgres_program(name: str) -> str:
    """Return the newest installed PostgreSQL's program of this name."""
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), reverse=True)
    on_path = shutil.which(name)
    if not found and not on_path:
        raise FileNotFoundError(f"PostgreSQL's {name} is missing")
    return str(found[0]) if found else str(on_path)


def _answers(url: str) -> bool:
    """Return True, or raise OperationalError: PostgreSQL takes no connection yet."""
    with psycopg.connect(url):
        return True


def _listens(port: int) -> bool:
    """Return True, or raise OSError: nothing listens on the loopback port yet."""
    with socket.create_connection(("127.0.0.1", port), timeout=1):
        return True


@contextlib.contextmanager
def postgres() -> Iterator[str]:
    """Run a throw-away PostgreSQL; yield its DATABASE_URL.

    It refuses to run as root, so root lends it the user that Debian's package made.
    """
    user = "postgres" if os.getuid() == 0 else None
    port, password = free_port(), secrets.token_hex(16)
    folder = Path(tempfile.mkdtemp(prefix="framedeck-postgres-"))
    try:
        password_file = folder / "password"
        password_file.write_text(password)
        if user:
            uid = pwd.getpwnam(user).pw_uid
            for path in (folder, password_file):
                os.chown(path, uid, -1)
        subprocess.run(
            [
                *(_postgres_program("initdb"), "--pgdata", f"{folder}/data"),
                *("--username", "framedeck", "--pwfile", password_file),
                # An order of text unlike SQLite's, so that a page that leans on it is found out.
                *("--encoding", "UTF8", "--locale", "C.UTF-8", "--auth", "scram-sha-256"),
                "--no-sync",
            ],
            check=True,
            user=user,
            cwd=folder,
            stdout=subprocess.DEVNULL,
        )
        command = [_postgres_program("postgres"), "-D", f"{folder}/data"]
        for option in (
            *("listen_addresses=127.0.0.1", f"port={port}", f"unix_socket_directories={folder}"),
            *("fsync=off", "synchronous_commit=off", "full_page_writes=off"),
        ):
            command += ["-c", option]
        url = f"postgres://framedeck:{password}@127.0.0.1:{port}/postgres"
        with _running(command, folder / "log", user):
            wait_until(lambda: _answers(url), "PostgreSQL")
            yield url
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def redis_server() -> Iterator[str]:
    """Run a Redis that keeps nothing; yield its URL."""
    port = free_port()
    folder = Path(tempfile.mkdtemp(prefix="framedeck-redis-"))
    command = [
        *("redis-server", "--bind", "127.0.0.1", "--port", str(port), "--dir", str(folder)),
        *("--save", "", "--appendonly", "no"),
    ]
    url = f"redis://127.0.0.1:{port}/0"
    try:
        with _running(command, folder / "log"), redis.Redis.from_url(url) as client:
            wait_until(client.ping, "Redis")
            yield url
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def s3_server() -> Iterator[str]:
    """Run moto as an S3 server in a process of its own; yield its endpoint URL."""
    port = free_port()
    folder = Path(tempfile.mkdtemp(prefix="framedeck-s3-"))
    command = [sys.executable, "-m", "moto.server", "--host", "127.0.0.1", "--port", str(port)]
    try:
        with _running(command, folder / "log"):
            wait_until(lambda: _listens(port), "S3")
            yield f"http://127.0.0.1:{port}"
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@dataclass
class Worker:
    """A Celery worker with its own process and two children, as `make run` starts it."""

    environment: dict[str, str]
    log: Path
    process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    def start(self) -> None:
        """Start it; return when it takes tasks."""
        before = self.output().count(" ready.")
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "celery", "--quiet", "-A", "project", "worker"),
                    *("--beat", "--without-gossip", "--without-mingle"),
                ],
                cwd=BASE_DIR,
                env=os.environ | self.environment,
                stdout=output,
                stderr=output,
                preexec_fn=partial(die_with_parent, os.getpid()),
            )
        try:
            wait_until(lambda: self.output().count(" ready.") > before, "the worker")
        except TimeoutError as error:
            self.kill()
            raise TimeoutError(f"{error}:\n{self.output()}") from None

    def kill(self) -> None:
        """End it as a power cut would."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        """End it in order, within ten seconds."""
        if self.process is None or self.process.poll() is not None:
            return
        self.process.terminate()
        try:
            self.process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self.kill()

    def output(self) -> str:
        """Return what it has written so far."""
        return self.log.read_text() if self.log.exists() else ""
