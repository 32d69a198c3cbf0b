"""Grouping, sorting and sampling through the web server; each request asks another question."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import urlencode

from bench.data import CITIES, FRAMES_PER_CONTEXT, LABELS
from bench.figures import Figure
from bench.pages import plan_shown
from bench.server import p95, serving, timed_sql
from frames.search import pages
from frames.search.query import FrameQuery
from frames.web.addresses import version_address

if TYPE_CHECKING:
    from collections.abc import Iterator

    from frames.models import Version

WARM_UP: Final = 5
REQUESTS: Final = 50
SAMPLES: Final = 6
_FEW: Final = "group by context under a filter that hits 40 frames"
_MANY: Final = "group by context under a filter that hits 400,000"
_EVERY: Final = "contexts of which every frame matches such a filter"
_SAMPLE: Final = f"sample by property over {len(LABELS)} labels, {SAMPLES} each"
_SORT: Final = "sort by a number of the metadata"
_DEEP: Final = "the same from its middle on"
_BOUNDS: Final = {_FEW: 60.0, _MANY: 60.0, _EVERY: None, _SAMPLE: 200.0, _SORT: None, _DEEP: None}


def measure(version: Version) -> Iterator[Figure]:
    """Yield p95 of each page, in ms, beside the same asked of the rows in plain SQL."""
    deep = _middle(version)
    turns = range(WARM_UP + REQUESTS)
    plan_shown(version, [q for turn in turns for q in _questions(turn, deep).values()])
    times: dict[str, list[float]] = {name: [] for name in _BOUNDS}
    with serving() as server:
        # In turn, so that noise falls on all alike.
        for turn in turns:
            for name, params in _questions(turn, deep).items():
                spent = server.get(f"{version_address(version)}?{urlencode(params)}")
                if turn >= WARM_UP:
                    times[name].append(spent)
    scans = _scans(version)
    for name, bound in _BOUNDS.items():
        yield Figure(
            name, p95(times[name]), "ms", bound, baseline=scans[name], baseline_name="JSON scan"
        )


def _questions(turn: int, deep: str) -> dict[str, dict[str, str]]:
    # Of a million frames: 100 frames of each number in a context, 50 cities, a fifth of the speeds.
    few = (
        f"meta.frame_number:{turn % FRAMES_PER_CONTEXT} AND meta.city:{CITIES[turn % len(CITIES)]} "
        "AND meta.velocity:[50 TO 57.7]"
    )
    # Two fifths of the frames have the second label, spread over all contexts.
    many = f"label:{LABELS[1]} AND NOT label:{LABELS[20 + turn % 60]}"
    most = f"NOT meta.city:{CITIES[turn % len(CITIES)]}"
    sort = {"group": "none", "sort": "meta.velocity"}
    return {
        _FEW: {"q": few},
        _MANY: {"q": many},
        _EVERY: {"q": f"meta.city:{CITIES[turn % len(CITIES)]}", "scope": "every"},
        _SAMPLE: {"group": "rois.label", "sample": str(SAMPLES), "q": most},
        _SORT: {**sort, "q": most},
        _DEEP: {**sort, "q": most, "after": deep},
    }


def _middle(version: Version) -> str:
    """Return the token of a page from the median speed on."""
    query = FrameQuery(group="none", sort="meta.velocity", q="meta.velocity:[50 TO *]")
    return pages.frame_page(version, query, 1).next or ""


def _scans(version: Version) -> dict[str, float]:
    """Time the same questions in plain SQL over JSON, in ms, once each."""
    dataset = [version.dataset_id]
    groups = (
        "SELECT context_id, count(*), sum({hit}) AS hits FROM frames_frame f "
        "WHERE dataset_id = %s GROUP BY context_id HAVING {having} ORDER BY context_id LIMIT 48"
    )
    speed = "json_extract(meta, '$.velocity')"
    city = "json_extract(meta, '$.city') = 'city_07'"
    few = f"json_extract(meta, '$.frame_number') = 7 AND {city} AND {speed} BETWEEN 50 AND 57.7"
    many = (
        "EXISTS (SELECT 1 FROM json_each(f.rois) roi, json_each(roi.value, '$.label') label "
        "WHERE label.value = 'class_01')"
    )
    sample = (
        "WITH labelled AS (SELECT DISTINCT f.id, label.value AS label FROM frames_frame f, "
        "json_each(f.rois) roi, json_each(roi.value, '$.label') label WHERE dataset_id = %s), "
        "numbered AS (SELECT id, label, row_number() OVER (PARTITION BY label ORDER BY id) AS n "
        "FROM labelled) SELECT label, id FROM numbered WHERE n <= 6"
    )
    by_speed = (
        "SELECT id FROM frames_frame WHERE dataset_id = %s "
        "ORDER BY json_extract(meta, '$.velocity'), id LIMIT 48"
    )
    half = version.frame_count // 2
    asked = {
        _FEW: groups.format(hit=few, having="hits > 0"),
        _MANY: groups.format(hit=many, having="hits > 0"),
        _EVERY: groups.format(hit=city, having="hits = count(*)"),
        _SAMPLE: sample,
        _SORT: by_speed,
        _DEEP: f"{by_speed} OFFSET {half}",
    }
    return {name: timed_sql(sql, dataset) for name, sql in asked.items()}
