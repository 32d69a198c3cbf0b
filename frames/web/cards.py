"""The cards of a grid: frames, groups of frames and samples, each under its pictures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from frames.formats.singleframe import render_frame
from frames.index.terms import BOOLEAN, NUMBER
from frames.media import MediaError, policy_for
from frames.media.kinds import Kind, kind_of
from frames.previews.spec import PREVIEW_EDGE_PX, spec_for
from frames.search.query import ALL_SOURCES, GROUP_NONE, GROUP_URL
from frames.search.syntax import field_name, phrase
from frames.web.addresses import (
    context_address,
    frame_address,
    given_preview_address,
    version_address,
    why_address,
)
from frames.web.labels import Label, distinct_labels
from frames.web.pictures import Picture, pictures_of, shown_source
from frames.web.strip import CARD_WIDTH, lane_of
from frames.web.text import count, head_and_tail, moment, number_text, plural, span, visible

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from frames.models import Source, Version
    from frames.search.pages import GroupRow
    from frames.search.query import FrameQuery
    from frames.search.rows import FrameRow
    from frames.search.samples import Sample
    from frames.web.strip import Lane

MAX_LABELS_ON_CARD: Final = 3
MAX_TILES_ON_CARD: Final = 9
NO_SOURCE: Final = Picture(key="", state="missing", problem="Source not available")


@dataclass(frozen=True, slots=True)
class Tile:
    """The picture of one source; `video_url` plays the video that was given as its preview."""

    source_id: str
    picture: Picture
    video_url: str = ""


@dataclass(frozen=True, slots=True)
class GroupCard:
    """The frames of one context, or with one value of a key, under one picture.

    `url` is their page; `open_url` is where the card leads: straight to a frame that is alone.
    `key` is empty for a context, `length` is in the unit of its timestamps, and `is_filtered` says
    whether a filter chose among the frames. `why` and `cover_id`, of the frame in its picture, are
    where that one is explained.
    """

    key: str
    value: str | float
    text: str
    frames: int
    matched: int
    first_timestamp: float | None
    last_timestamp: float | None
    url: str
    open_url: str
    tiles: list[Tile]
    more_tiles: int
    length: float
    lane: Lane | None
    is_filtered: bool
    cover_id: str
    why: str

    @property
    def why_url(self) -> str:
        """Where it asks why the filter finds the frame in its picture; empty where it does not."""
        return f"{self.why}{quote(self.cover_id)}" if self.why else ""

    @property
    def picture(self) -> Picture:
        """The first of its pictures."""
        return self.tiles[0].picture

    @property
    def head(self) -> str:
        """The name's beginning, cut where the card is narrow."""
        return head_and_tail(self.text)[0]

    @property
    def tail(self) -> str:
        """The name's end, never cut."""
        return head_and_tail(self.text)[1]

    @property
    def size(self) -> str:
        """The number of frames, and under a filter how many of them match."""
        if not self.is_filtered:
            return plural(self.frames, "frame")
        if self.frames == 1:
            return "1 frame matches" if self.matched else "1 frame, no match"
        return f"{count(self.matched)} of {plural(self.frames, 'frame')} match"

    @property
    def duration(self) -> str:
        """From the first to the last frame; empty for a still picture."""
        return span(self.length) if self.length > 0 else ""

    def as_json(self) -> dict[str, Any]:
        """Return the group as JSON."""
        shared = {
            "frames": self.frames,
            "matched": self.matched,
            "url": self.url,
            "preview": self.picture.url or None,
        }
        if self.key:
            return {"key": self.key, "value": self.value, **shared}
        return {
            "context_id": self.value,
            "first_timestamp": self.first_timestamp,
            "last_timestamp": self.last_timestamp,
            **shared,
        }


@dataclass(frozen=True, slots=True)
class FrameCard:
    """One frame under its pictures, of which `picture` is the first.

    `why` and the frame's id are where it is explained; empty where no filter has found it.
    """

    row: FrameRow
    version: Version
    url: str
    picture: Picture
    tiles: Sequence[Tile] = ()
    more_tiles: int = 0
    why: str = ""

    @property
    def why_url(self) -> str:
        """Where it asks why the filter finds it; empty where there is none."""
        return f"{self.why}{quote(self.frame_id)}" if self.why else ""

    @property
    def moment(self) -> str:
        """When it is."""
        return moment(self.row.frame.timestamp)

    @property
    def frame_id(self) -> str:
        """What it is called."""
        return self.row.frame.frame_id

    @property
    def labels(self) -> list[Label]:
        """The first few labels."""
        return [Label(name) for name in distinct_labels(self.row.frame.rois)[:MAX_LABELS_ON_CARD]]

    @property
    def more_labels(self) -> int:
        """How many labels there are beside those."""
        return max(0, len(distinct_labels(self.row.frame.rois)) - MAX_LABELS_ON_CARD)

    @property
    def video_url(self) -> str:
        """The video to play in place of the picture, empty where there is none or several tiles."""
        return self.tiles[0].video_url if len(self.tiles) == 1 else ""

    def as_json(self) -> dict[str, Any]:
        """Return the frame as SingleFrame JSON with its page and preview."""
        return frame_json(self.row, self.version, self.url, self.picture)


@dataclass(frozen=True, slots=True)
class SampleRow:
    """The frames sampled of one value; `url` is where all of them are."""

    key: str
    value: str | float | None
    text: str
    frames: int
    url: str
    cards: list[FrameCard]

    @property
    def heading(self) -> str:
        """What they have in common: "ROI: rois.label: airplane"."""
        space = "ROI" if self.key.startswith("rois.") else "FRAME"
        return f"{space}: {self.key}: {self.text}"

    @property
    def size(self) -> str:
        """How many frames there are."""
        return plural(self.frames, "frame")

    def as_json(self) -> dict[str, Any]:
        """Return the value, null for those without one, and its sampled frames."""
        return {
            "key": self.key,
            "value": self.value,
            "frames": self.frames,
            "url": self.url or None,
            "items": [card.as_json() for card in self.cards],
        }


def frame_json(row: FrameRow, version: Version, url: str, picture: Picture) -> dict[str, Any]:
    """Return a frame as SingleFrame JSON plus `url`, its page, and `preview`, its picture."""
    frame = render_frame(row.frame, row.sources, version.dataset.uid, version.uid)
    return {**frame, "url": url, "preview": picture.url or None}


def frame_cards(
    version: Version, rows: Sequence[FrameRow], found_by: Mapping[str, str], source: str = ""
) -> list[FrameCard]:
    """Return the cards of some frames, found by a filter; one query.

    `source` names the source to show, empty for the first by its id, `*` for all.
    """
    tiles = _tiles(version, rows, source)
    why = _why(version, found_by, source)
    return [
        FrameCard(
            row,
            version,
            frame_address(version, row.frame.frame_id, found_by),
            shown[0].picture,
            shown[:MAX_TILES_ON_CARD],
            max(0, len(shown) - MAX_TILES_ON_CARD),
            why,
        )
        for row, shown in zip(rows, tiles, strict=True)
    ]


def group_cards(
    version: Version, rows: Sequence[GroupRow], query: FrameQuery, found_by: Mapping[str, str]
) -> list[GroupCard]:
    """Return the cards of some groups; one query."""
    tiles = _tiles(version, [row.cover for row in rows], query.source)
    if query.scope == "none":
        # None of their frames is left by the filter.
        found_by = {}
    why = _why(version, found_by, query.source)
    cards = []
    for row, shown in zip(rows, tiles, strict=True):
        is_context = query.group == GROUP_URL
        url = (
            context_address(version, str(row.value), found_by)
            if is_context
            else _narrowed_address(version, query, clause_of(query.group, row.kind, row.value))
        )
        lane, length = None, 0.0
        if row.first_timestamp is not None and row.last_timestamp is not None:
            length = row.last_timestamp - row.first_timestamp
        if row.timeline is not None and len(row.timeline.places) > 1:
            lane = lane_of(row.timeline, CARD_WIDTH)
            length = row.timeline.last - row.timeline.first
        cards.append(
            GroupCard(
                key="" if is_context else query.group,
                value=row.value,
                text=value_text(row.value),
                frames=row.frames,
                matched=row.matched,
                first_timestamp=row.first_timestamp,
                last_timestamp=row.last_timestamp,
                url=url,
                cover_id=row.cover.frame.frame_id,
                open_url=frame_address(version, row.cover.frame.frame_id, found_by)
                if row.frames == 1
                else url,
                tiles=shown[:MAX_TILES_ON_CARD],
                more_tiles=max(0, len(shown) - MAX_TILES_ON_CARD),
                length=length,
                lane=lane,
                is_filtered=bool(query.q or query.label),
                why=why,
            )
        )
    return cards


def sample_rows(
    version: Version, samples: Sequence[Sample], query: FrameQuery, found_by: Mapping[str, str]
) -> list[SampleRow]:
    """Return the rows of sampled frames; one query."""
    rows = [row for sample in samples for row in sample.items]
    cards = iter(frame_cards(version, rows, found_by, query.source))
    return [
        SampleRow(
            key=query.group,
            value=sample.value if sample.kind is not None else None,
            text=value_text(sample.value) if sample.kind is not None else "N/A",
            frames=sample.frames,
            url=_all_of(version, sample, query),
            cards=[next(cards) for _ in sample.items],
        )
        for sample in samples
    ]


def clause_of(key: str, kind: int | None, value: str | float) -> str:
    """Return the query text that keeps the frames with a value of a key; None for no value."""
    field = field_name(key)
    if kind is None:
        return f"NOT _exists_:{field}"
    if kind == NUMBER:
        return f"{field}:[{number_text(float(value))} TO {number_text(float(value))}]"
    return f"{field}:{value}" if kind == BOOLEAN else f"{field}:{phrase(str(value))}"


def value_text(value: str | float) -> str:
    """Return a value as people read it: a whole number without its point, an empty text named."""
    return number_text(value) if isinstance(value, float) else visible(value) or "(empty text)"


def _why(version: Version, found_by: Mapping[str, str], source: str) -> str:
    """Return where cards ask why, up to the frame's id; empty where no filter has found them."""
    if not found_by:
        return ""
    return why_address(version, {**found_by, "source": source} if source else found_by)


def _all_of(version: Version, sample: Sample, query: FrameQuery) -> str:
    """Return where all frames of a sample are."""
    is_of_regions = query.group.startswith("rois.")
    key = query.group.removeprefix("rois.") if is_of_regions else query.group
    text = clause_of(key, sample.kind, sample.value)
    if is_of_regions:
        text = f"rois:(({query.match}) AND {text})" if query.match else f"rois:({text})"
    return _narrowed_address(version, query, text)


def _narrowed_address(version: Version, query: FrameQuery, clause: str) -> str:
    """Return where the frames of a query are that a clause keeps as well, each for itself."""
    text = f"({query.q}) AND {clause}" if query.q and query.scope != "none" else clause
    label = "" if query.scope == "none" else query.label
    narrowed = query.with_(
        group=GROUP_NONE, sort="", scope="any", sample="", match="", q=text, label=label
    )
    return version_address(version, narrowed.params())


def _tiles(version: Version, rows: Sequence[FrameRow], source: str) -> list[list[Tile]]:
    """Return the tiles of each frame, at least one; one query."""
    chosen = [_sources(row.sources, source) for row in rows]
    project = version.dataset.project
    pictures = pictures_of(
        [(project.pk, shown) for sources in chosen for shown in sources], PREVIEW_EDGE_PX
    )
    policy = policy_for(project)

    def video_url(shown: Source) -> str:
        if not shown.preview:
            return ""
        spec = spec_for(shown, PREVIEW_EDGE_PX)
        if kind_of(spec.uri, spec.content_type) is not Kind.VIDEO:
            return ""
        try:
            policy.check(spec.uri)
        except MediaError:
            return ""
        return given_preview_address(shown.pk)

    return [
        [Tile(shown.source_id, pictures[shown.pk], video_url(shown)) for shown in sources]
        or [Tile(source, NO_SOURCE)]
        for sources in chosen
    ]


def _sources(sources: Sequence[Source], wanted: str) -> list[Source]:
    """Return the sources to show: the first by its id, all of them, or the one of that name."""
    if not wanted:
        return [shown_source(sources)]
    if wanted == ALL_SOURCES:
        return sorted(sources, key=lambda source: source.source_id)
    return [source for source in sources if source.source_id == wanted][:1]
