"""Pages through the web server on loopback."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, urlencode

from bench.data import FRAMES_PER_CONTEXT
from bench.figures import Figure
from bench.server import p95, serving, timed_sql
from frames.actions import previews
from frames.previews.spec import PREVIEW_EDGE_PX
from frames.search import pages as search
from frames.search.query import FrameQuery, encode_after
from frames.search.samples import sample_page
from frames.web.version_detail import PAGE_SIZE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from bench.server import Server
    from frames.models import Version

WARM_UP: Final = 5
REQUESTS: Final = 50
LABEL: Final = "class_07"
# 48 contexts of 100 frames on a grouped page, and as many again for those a filter passes over.
_PLANNED_FRAMES: Final = 10_000


def measure(version: Version, count: int) -> Iterator[Figure]:
    """Yield p95 of each page, in ms, and what the web server's processes take of memory."""
    _plan_previews(version, count)
    with serving() as server:
        times = _times(server, _urls(version, count))
        baselines = _baselines(version)
        for name, values in times.items():
            bound, baseline = _BOUNDS[name], baselines[name]
            yield Figure(
                name, p95(values), "ms", bound, baseline=baseline[0], baseline_name=baseline[1]
            )
        yield Figure(
            "deep split page, against the first",
            p95(times["split page, deep"]) / p95(times["split page"]),
            "times",
            1.2,
        )
        yield Figure(
            "deep grouped page, against the first",
            p95(times["grouped page, deep"]) / p95(times["grouped page"]),
            "times",
            1.2,
        )
        yield Figure("web process, largest", _largest_process_mb(server.pid), "MB", 300)


_BOUNDS: Final = {
    "grouped page": 60.0,
    "split page": 60.0,
    "grouped page, deep": None,
    "split page, deep": None,
    "context page of 100 frames": 80.0,
    "label filter, split": 60.0,
    "label filter, grouped": 60.0,
    "frame page": None,
}


def plan_shown(version: Version, asked: Iterable[Mapping[str, str]]) -> None:
    """Make the preview rows of what pages with these queries show, as a worker has long done."""
    for params in asked:
        query = FrameQuery.from_params(params)
        if query.sample:
            shown = [row for s in sample_page(version, query).items for row in s.items]
        elif query.is_grouped:
            shown = [row.cover for row in search.group_page(version, query, PAGE_SIZE).items]
        else:
            shown = search.frame_page(version, query, PAGE_SIZE).items
        previews.plan_shown([s.pk for row in shown for s in row.sources], PREVIEW_EDGE_PX)


def _plan_previews(version: Version, count: int) -> None:
    """Make the preview rows of the frames that the pages show, as a worker has long done."""
    deep = count * 95 // 100
    for first in (0, deep):
        previews.plan(version.dataset_id, first, min(first + _PLANNED_FRAMES, count))


def _urls(version: Version, count: int) -> dict[str, str]:
    base = f"/datasets/{version.dataset.uid}/versions/{version.uid}/"
    deep = (count * 95 // 100) // FRAMES_PER_CONTEXT
    context = f"drive_{deep:07d}"
    frame_id = f"{deep * FRAMES_PER_CONTEXT + 50:08d}-front-camera"
    place = encode_after(context, 33.0, f"{deep * FRAMES_PER_CONTEXT + 1:08d}-front-camera")
    return {
        "grouped page": base,
        "split page": base + "?group=none",
        "grouped page, deep": base + "?" + urlencode({"after": encode_after(context)}),
        "split page, deep": base + "?" + urlencode({"group": "none", "after": place}),
        "context page of 100 frames": base + "context/?" + urlencode({"id": context}),
        "label filter, split": base + f"?group=none&label={LABEL}",
        "label filter, grouped": base + f"?label={LABEL}",
        "frame page": base + f"frames/{quote(frame_id)}/",
    }


def _times(server: Server, urls: dict[str, str]) -> dict[str, list[float]]:
    """Return the times of each page in ms, all pages in turn so that noise falls on all alike."""
    times: dict[str, list[float]] = {name: [] for name in urls}
    for turn in range(WARM_UP + REQUESTS):
        for name, url in urls.items():
            spent = server.get(url)
            if turn >= WARM_UP:
                times[name].append(spent)
    return times


def _baselines(version: Version) -> dict[str, tuple[float, str]]:
    """Time the same questions asked of the rows in plain SQL over JSON, in ms, once each."""
    group = (
        "SELECT json_extract(meta, '$.city'), count(*), min(timestamp), max(timestamp) "
        "FROM frames_frame WHERE dataset_id = %s GROUP BY 1 LIMIT 50"
    )
    scan = (
        "SELECT count(*) FROM frames_frame "
        "WHERE dataset_id = %s AND json_extract(meta, '$.split') = 'test'"
    )
    label = (
        "SELECT count(*) FROM frames_frame f WHERE dataset_id = %s AND EXISTS (SELECT 1 FROM "
        "json_each(f.rois) roi, json_each(roi.value, '$.label') label WHERE label.value = %s)"
    )
    dataset = version.dataset_id
    by_scan = (timed_sql(scan, [dataset]), "one equality, JSON scan")
    by_label = (timed_sql(label, [dataset, LABEL]), "one label, JSON scan")
    by_group = (timed_sql(group, [dataset]), "one GROUP BY, JSON scan")
    return {
        "grouped page": by_group,
        "split page": by_scan,
        "grouped page, deep": by_group,
        "split page, deep": by_scan,
        "context page of 100 frames": by_scan,
        "label filter, split": by_label,
        "label filter, grouped": by_label,
        "frame page": by_scan,
    }


def _largest_process_mb(pid: int) -> float:
    """Return the resident memory of the largest descendant of a process, in MB."""
    parents: dict[int, int] = {}
    sizes: dict[int, float] = {}
    for path in Path("/proc").glob("[0-9]*/status"):
        try:
            fields = dict(
                line.split(":\t", 1) for line in path.read_text().splitlines() if ":\t" in line
            )
        except OSError:
            continue
        own = int(fields["Pid"])
        parents[own] = int(fields["PPid"])
        sizes[own] = int(fields.get("VmRSS", "0 kB").split()[0]) / 1024
    found = {pid}
    for _ in range(5):
        found |= {child for child, parent in parents.items() if parent in found}
    return max(sizes.get(process, 0.0) for process in found)
