"""`manage.py serve`, which `make run` calls: it starts, stops and survives a kill."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from html import escape
from http.cookiejar import CookieJar
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlencode
from urllib.request import (
    HTTPCookieProcessor,
    OpenerDirector,
    Request,
    build_opener,
    urlopen,
)

import pytest

from tests import services

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass
class Site:
    """The embedded site on a state folder of its own."""

    folder: Path
    static_root: Path
    port: int = field(default_factory=services.free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def spawn(self) -> None:
        """Start it, and do not wait."""
        environment = os.environ | {
            "FRAMEDECK_VAR": str(self.folder),
            "STATIC_ROOT": str(self.static_root),
            "PORT": str(self.port),
        }
        environment.pop("DATABASE_URL", None)
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "manage.py", "serve"],
                cwd=services.BASE_DIR,
                env=environment,
                stdout=log,
                stderr=log,
            )

    def start(self) -> float:
        """Start it; return the seconds until the sign-in page came."""
        begun = time.monotonic()
        self.spawn()
        services.wait_until(self._shows_sign_in, f"the site, see {self.folder}/log")
        return time.monotonic() - begun

    def _shows_sign_in(self) -> bool:
        with urlopen(f"{self.url}/sign-in/", timeout=5) as response:
            return bool(response.status == 200)

    def end(self, number: signal.Signals) -> int:
        """Send it a signal; return its exit code."""
        assert self.process is not None
        self.process.send_signal(number)
        return self.process.wait(timeout=20)

    def processes(self) -> list[int]:
        """Return every process that works on this state folder."""
        mark = f"FRAMEDECK_VAR={self.folder}\0".encode()
        pids = []
        for path in Path("/proc").glob("[0-9]*/environ"):
            try:
                if mark in path.read_bytes():
                    pids.append(int(path.parent.name))
            except OSError:
                continue  # it has ended since
        return pids

    def output(self) -> str:
        return (self.folder / "log").read_text()


@pytest.fixture(scope="module")
def static_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The static files, collected once."""
    folder = tmp_path_factory.mktemp("static")
    subprocess.run(
        [sys.executable, "manage.py", "collectstatic", "--no-input", "--verbosity", "0"],
        cwd=services.BASE_DIR,
        env=os.environ | {"STATIC_ROOT": str(folder), "FRAMEDECK_VAR": str(folder / "state")},
        check=True,
    )
    return folder


@pytest.fixture
def site(tmp_path: Path, static_root: Path) -> Iterator[Site]:
    site = Site(tmp_path, static_root)
    yield site
    if site.process is not None and site.process.poll() is None:
        site.end(signal.SIGTERM)


def signed_in(site: Site, password: str) -> OpenerDirector:
    """Return a browser in which the viewer has signed in."""
    opener = build_opener(HTTPCookieProcessor(CookieJar()))
    form = opener.open(f"{site.url}/sign-in/").read().decode()
    token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', form)
    assert token
    fields = {"csrfmiddlewaretoken": token[1], "username": "viewer", "password": password}
    answer = opener.open(Request(f"{site.url}/sign-in/", urlencode(fields).encode()))
    assert answer.status == 200
    return opener


def test_first_start_prints_a_password_that_signs_in(site: Site) -> None:
    site.start()
    services.wait_until(lambda: "Ctrl-C stops it" in site.output(), "the greeting")
    assert f"Framedeck runs at {site.url}/" in site.output()
    found = re.search(r"the password of each is (\S+)", site.output())
    assert found

    opener = signed_in(site, found[1])
    with opener.open(f"{site.url}/datasets/") as answer:
        assert answer.status == 200
        assert answer.url == f"{site.url}/datasets/"


def test_terminate_ends_every_process_in_order(site: Site) -> None:
    site.start()
    services.wait_until(lambda: len(site.processes()) >= 6, "web, worker and their children")
    assert site.end(signal.SIGTERM) == 0
    services.wait_until(lambda: not site.processes(), "its processes to end with it", 10)


def test_site_starts_again_on_its_state_after_a_kill(site: Site) -> None:
    site.start()
    services.wait_until(lambda: len(site.processes()) >= 6, "web, worker and their children")
    secret = (site.folder / "demo_password").read_text()
    site.end(signal.SIGKILL)
    services.wait_until(lambda: not site.processes(), "its processes to end with it", 10)

    # Five seconds on a quiet machine, where the check takes 2.4 and this start 2.6. On one that is
    # busy with other tests both take longer.
    begun = time.monotonic()
    subprocess.run(
        [sys.executable, "manage.py", "check"],
        cwd=services.BASE_DIR,
        env=os.environ | {"FRAMEDECK_VAR": str(site.folder)},
        stdout=subprocess.DEVNULL,
        check=True,
    )
    check_s = time.monotonic() - begun
    assert site.start() < max(5, 4 * check_s)
    assert (site.folder / "demo_password").read_text() == secret


def test_missing_static_files_are_told_in_one_line(site: Site, tmp_path: Path) -> None:
    site.static_root = tmp_path / "nothing"
    site.spawn()
    assert site.process is not None
    assert site.process.wait(timeout=20) == 1
    assert site.output() == (
        "CommandError: The site's static files are missing: run `make setup` first.\n"
    )


def test_taken_port_is_told_in_one_line(site: Site) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        site.port = other.getsockname()[1]
        site.spawn()
        assert site.process is not None
        assert site.process.wait(timeout=20) == 1
    assert site.output() == (
        f"CommandError: Port {site.port} of 127.0.0.1 is taken; "
        f"choose another: make run PORT={site.port + 1}\n"
    )


def test_a_long_filter_is_answered_by_the_page_and_not_by_the_server(site: Site) -> None:
    """A browser repeats the address in Referer, htmx in a header of its own."""
    site.start()
    opener = signed_in(site, (site.folder / "demo_password").read_text().strip())
    for text in ("(" * 1000 + "car" + ")" * 1000, "é" * 9_000, "car " * 25_000):
        address = f"{site.url}/datasets/?{urlencode({'q': text})}"
        headers = {"Referer": address, "HX-Current-URL": address}
        with opener.open(Request(address, headers=headers)) as answer:
            assert escape(text.strip()[:100]) in answer.read().decode()
