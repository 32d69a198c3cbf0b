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
from frames.search.query import decode_after, encode_after
from frames.search.rows import rows_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from frames.models import Dataset
    from frames.search.compare import FrameChanges
    from frames.search.rows import FrameRow

# The acts that end in new revisions; jobs write theirs a while before the act is recorded.
WRITING_VERBS: Final = frozenset({"import", "edit"})
EVENTS_MAX: Final = 500
REVISIONS_MAX: Final = 10_000


@dataclass(frozen=True, slots=True)
class Revision:
    """One revision of a frame.

    `saved_in` is None once that version is deleted, `event` the act that wrote it where the log
    tells, `holders` the versions that hold it, newest first. `changes` are against `before`, what
    its line of versions held before it; None where that line had no such frame.
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
    """Some revisions of a frame, newest first, of `total`, and where to go on.

    Of a frame with more than REVISIONS_MAX the older ones are left out.
    """

    total: int
    items: list[Revision]
    next: str | None


def history_page(dataset: Dataset, frame_id: str, after: str, limit: int) -> HistoryPage:
    """Return a page of the revisions that a dataset has of a frame; none if it never had any.

    Raises QueryError for a token that is none. Queries: 7, and 1 for each 500 versions.
    """
    place = decode_after(after, int)
    if "\x00" in frame_id:
        # No id has one, and PostgreSQL refuses to be asked for it.
        return HistoryPage(0, [], None)
    revisions = Frame.objects.filter(dataset=dataset, frame_id=frame_id).order_by("-pk")
    written = dict(revisions.values_list("pk", "saved_in_version_id")[:REVISIONS_MAX])
    shown = list(written)
    if place is not None:
        end = frame_pk(dataset.pk, min(max(0, place[0]), ORDINAL_MASK))
        shown = [pk for pk in written if pk < end]
    more, shown = len(shown) > limit, shown[:limit]
    versions = {version.pk: version for version in dataset.versions.order_by("-updated_at", "-pk")}
    for version in versions.values():
        version.dataset = dataset
    before = _predecessors(dataset, shown, written, versions)
    pks = sorted({*shown, *before.values()})
    rows = dict(zip(pks, rows_of(dataset, [ordinal_of(pk) for pk in pks]), strict=True))
    holders = membership.holders(list(versions), [ordinal_of(pk) for pk in shown])
    events = _events([rows[pk] for pk in shown], versions)
    items = []
    for pk in shown:
        row, saved_in = rows[pk], versions.get(written[pk])
        earlier = rows[before[pk]] if pk in before else None
        items.append(
            Revision(
                row,
                earlier,
                saved_in,
                _event_of(row, events.get(saved_in.uid, []) if saved_in else []),
                [versions[v] for v in versions if ordinal_of(pk) in holders.get(v, ())],
                frame_changes(earlier, row) if earlier else None,
            )
        )
    return HistoryPage(len(written), items, encode_after(ordinal_of(shown[-1])) if more else None)


def _predecessors(
    dataset: Dataset, shown: Sequence[int], written: dict[int, int], versions: dict[int, Version]
) -> dict[int, int]:
    """Return what stood before each revision in the line of versions it was written in.

    That is the newest revision before it of its version or of what that was made from; of any
    version where its own is deleted and its line is not known any more. Queries: 1.
    """
    parents: defaultdict[int, list[int]] = defaultdict(list)
    links = Version.parents.through.objects.filter(from_version__dataset=dataset)
    for child, parent in links.values_list("from_version_id", "to_version_id"):
        parents[child].append(parent)
    found = {}
    for pk in shown:
        line: set[int] = set()
        waiting = [written[pk]] if written[pk] in versions else []
        while waiting:
            version = waiting.pop()
            if version not in line:
                line.add(version)
                waiting += parents[version]
        older = (o for o in written if o < pk and (not line or written[o] in line))
        if (nearest := next(older, None)) is not None:
            found[pk] = nearest
    return found


def _events(rows: Sequence[FrameRow], versions: dict[int, Version]) -> dict[str, list[AuditEvent]]:
    """Return by version the acts that may have written the revisions, in order."""
    if not rows:
        return {}
    # The log's clock and that of the rows are read one after the other.
    since = _moment(min(row.frame.saved_ms for row in rows)) - timedelta(seconds=1)
    written_in = {row.frame.saved_in_version_id for row in rows}
    events = AuditEvent.objects.filter(
        object_uid__in=[versions[pk].uid for pk in written_in if pk in versions],
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
