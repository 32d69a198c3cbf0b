"""Finding through the web server: filters, facets and statistics, and the same asked of others.

Every request asks another question, so that no answer comes from a cache of answers; the index's
own cache is warm, as it is for the second person of a day.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final
from urllib.parse import urlencode

from bench import datasette
from bench.data import LABELS
from bench.figures import Figure
from bench.pages import plan_shown
from bench.server import p95, serving, timed_sql
from frames.index.reader import DatasetIndex
from frames.search.lucene import frames_matching
from frames.web.addresses import version_address

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from frames.models import Version

WARM_UP: Final = 5
REQUESTS: Final = 50
# Datasette takes seconds for a page of a million rows.
DATASETTE_REQUESTS: Final = 5
DATASETTE_MAX_S: Final = 180
_KEYS: Final = ("weather", "city", "split")


def measure(version: Version) -> Iterator[Figure]:
    """Yield p95 of each question, in ms, beside plain SQL over JSON and Datasette."""
    asked: dict[str, tuple[float | None, Callable[[int], str]]] = {
        "filter of four terms with NOT, count and first page": (
            60.0,
            lambda turn: _page(version, "", {"q": _four_terms(turn), "group": "none"}),
        ),
        "all facets of the page under that filter": (
            100.0,
            lambda turn: _page(version, "facets/", {"q": _four_terms(turn)}),
        ),
        "frames and facets together under that filter": (
            None,
            lambda turn: _page(
                version, "", {"q": _four_terms(turn), "group": "none", "panel": "facets"}
            ),
        ),
        "statistics of the regions' labels under that filter": (
            None,
            lambda turn: _page(version, "statistics/", {"q": _four_terms(turn)}),
        ),
        "region rule: two labels on one region, confidence 0.8 to 1": (
            150.0,
            lambda turn: _page(version, "", {"q": _region_rule(turn), "group": "none"}),
        ),
        "an empty result of five rules, each dropped in turn": (
            100.0,
            lambda turn: _page(version, "", {"q": _five_rules(turn), "group": "none"}),
        ),
    }
    times: dict[str, list[float]] = {name: [] for name in asked}
    texts = [ask(turn) for turn in range(WARM_UP + REQUESTS) for ask in (_four_terms, _region_rule)]
    plan_shown(version, [{"q": text, "group": "none"} for text in texts])
    with serving() as server:
        # In turn, so that noise falls on all alike.
        for turn in range(WARM_UP + REQUESTS):
            for name, (_, address) in asked.items():
                spent = server.get(address(turn))
                if turn >= WARM_UP:
                    times[name].append(spent)
    scans = _scans(version)
    for name, (bound, _) in asked.items():
        baseline, what = scans[name]
        yield Figure(name, p95(times[name]), "ms", bound, baseline=baseline, baseline_name=what)
    for name, baseline in _by_datasette(version).items():
        own = p95(times[name])
        yield Figure(
            f"{name}; Datasette", own, "ms", baseline=baseline, baseline_name=datasette.NAME
        )


def _page(version: Version, part: str, params: dict[str, str]) -> str:
    return f"{version_address(version)}{part}?{urlencode(params)}"


def _four_terms(turn: int) -> str:
    """Return a filter that keeps about a quarter of the frames, another one each turn."""
    return (
        "meta.split:train AND label:class_01 AND NOT meta.weather:rain "
        f"AND meta.velocity:[{20 + turn / 10:.1f} TO 80]"
    )


def _region_rule(turn: int) -> str:
    """Return a filter for frames with one region that has two labels and is sure."""
    label = turn % 10
    return (
        f"rois:(label:{LABELS[label]} AND label:{LABELS[label + 1]} "
        f"AND confidence:[{0.8 + turn / 10_000:.4f} TO 1])"
    )


def _five_rules(turn: int) -> str:
    """Return a filter that nothing matches, while without one of its rules some frames do."""
    return (
        f"meta.split:train AND label:{LABELS[turn % 10]} AND meta.velocity:[{turn} TO 80] "
        "AND meta.weather:clear AND NOT _exists_:meta.city"
    )


def _matched(version: Version, text: str) -> int:
    index = DatasetIndex(version.dataset)
    return len(frames_matching(index, index.members(version), text))


# --- plain SQL over the rows' JSON ---------------------------------------------------------------

_HITS: Final = """
WITH hit AS MATERIALIZED (
  SELECT id, meta, rois FROM frames_frame f
  WHERE dataset_id = %s
    AND json_extract(meta, '$.split') = 'train'
    AND json_extract(meta, '$.weather') <> 'rain'
    AND json_extract(meta, '$.velocity') BETWEEN 20 AND 80
    AND EXISTS (SELECT 1 FROM json_each(f.rois) roi, json_each(roi.value, '$.label') label
                WHERE label.value = 'class_01'))
"""
_LABELS: Final = (
    "SELECT 'label', label.value, count(DISTINCT hit.id) "
    "FROM hit, json_each(hit.rois) roi, json_each(roi.value, '$.label') label GROUP BY label.value"
)
_REGIONS: Final = """
SELECT count(*) OVER (), id FROM frames_frame f
WHERE dataset_id = %s
  AND EXISTS (SELECT 1 FROM json_each(f.rois) roi
              WHERE json_extract(roi.value, '$.confidence') BETWEEN 0.8 AND 1
                AND EXISTS (SELECT 1 FROM json_each(roi.value, '$.label') WHERE value = 'class_01')
                AND EXISTS (SELECT 1 FROM json_each(roi.value, '$.label') WHERE value = 'class_02'))
ORDER BY id LIMIT 48
"""
# The whole filter has no match: each rule dropped in turn, with the other four.
_RULES: Final = (
    "json_extract(meta, '$.split') = 'train'",
    "EXISTS (SELECT 1 FROM json_each(f.rois) roi, json_each(roi.value, '$.label') label"
    " WHERE label.value = 'class_01')",
    "json_extract(meta, '$.velocity') BETWEEN 20 AND 80",
    "json_extract(meta, '$.weather') = 'clear'",
    "json_extract(meta, '$.city') IS NULL",
)
_BINS: Final = (
    "SELECT 'velocity', CAST(json_extract(meta, '$.velocity') / 2 AS INTEGER) AS value, count(*) "
    "FROM hit GROUP BY value"
)


def _scans(version: Version) -> dict[str, tuple[float, str]]:
    """Time the same questions in plain SQL over JSON, in ms, once each."""
    dataset = [version.dataset_id]
    by_key = [
        f"SELECT '{key}', json_extract(meta, '$.{key}') AS value, count(*) FROM hit GROUP BY value"  # noqa: S608
        for key in _KEYS
    ]
    first = "SELECT count(*) OVER (), id FROM hit ORDER BY id LIMIT 48"
    page = timed_sql(f"{_HITS} {first}", dataset)
    facets = timed_sql(f"{_HITS} {' UNION ALL '.join([_LABELS, *by_key, _BINS])}", dataset)
    labels = timed_sql(f"{_HITS} {_LABELS}", dataset)
    dropped = [
        "SELECT count(*) FROM frames_frame f WHERE dataset_id = %s AND "  # noqa: S608
        + " AND ".join(rule for rule in _RULES if rule != left)
        for left in _RULES
    ]
    return {
        "filter of four terms with NOT, count and first page": (page, "JSON scan"),
        "all facets of the page under that filter": (facets, "JSON scan"),
        "frames and facets together under that filter": (page + facets, "JSON scan"),
        "statistics of the regions' labels under that filter": (labels, "JSON scan"),
        "region rule: two labels on one region, confidence 0.8 to 1": (
            timed_sql(_REGIONS, dataset),
            "JSON scan",
        ),
        "an empty result of five rules, each dropped in turn": (
            sum(timed_sql(sql, dataset) for sql in dropped),
            "JSON scan",
        ),
    }


# --- Datasette -----------------------------------------------------------------------------------


def _by_datasette(version: Version) -> dict[str, float]:
    """Time what Datasette can be asked too, in ms; nothing where it is not there."""
    found: dict[str, list[float]] = {
        "filter of four terms with NOT, count and first page": [],
        "frames and facets together under that filter": [],
    }
    facets = [*(("_facet", key) for key in _KEYS), ("_facet_array", "labels")]
    with datasette.serving(version) as other:
        if other is None:
            return {}
        begun = time.monotonic()
        for turn in range(1 + DATASETTE_REQUESTS):
            low = f"{20 + turn / 10:.1f}"
            kept = [
                *(("split__exact", "train"), ("weather__not", "rain"), ("_size", "48")),
                *(("velocity__gte", low), ("velocity__lte", "80")),
                ("labels__arraycontains", "class_01"),
            ]
            if not turn and other.count(kept) != _matched(version, _four_terms(0)):
                raise SystemExit("Datasette and the index count different frames")
            spent = (other.get(kept), other.get([*kept, *facets]))
            is_last = time.monotonic() - begun > DATASETTE_MAX_S
            if turn or is_last:
                for times, ms in zip(found.values(), spent, strict=True):
                    times.append(ms)
            if is_last:
                break
    return {name: p95(times) for name, times in found.items()}
