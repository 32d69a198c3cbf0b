"""Datasette over the same rows, in the same run: what `find.py` measures against.

It has what makes it quick: plain columns in place of JSON, an index on each, the file opened as
immutable, no suggestions of facets. It is installed into an environment of its own.
"""

from __future__ import annotations

import contextlib
import sqlite3
import subprocess
import sys
import time
import venv
from typing import TYPE_CHECKING, Final
from urllib.parse import urlencode

import urllib3
from django.conf import settings

from bench.server import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from frames.models import Version

NAME: Final = "Datasette 0.65, indexed columns"
_SETTINGS: Final = {
    "suggest_facets": "off",
    "facet_time_limit_ms": "600000",
    "sql_time_limit_ms": "600000",
    "default_facet_size": "100",
}
# With types: a column without one compares no text of an address as a number.
_TABLE: Final = """
CREATE TABLE frames (
  id INTEGER PRIMARY KEY, context_id TEXT, timestamp REAL,
  weather TEXT, city TEXT, split TEXT, velocity REAL, labels TEXT)
"""
_ROWS: Final = """
INSERT INTO frames SELECT
  f.id,
  f.context_id,
  f.timestamp,
  json_extract(f.meta, '$.weather'),
  json_extract(f.meta, '$.city'),
  json_extract(f.meta, '$.split'),
  json_extract(f.meta, '$.velocity'),
  (SELECT json_group_array(DISTINCT label.value)
   FROM json_each(f.rois) roi, json_each(roi.value, '$.label') label)
FROM bench.frames_frame f WHERE f.dataset_id = ?
"""


class Datasette:
    """A running Datasette with the table `frames`."""

    def __init__(self, http: urllib3.HTTPConnectionPool) -> None:
        self.http = http

    def get(self, params: list[tuple[str, str]]) -> float:
        """Return the time of the table's page in ms."""
        start = time.perf_counter()
        answer = self.http.request("GET", f"/rows/frames?{urlencode(params)}")
        spent = (time.perf_counter() - start) * 1000
        if answer.status != 200:
            raise SystemExit(f"Datasette answered {answer.status}: {answer.data.decode()[-500:]}")
        return spent

    def count(self, params: list[tuple[str, str]]) -> int:
        """Return how many rows a filter keeps."""
        answer = self.http.request("GET", f"/rows/frames.json?{urlencode(params)}")
        return int(answer.json()["filtered_table_rows_count"])


@contextlib.contextmanager
def serving(version: Version) -> Iterator[Datasette | None]:
    """Run Datasette for the length of the block; None where it cannot be installed."""
    program = _program()
    if program is None:
        print("Datasette could not be installed and is not measured", file=sys.stderr)
        yield None
        return
    database = settings.VAR_DIR / "rows.db"
    if not database.exists():
        _build(database, version)
    port = free_port()
    options = [word for pair in _SETTINGS.items() for word in ("--setting", *pair)]
    process = subprocess.Popen(
        [
            *(str(program), "serve", "--immutable", str(database)),
            *("--host", "127.0.0.1", "--port", str(port), *options),
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        http = urllib3.HTTPConnectionPool("127.0.0.1", port, maxsize=1, timeout=900)
        _wait(http)
        yield Datasette(http)
    finally:
        process.terminate()
        process.wait(timeout=30)


def _program() -> Path | None:
    """Return Datasette's program, installed now if it is not there."""
    folder: Path = settings.VAR_DIR.parent / "datasette"
    program = folder / "bin" / "datasette"
    if not program.exists():
        print("installing Datasette", file=sys.stderr)
        venv.create(folder, with_pip=True, clear=True)
        wanted = str(settings.BASE_DIR / "requirements-bench.txt")
        pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "-r", wanted]
        if subprocess.run(pip).returncode:
            return None
    return program


def _build(database: Path, version: Version) -> None:
    """Write the version's rows as plain columns with an index on each."""
    print("writing Datasette's table", file=sys.stderr)
    half = database.with_suffix(".half")
    half.unlink(missing_ok=True)
    connection = sqlite3.connect(half)
    connection.execute("ATTACH ? AS bench", [str(settings.DATABASES["default"]["NAME"])])
    connection.execute(_TABLE)
    connection.execute(_ROWS, [version.dataset_id])
    for column in ("context_id", "timestamp", "weather", "city", "split", "velocity"):
        connection.execute(f"CREATE INDEX by_{column} ON frames ({column})")
    connection.execute("ANALYZE")
    connection.commit()
    connection.close()
    half.rename(database)


def _wait(http: urllib3.HTTPConnectionPool) -> None:
    # An immutable file's rows are counted at the start.
    for _ in range(3_000):
        with contextlib.suppress(urllib3.exceptions.HTTPError):
            if http.request("GET", "/-/versions.json", retries=False).status == 200:
                return
        time.sleep(0.1)
    raise SystemExit("Datasette did not start")
