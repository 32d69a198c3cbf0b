"""A frame's revisions: what each was, where it came from, and which versions hold it."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from operator import attrgetter
from typing import TYPE_CHECKING, Final

from frames.index import membership
from frames.models import AuditEvent, Frame, Version
from frames.models.frame import ORDINAL_MASK, frame_pk, ordinal_of
from frames.search.compare import frame_changes
from frames.search.pages import rows_of
from frames.search.query import decode_after, encode_after

if TYPE_CHECKING:
    from collections.abc import Sequence

    from frames.models import Dataset
    from frames.search.compare import FrameChanges
    from frames.search.pages import FrameRow

# The acts that end in new revisions; jobs write theirs a while before the act is recorded.
WRITING_VERBS: Final = frozenset({"import", "edit", "write frames"})
EVENTS_MAX: Final = 500


@dataclass(frozen=True, slots=True)
class Revision:
    """One revision of a frame.

    `saved_in` is None once that version is deleted, `event` the act that wrote it where the log
    tells, `holders` the versions that hold it, newest first. `changes` are against `before`, the
    revision written before it, which may be another branch's; None for the first.
    """

    row: FrameRow
    before: FrameRow | None
    saved_in: Version | None
    event: AuditEvent | None
    holders: list[Version]
    changes: FrameChanges | None

    @property
    def saved_at(self) -> datetime:
        """When it was written."""
        return _moment(self.row.frame.saved_ms)


@dataclass(frozen=True, slots=True)
class HistoryPage:
    """Some revisions of a frame, newest first, of `total`, and where to go on."""

    total: int
    items: list[Revision]
    next: str | None


def history_page(dataset: Dataset, frame_id: str, after: str, limit: int) -> HistoryPage:
    """Return a page of the revisions that a dataset has of a frame; none if it never had any.

    Raises QueryError for a token that is none. Queries: 6, and 1 for each 500 versions.
    """
    place = decode_after(after, int)
    if "\x00" in frame_id:
        # No id has one, and PostgreSQL refuses to be asked for it.
        return HistoryPage(0, [], None)
    revisions = Frame.objects.filter(dataset=dataset, frame_id=frame_id)
    behind = revisions
    if place is not None:
        ordinal = min(max(0, place[0]), ORDINAL_MASK)
        behind = revisions.filter(pk__lt=frame_pk(dataset.pk, ordinal))
    pks = list(behind.order_by("-pk").values_list("pk", flat=True)[: limit + 1])
    # The one behind the page is what its last is compared with.
    rows = rows_of(dataset, [ordinal_of(pk) for pk in pks])
    shown = rows[:limit]
    written_in = Version.objects.in_bulk({row.frame.saved_in_version_id for row in shown})
    for version in written_in.values():
        version.dataset = dataset
    holders = _holders(dataset, [row.frame.ordinal for row in shown])
    events = _events(shown, written_in)
    items = []
    for place_in_page, row in enumerate(shown):
        saved_in = written_in.get(row.frame.saved_in_version_id)
        before = rows[place_in_page + 1] if place_in_page + 1 < len(rows) else None
        items.append(
            Revision(
                row,
                before,
                saved_in,
                _event_of(row, events.get(saved_in.uid, []) if saved_in else []),
                holders[row.frame.ordinal],
                frame_changes(before, row) if before else None,
            )
        )
    following = encode_after(shown[-1].frame.ordinal) if len(rows) > limit else None
    return HistoryPage(revisions.count(), items, following)


def _holders(dataset: Dataset, ordinals: Sequence[int]) -> dict[int, list[Version]]:
    """Return the versions that hold each revision, newest first."""
    versions = list(dataset.versions.order_by("-updated_at", "-pk"))
    found: dict[int, list[Version]] = {ordinal: [] for ordinal in ordinals}
    held = membership.holders([version.pk for version in versions], ordinals)
    for version in versions:
        version.dataset = dataset
        for ordinal in held.get(version.pk, ()):
            found[ordinal].append(version)
    return found


def _events(
    rows: Sequence[FrameRow], written_in: dict[int, Version]
) -> dict[str, list[AuditEvent]]:
    """Return by version the acts that may have written the revisions, in order."""
    if not rows:
        return {}
    # The log's clock and that of the rows are read one after the other.
    since = _moment(min(row.frame.saved_ms for row in rows)) - timedelta(seconds=1)
    events = AuditEvent.objects.filter(
        object_uid__in=[version.uid for version in written_in.values()],
        verb__in=WRITING_VERBS,
        at__gte=since,
    )
    found: defaultdict[str, list[AuditEvent]] = defaultdict(list)
    for event in events.select_related("actor").order_by("at", "pk")[:EVENTS_MAX]:
        found[event.object_uid].append(event)
    return found


def _event_of(row: FrameRow, events: list[AuditEvent]) -> AuditEvent | None:
    """Return the first act on the version that was recorded once the revision was written."""
    place = bisect_left(events, _moment(row.frame.saved_ms), key=attrgetter("at"))
    return events[place] if place < len(events) else None


def _moment(saved_ms: int) -> datetime:
    return datetime.fromtimestamp(saved_ms / 1000, UTC)
