"""Versions: made, compared, checked and published through the web server.

On a state folder of its own, `versions` beside the pages' one, since what is published stays.
The first run prepares it: a line of generations, and children that differ in a few and in half of
the frames. Later runs use it again.
"""

from __future__ import annotations

import json
import os
import random
import sqlite3
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Final

import orjson
from django.conf import settings
from django.db import connection
from django.urls import reverse

from bench.data import frame
from bench.figures import Figure
from bench.imports import DATASET
from bench.server import p95, serving, timed_sql
from frames.actions import checks, imports, versions
from frames.index import membership
from frames.models import Job, Version
from frames.models.frame import frame_pk
from frames.web.addresses import version_address

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bench.server import Server

GENERATIONS: Final = 50
CHANGES_PER_GENERATION: Final = 100
FEW: Final = 1_000
HALF: Final = 500_000
WARM_UP: Final = 5
REQUESTS: Final = 50
CHECKED: Final = 3
_MEASURED: Final = "Measured"
_REASON: Final = "for the benchmark"


def measure(count: int) -> list[Figure]:
    """Return the figures of versions with `count` frames, measured in a process of its own."""
    folder = settings.VAR_DIR / "versions"
    folder.mkdir(exist_ok=True)
    if not (folder / "db.sqlite3").exists():
        _copy(settings.VAR_DIR / "db.sqlite3", folder / "db.sqlite3")
    with tempfile.NamedTemporaryFile(suffix=".json") as file:
        subprocess.run(
            [sys.executable, "-m", "bench", str(count), "--versions", file.name],
            cwd=settings.BASE_DIR,
            env=os.environ
            | {"FRAMEDECK_VAR": str(folder), "STATIC_ROOT": str(settings.STATIC_ROOT)},
            check=True,
        )
        return [Figure(**figure) for figure in json.load(file)]


def _copy(source: Path, target: Path) -> None:
    """Copy a database whole, what is still in its journal included."""
    half = target.with_suffix(".half")
    half.unlink(missing_ok=True)
    old, new = sqlite3.connect(source), sqlite3.connect(half)
    with old, new:
        old.backup(new)
    old.close()
    new.close()
    half.rename(target)


def measure_here(count: int, target: Path) -> None:
    """Prepare what is missing in this state folder, measure, and write the figures as JSON."""
    _forget_measured()
    root = _prepare(count)
    with serving() as server:
        figures = [*_figures(server, root, count)]
    _forget_measured()
    target.write_text(json.dumps([asdict(figure) for figure in figures]))


# --- what is measured -----------------------------------------------------------------------


def _figures(server: Server, root: Version, count: int) -> Iterator[Figure]:

    rows = _Rows(root)
    copied = rows.copy_of_root()
    name = "one row a frame copied, SQL"
    made = [
        server.post(f"{version_address(root)}branch/", {"name": f"{_MEASURED} {number}"})[0]
        for number in range(WARM_UP + REQUESTS)
    ]
    yield Figure(
        "create a child", p95(made[WARM_UP:]), "ms", 30, baseline=copied, baseline_name=name
    )
    yield Figure(
        "snapshot", p95(_snapshots(server, root)), "ms", 50, baseline=copied, baseline_name=name
    )
    yield Figure("publish", p95(_publish(server)), "ms", 1_000)
    yield from _compared(server, root, rows, count)
    deepest = _named(f"generation {GENERATIONS}")
    addresses = [f"{version_address(version)}?group=url" for version in (root, deepest)]
    # In turn, so that noise falls on both alike.
    pairs = [[server.get(url) for url in addresses] for _ in range(WARM_UP + REQUESTS)]
    shallow, deep = zip(*pairs[WARM_UP:], strict=True)
    yield Figure(
        f"grouped page {GENERATIONS} generations deep, against the root's",
        p95(deep) / p95(shallow),
        "times",
        1.2,
    )
    checked, published = _checks(server, root)
    yield Figure(
        "checks before publishing, as a job",
        checked,
        "s",
        5,
        baseline=rows.read_all_s(),
        baseline_name="regions counted, JSON scan",
    )
    yield Figure("publish, with its checks", published, "ms", 1_000)
    yield Figure(
        f"space of a child with {FEW:,} changed frames",
        _space_mb(root, count),
        "MB",
        5,
        baseline=_database_bytes() / 1e6,
        baseline_name="a copy of the database",
    )


def _snapshots(server: Server, root: Version) -> list[float]:
    """Snapshot a draft, then the working copy that continues it, and so on."""
    _, address = server.post(f"{version_address(root)}branch/", {"name": f"{_MEASURED} line"})
    times = []
    for number in range(WARM_UP + REQUESTS):
        fields = {
            "name": f"{_MEASURED} snapshot {number}",
            "with_copy": "on",
            "copy_name": f"{_MEASURED} copy {number}",
            "reason": _REASON,
        }
        spent, _ = server.post(f"{address}publish/", fields)
        times.append(spent)
        address = version_address(_named(fields["copy_name"]))
    return times[WARM_UP:]


def _publish(server: Server) -> list[float]:
    """Publish the drafts that were made before."""
    times = []
    for number in range(WARM_UP + REQUESTS):
        name = f"{_MEASURED} {number}"
        fields = {"name": name, "reason": _REASON}
        times.append(server.post(f"{version_address(_named(name))}publish/", fields)[0])
    return times[WARM_UP:]


def _compared(server: Server, root: Version, rows: _Rows, count: int) -> Iterator[Figure]:

    for name, bound in (("few", 200), ("half", 500)):
        other = _named(name)
        url = reverse("frames:version_compare", args=[root.dataset.uid, root.uid, other.uid])
        times = [server.get(url) for _ in range(WARM_UP + REQUESTS)][WARM_UP:]
        differ = _changes_of(name, count)
        yield Figure(
            f"compare two versions that differ in {differ:,} frames",
            p95(times),
            "ms",
            bound,
            baseline=rows.difference(other),
            baseline_name="one row a frame compared, SQL",
        )


def _checks(server: Server, root: Version) -> tuple[float, float]:
    """Check drafts, then publish them; return the longest of each, in s and ms."""
    checked, published = [], []
    for number in range(CHECKED):
        name = f"{_MEASURED} checked {number}"
        draft = versions.create_version(dataset=root.dataset, name=name, parents=[root], actor=None)
        job = checks.start_check(draft, actor=None, fetch=False)
        start = time.perf_counter()
        checks.run(job.uid)
        checked.append(time.perf_counter() - start)
        job.refresh_from_db()
        if job.state != Job.State.DONE:
            raise SystemExit(f"the check has {job.state}: {job.message}")
        fields = {"name": name, "reason": _REASON}
        published.append(server.post(f"{version_address(draft)}publish/", fields)[0])
    return max(checked), max(published)


def _space_mb(root: Version, count: int) -> float:
    """Return what the database grows by with a child whose frames changed in a few places."""
    before = _database_bytes()
    _changed_child(root, f"{_MEASURED} space", _spread(count, FEW), seed=99)
    return (_database_bytes() - before) / 1e6


class _Rows:
    """What versions are without bitmaps: a table with a row for each frame of each version."""

    def __init__(self, root: Version) -> None:

        self._root = root
        timed_sql("CREATE TEMP TABLE held (version integer, frame integer)")

    def copy_of_root(self) -> float:
        """Return the time of giving a version all frames of the root, in ms."""
        self._fill(self._root)
        spent = timed_sql(
            "INSERT INTO held SELECT 0, frame FROM held WHERE version = %s", [self._root.pk]
        )
        timed_sql("DELETE FROM held WHERE version = 0")
        return spent

    def difference(self, other: Version) -> float:
        """Return the time of finding in which revisions a version differs from the root, in ms."""
        self._fill(other)
        one_way = (
            "SELECT count(*) FROM (SELECT frame FROM held WHERE version = %s "
            "EXCEPT SELECT frame FROM held WHERE version = %s)"
        )
        pair = [self._root.pk, other.pk]
        return timed_sql(one_way, pair) + timed_sql(one_way, pair[::-1])

    def read_all_s(self) -> float:
        """Return the time of looking at every frame's regions, in s."""
        sql = "SELECT sum(json_array_length(rois)) FROM frames_frame WHERE dataset_id = %s"
        return timed_sql(sql, [self._root.dataset_id]) / 1000

    def _fill(self, version: Version) -> None:

        base = frame_pk(version.dataset_id, 0)
        with connection.cursor() as cursor:
            cursor.executemany(
                "INSERT INTO held VALUES (%s, %s)",
                [(version.pk, base + ordinal) for ordinal in membership.members(version.pk)],
            )


# --- what it is measured on -----------------------------------------------------------------


def _prepare(count: int) -> Version:
    """Return the published root, its descendants made where they are not there."""
    roots = Version.objects.select_related("dataset__project")
    root = roots.get(dataset__name=DATASET, parents=None)
    if root.is_draft:
        root = versions.publish(root, actor=None, reason=_REASON)
    for name in ("few", "half"):
        if not Version.objects.filter(name=name).exists():
            _say(f"changing {_changes_of(name, count):,} frames")
            child = _changed_child(root, "half-made", _spread(count, _changes_of(name, count)))
            versions.publish(child, actor=None, name=name, reason=_REASON)
    parent = root
    for number in range(1, GENERATIONS + 1):
        name = f"generation {number}"
        if not Version.objects.filter(name=name).exists():
            _say(name)
            changes = _spread(count, CHANGES_PER_GENERATION, seed=number)
            child = _changed_child(parent, "half-made", changes, seed=number)
            versions.publish(child, actor=None, name=name, reason=_REASON)
        parent = _named(name)
    return root


def _changed_child(parent: Version, name: str, numbers: Sequence[int], *, seed: int = 0) -> Version:
    """Return a new draft that holds new revisions of some of its parent's frames."""
    for old in Version.objects.filter(name=name):
        versions.delete_version(old, actor=None)
    child = versions.create_version(dataset=parent.dataset, name=name, parents=[parent], actor=None)
    chance = random.Random(f"changes {seed}")
    with tempfile.NamedTemporaryFile("wb", suffix=".jsonl") as file:
        for number in numbers:
            file.write(orjson.dumps(frame(number, chance)) + b"\n")
        file.flush()
        # An import goes into the draft that was changed last.
        imports.import_path(
            file.name, dataset_name=parent.dataset.name, project=parent.dataset.project
        )
    return Version.objects.get(pk=child.pk)


def _changes_of(name: str, count: int) -> int:
    return min(FEW if name == "few" else HALF, count // 2)


def _spread(count: int, changes: int, seed: int = 0) -> list[int]:
    return sorted(random.Random(seed).sample(range(count), min(changes, count)))


def _forget_measured() -> None:
    """Remove the versions that a measuring has made, published ones too."""
    measured = Version.objects.filter(name__startswith=_MEASURED)
    for pk in measured.values_list("pk", flat=True):
        membership.delete(pk)
    measured.delete()


def _named(name: str) -> Version:

    return Version.objects.select_related("dataset").get(name=name)


def _say(text: str) -> None:
    print(text, file=sys.stderr)


def _database_bytes() -> int:
    """Return the bytes that hold something, in the database's file."""

    def pragma(name: str) -> int:
        with connection.cursor() as cursor:
            cursor.execute(f"PRAGMA {name}")
            return int(cursor.fetchone()[0])

    return (pragma("page_count") - pragma("freelist_count")) * pragma("page_size")
