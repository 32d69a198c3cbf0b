"""The web server on loopback, as a person's browser meets it."""

from __future__ import annotations

import contextlib
import os
import secrets
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import urllib3
from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.auth.models import User
from django.contrib.sessions.backends.cached_db import SessionStore
from django.db import connection

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence


@dataclass(frozen=True)
class Server:
    """A running web server, and a superuser signed in to it."""

    http: urllib3.HTTPConnectionPool
    pid: int

    def get(self, url: str) -> float:
        """Return the time of a page in ms; the bench ends if it is not answered."""
        start = time.perf_counter()
        answer = self.http.request("GET", url, redirect=False)
        spent = (time.perf_counter() - start) * 1000
        if answer.status != 200:
            raise SystemExit(f"{url} answered {answer.status}")
        return spent

    def post(self, url: str, fields: Mapping[str, str]) -> tuple[float, str]:
        """Return the time of a form in ms, and where it leads."""
        start = time.perf_counter()
        answer = self.http.request(
            "POST",
            url,
            body=urlencode(fields),
            headers={
                **self.http.headers,
                "Content-Type": "application/x-www-form-urlencoded",
            },
            redirect=False,
        )
        spent = (time.perf_counter() - start) * 1000
        if answer.status != 302:
            raise SystemExit(f"{url} answered {answer.status}: {answer.data.decode()[-2000:]}")
        return spent, answer.headers["Location"]


@contextlib.contextmanager
def serving() -> Iterator[Server]:
    """Run the web server on this process's state folder for the length of the block."""
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "manage.py", "serve", "--no-worker", "--end-with-parent"],
        cwd=settings.BASE_DIR,
        env=os.environ | {"PORT": str(port), "HOST": "127.0.0.1", "LOG_LEVEL": "WARNING"},
        stdout=subprocess.DEVNULL,
    )
    try:
        http = urllib3.HTTPConnectionPool("127.0.0.1", port, headers=_signed_in(), maxsize=1)
        _wait(http)
        yield Server(http, process.pid)
    finally:
        process.terminate()
        process.wait(timeout=30)


def p95(values: Sequence[float]) -> float:
    """Return the 95th percentile."""
    return sorted(values)[round(0.95 * (len(values) - 1))]


def timed_sql(sql: str, params: Sequence[int | str] = ()) -> float:
    """Return the time of one statement with all of its rows, in ms."""
    start = time.perf_counter()
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        cursor.fetchall()
    return (time.perf_counter() - start) * 1000


def _signed_in() -> dict[str, str]:
    """Return the headers of a signed-in superuser, whose forms are taken."""
    user, _ = User.objects.get_or_create(username="bench", defaults={"is_superuser": True})
    session = SessionStore()
    session[SESSION_KEY] = str(user.pk)
    session[BACKEND_SESSION_KEY] = "django.contrib.auth.backends.ModelBackend"
    session[HASH_SESSION_KEY] = user.get_session_auth_hash()
    session.save()
    token = secrets.token_hex(16)
    return {
        "Cookie": f"sessionid={session.session_key}; csrftoken={token}",
        "X-CSRFToken": token,
    }


def free_port() -> int:
    """Return a loopback port that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait(http: urllib3.HTTPConnectionPool) -> None:
    for _ in range(600):
        try:
            if http.request("GET", "/livez", retries=False).status == 200:
                return
        except urllib3.exceptions.HTTPError:
            pass
        time.sleep(0.1)
    raise SystemExit("the web server did not start")
