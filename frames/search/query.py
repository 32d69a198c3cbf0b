"""What a person asked for: a page's URL, parsed once, that can print itself back."""

from __future__ import annotations

import base64
import binascii
import json
import math
import re
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

from frames.search.errors import QueryError

if TYPE_CHECKING:
    from collections.abc import Mapping

Q_MAX_CHARS: Final = 10_000
SIZES: Final = ("s", "m", "l")
SCOPES: Final = ("any", "every", "none")
VIEWS: Final = ("grid", "table")
# What the left column shows; empty for the versions, which a narrow screen then folds away.
PANELS: Final = ("", "versions", "facets", "filter")
GROUP_NONE: Final = "none"
GROUP_URL: Final = "url"
# What frames can be grouped and sorted by: the keys of the index that people know.
KEY: Final = re.compile(
    r"label|sources\.(id|content_type|width|height|meta\..+)"
    r"|rois\.(label|confidence|sources|meta\..+)|meta\..+",
    re.DOTALL,
)
# What frames can be sorted by beside those, and what it is called.
SORTS: Final = {
    "context_id": "Context ID",
    "timestamp": "Timestamp",
    "id": "ID",
    "saved": "Last update time",
}
SAMPLE_MAX: Final = 48
COLUMNS_MAX: Final = 12
ALL_SOURCES: Final = "*"

_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_INTEGERS: Final = range(-(2**63), 2**63)


@dataclass(frozen=True, slots=True)
class FrameQuery:
    """A question about the frames of a version.

    `q` is Lucene text, `label` one label a frame must have, `group` is none, url or a key,
    `scope` says how many frames of a group must match, `sort` a key of SORTS with `-` before it
    for descending, `size` the preview size, and `after` the token of the last item of the page
    before. `sample` frames of each value of `group` are shown, for a region's key of the regions
    that `match`. `view` is the grid or a table with `columns`, `source` whose picture is shown,
    and `panel` what stands in the left column.
    """

    q: str = ""
    label: str = ""
    group: str = GROUP_URL
    sort: str = ""
    scope: str = "any"
    sample: str = ""
    match: str = ""
    view: str = "grid"
    columns: str = ""
    source: str = ""
    size: str = "m"
    panel: str = ""
    after: str = ""

    @classmethod
    def from_params(cls, params: Mapping[str, str]) -> FrameQuery:
        """Read a query string; raise QueryError where a value cannot be meant."""
        query = cls(
            **{name: value for name in _DEFAULTS if (value := params.get(name, "").strip())}
        )
        if len(query.q) > Q_MAX_CHARS:
            raise QueryError(f"The query is longer than {Q_MAX_CHARS:,} characters.")
        if any("\x00" in value for value in query.params().values()):
            raise QueryError("The query holds a null character.")
        if query.size not in SIZES:
            raise QueryError("size is s, m or l.", field="size")
        if query.scope not in SCOPES:
            raise QueryError("scope is any, every or none.", field="scope")
        if query.view not in VIEWS:
            raise QueryError("view is grid or table.", field="view")
        if query.panel not in PANELS:
            raise QueryError("panel is versions, facets or filter.", field="panel")
        if query.sort_key not in SORTS and not KEY.fullmatch(query.sort_key):
            raise QueryError(
                f"sort is one of {', '.join(SORTS)}, label, or a key of meta, sources or rois.",
                field="sort",
            )
        if query.group not in (GROUP_NONE, GROUP_URL) and not KEY.fullmatch(query.group):
            raise QueryError(
                "group is none, url, label, or a key of meta, sources or rois.", field="group"
            )
        if query.group != GROUP_NONE and query.sort_key != "context_id":
            raise QueryError(
                "Groups are sorted by their own value. Choose Split Preview to sort frames.",
                field="sort",
            )
        if query.sample and query.group in (GROUP_NONE, GROUP_URL):
            raise QueryError("Choose the property to sample by.", field="group")
        if query.sample and not query.sample_size:
            raise QueryError(f"sample is a number from 1 to {SAMPLE_MAX}.", field="sample")
        if query.match and not query.group.startswith("rois."):
            raise QueryError("Only regions are matched: choose a key of rois.", field="match")
        if len(query.column_keys) > COLUMNS_MAX or not all(map(KEY.fullmatch, query.column_keys)):
            raise QueryError(
                f"columns are up to {COLUMNS_MAX} keys of meta, sources or rois, parted by commas.",
                field="columns",
            )
        return query

    @property
    def sample_size(self) -> int:
        """How many frames of each value are wanted; 0 where that is no number from 1 on."""
        if not self.sample.isascii() or not self.sample.isdigit() or len(self.sample) > 4:
            return 0
        return int(self.sample) if int(self.sample) <= SAMPLE_MAX else 0

    @property
    def column_keys(self) -> list[str]:
        """The keys that the table shows beside its own columns, each once."""
        return list(dict.fromkeys(filter(None, self.columns.split(","))))

    @property
    def is_grouped(self) -> bool:
        """Whether groups are shown and not each frame."""
        return self.group != GROUP_NONE

    @property
    def sort_key(self) -> str:
        """What is sorted by, without the direction."""
        return self.sort.removeprefix("-") or "context_id"

    @property
    def descending(self) -> bool:
        """Whether the greatest comes first."""
        return self.sort.startswith("-")

    def with_(self, **changes: str) -> FrameQuery:
        """Return the query with fields changed, from its first page unless `after` is given."""
        return replace(self, **{"after": "", **changes})

    def params(self, **changes: str) -> dict[str, str]:
        """Return the fields that differ from their defaults, some of them changed first."""
        return {
            name: value
            for name, default in _DEFAULTS.items()
            if (value := changes.get(name, getattr(self, name))) != default
        }

    def querystring(self) -> str:
        """Return `?q=...` for what differs from the defaults, or nothing."""
        params = self.params()
        return f"?{urlencode(params)}" if params else ""


_DEFAULTS: Final = {field.name: field.default for field in fields(FrameQuery)}


def encode_after(*place: Any) -> str:
    """Return the token of a place in an order."""
    text = json.dumps(place, separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def decode_after(token: str, *types: type | tuple[type, ...]) -> list[Any] | None:
    """Return the place of a token, None for an empty one; raise QueryError for a foreign one."""
    if not token:
        return None
    try:
        place = json.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
    except (binascii.Error, ValueError, RecursionError) as error:
        raise foreign_token() from error
    if not isinstance(place, list) or len(place) != len(types):
        raise foreign_token()
    if not all(isinstance(v, t) and _is_stored(v) for v, t in zip(place, types, strict=True)):
        raise foreign_token()
    return place


def _is_stored(value: Any) -> bool:
    """Whether a column can hold a value: databases refuse what no frame of theirs has."""
    if isinstance(value, str):
        return "\x00" not in value and not _SURROGATE.search(value)
    if isinstance(value, bool):
        return False
    return math.isfinite(value) if isinstance(value, float) else value in _INTEGERS


def foreign_token() -> QueryError:
    """Return what refuses a token of another order."""
    return QueryError(
        "This page does not belong to this order. Start from the first.", field="after"
    )
