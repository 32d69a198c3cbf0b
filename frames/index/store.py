"""The index's rows as bytes: the SQL that the index writes by hand, the same on every database.

The ORM would make an object of every row: 20 us each, where importing 10,000 frames/s leaves
100 us a frame for everything.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, TypeAlias

from django.db import connection

from frames.index.bitmaps import SEGMENT_BITS
from frames.index.patterns import Wild, after_prefix
from frames.index.terms import TEXT_MAX_CHARS
from frames.models import Frame, Membership, Posting, Source, Term, Version
from frames.models.frame import frame_pk

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from django.db import models

    from frames.index.patterns import Pattern

SourceColumn: TypeAlias = Literal["source_id", "uri", "content_type", "width", "height"]

CHUNK: Final = 500
_STREAMED_ROWS: Final = 16
SEGMENT_MASK: Final = (1 << SEGMENT_BITS) - 1

_POSTING = Posting._meta.db_table
_TERM = Term._meta.db_table
_FRAME = Frame._meta.db_table
_SOURCE = Source._meta.db_table
_MEMBERSHIP = Membership._meta.db_table
_VERSION = Version._meta.db_table
_SEGMENTS = 1 << SEGMENT_BITS
_OF_TERM = f"p.id >= t.id * {_SEGMENTS} AND p.id < (t.id + 1) * {_SEGMENTS}"
_JOIN = f"{_POSTING} p ON {_OF_TERM}"


def chunks(values: Sequence[Any], size: int = CHUNK) -> Iterator[Sequence[Any]]:
    """Yield consecutive slices of at most `size` values."""
    for start in range(0, len(values), size):
        yield values[start : start + size]


def row_id(owner_pk: int, segment: int) -> int:
    """Return the key of an owner's (term's, version's, dataset's) row for one segment."""
    return owner_pk << SEGMENT_BITS | segment


def fetch(sql: str, params: Sequence[Any] = ()) -> list[Any]:
    """Run one query and return all of its rows."""
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        rows: list[Any] = cursor.fetchall()
    return rows


def stream(sql: str, params: Sequence[Any] = ()) -> Iterator[Any]:
    """Run one query and yield its rows, on SQLite a few in memory at a time."""
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        while rows := cursor.fetchmany(_STREAMED_ROWS):
            yield from rows


def placeholders(count: int) -> str:
    """Return `%s, %s, ...`."""
    return ", ".join(["%s"] * count)


def insert(
    model: type[models.Model], columns: Sequence[str], rows: Sequence[Sequence[Any]]
) -> None:
    """Insert rows given as tuples in the order of `columns`; JSON columns take JSON text."""
    if not rows:
        return
    sql = (
        f"INSERT INTO {model._meta.db_table} ({', '.join(columns)}) "
        f"VALUES ({placeholders(len(columns))})"
    )
    with connection.cursor() as cursor:
        cursor.executemany(sql, rows)


def upsert(
    model: type[models.Model], columns: Sequence[str], rows: Sequence[Sequence[Any]]
) -> None:
    """Insert rows, `id` first among `columns`, or overwrite those whose id is there."""
    if not rows:
        return
    updates = ", ".join(f"{column} = excluded.{column}" for column in columns if column != "id")
    sql = (
        f"INSERT INTO {model._meta.db_table} ({', '.join(columns)}) "
        f"VALUES ({placeholders(len(columns))}) ON CONFLICT (id) DO UPDATE SET {updates}"
    )
    with connection.cursor() as cursor:
        cursor.executemany(sql, rows)


def insert_terms(
    rows: Sequence[tuple[int, int, str, float | None]],
) -> list[tuple[int, int, int, str]]:
    """Insert terms given as (key, kind, value, number); return (id, key, kind, value) of each."""
    made: list[tuple[int, int, int, str]] = []
    for part in chunks(rows):
        values = ", ".join(["(%s, %s, %s, %s)"] * len(part))
        made += fetch(
            f"INSERT INTO {_TERM} (key_id, kind, value, number) VALUES {values} "
            "RETURNING id, key_id, kind, value",
            [field for row in part for field in row],
        )
    return made


def term_ids(key_pk: int, kind: int, values: Sequence[str]) -> Iterator[tuple[int, str]]:
    """Yield (id, value) of those of the given terms of one key and kind that exist."""
    for part in chunks(values):
        yield from fetch(
            f"SELECT id, value FROM {_TERM} WHERE key_id = %s AND kind = %s "
            f"AND value IN ({placeholders(len(part))})",
            [key_pk, kind, *part],
        )


def texts_like(key_pk: int, pattern: Pattern | None, *, limit: int) -> list[tuple[int, str]]:
    """Return (id, text) of up to `limit` texts of a key, or of those that a pattern matches.

    A text that was cut is returned whatever the pattern: its whole is not here.
    """
    sql = f"SELECT id, value FROM {_TERM} WHERE key_id = %s AND kind = %s"
    params: list[Any] = [key_pk, Term.Kind.TEXT.value]
    if pattern is not None:
        like, values = _like("value", pattern)
        sql += f" AND (({like}) OR LENGTH(value) = %s)"
        params += [*values, TEXT_MAX_CHARS]
    return fetch(f"{sql} LIMIT %s", [*params, limit])


def frames_like(
    dataset_pk: int,
    column: Literal["frame_id", "context_id"],
    pattern: Pattern,
    after: tuple[str, int] | None,
    *,
    limit: int,
) -> list[tuple[str, int]]:
    """Return (text, id) of the next revisions whose id, or context, a pattern matches."""
    like, params = _like(column, pattern)
    behind = ""
    if after is not None:
        behind = f" AND ({column}, id) > (%s, %s)"
        params += after
    return fetch(
        f"SELECT {column}, id FROM {_FRAME} WHERE dataset_id = %s AND {like}{behind} "
        f"ORDER BY {column}, id LIMIT %s",
        [dataset_pk, *params, limit],
    )


class SourceCondition(NamedTuple):
    """What a source's columns must be: SQL that is never NULL, and its values."""

    sql: str
    params: tuple[Any, ...] = ()

    def negated(self) -> SourceCondition:
        """Return the condition of all other sources."""
        return SourceCondition(f"NOT ({self.sql})", self.params)


NO_SOURCE: Final = SourceCondition("1 = 0")
EVERY_SOURCE: Final = SourceCondition("1 = 1")


def joined(conditions: Sequence[SourceCondition], word: Literal["AND", "OR"]) -> SourceCondition:
    """Return the condition that all, or any, of several are."""
    sql = f" {word} ".join(f"({condition.sql})" for condition in conditions)
    return SourceCondition(sql, tuple(value for each in conditions for value in each.params))


def source_has(column: SourceColumn) -> SourceCondition:
    """Return the condition that a column is given; texts are empty where they are not."""
    is_number = column in ("width", "height")
    return SourceCondition(f"{column} IS NOT NULL" if is_number else f"{column} <> ''")


def source_equals(column: SourceColumn, value: str | float) -> SourceCondition:
    """Return the condition that a column has a value."""
    return joined([source_has(column), SourceCondition(f"{column} = %s", (value,))], "AND")


def source_like(column: SourceColumn, pattern: Pattern) -> SourceCondition:
    """Return the condition that a pattern matches a column's text."""
    sql, params = _like(column, pattern)
    return joined([source_has(column), SourceCondition(sql, tuple(params))], "AND")


def source_between(column: SourceColumn, low: float, high: float) -> SourceCondition:
    """Return the condition that a column's number lies in [low, high]."""
    inside = SourceCondition(f"{column} >= %s AND {column} <= %s", (low, high))
    return joined([source_has(column), inside], "AND")


def frames_with_source(first_pk: int, end_pk: int, condition: SourceCondition) -> list[int]:
    """Return the frames in [first, end) with a source of a condition, once for each of them."""
    rows = fetch(
        f"SELECT frame_id FROM {_SOURCE} "
        f"WHERE frame_id >= %s AND frame_id < %s AND ({condition.sql})",
        [first_pk, end_pk, *condition.params],
    )
    return [pk for (pk,) in rows]


def saved_at_or_after(dataset_pk: int, ordinals: Sequence[int]) -> list[int | None]:
    """Return when the first revision at or behind each ordinal was written; None if none is."""
    end = frame_pk(dataset_pk + 1, 0)
    probe = (
        f"SELECT %s, (SELECT saved_ms FROM {_FRAME} WHERE id >= %s AND id < %s ORDER BY id LIMIT 1)"
    )
    params = [
        value
        for place, ordinal in enumerate(ordinals)
        for value in (place, frame_pk(dataset_pk, ordinal), end)
    ]
    return [at for _, at in sorted(fetch(" UNION ALL ".join([probe] * len(ordinals)), params))]


def _like(column: str, pattern: Pattern) -> tuple[str, list[Any]]:
    """Return a condition, exact and by bytes, and its values.

    Both databases give up on a text where a later piece is missing, so none goes back and forth.
    """
    special, operator = ("*?[", "GLOB") if connection.vendor == "sqlite" else ("%_\\", "LIKE")
    wild = {Wild.ANY: special[0], Wild.ONE: special[1]}
    quote = "[{}]".format if operator == "GLOB" else "\\{}".format
    text = "".join(
        wild[part] if isinstance(part, Wild) else quote(part) if part in special else part
        for part in pattern.parts
    )
    condition, params = f"{column} {operator} %s", [text]
    if pattern.prefix:
        # Said apart, so that the index is sought and not read through.
        condition, params = f"{column} >= %s AND {condition}", [pattern.prefix, *params]
        end = after_prefix(pattern.prefix)
        if end is not None:
            condition, params = f"{column} < %s AND {condition}", [end, *params]
    return condition, params


def postings_of(
    term_pks: Sequence[int], *, numbers: bool = False
) -> Iterator[tuple[int, int, bytes, bytes | None]]:
    """Yield (term, segment, bitmap, numbers) of all segments of the given terms, in any order."""
    column = "p.numbers" if numbers else "NULL"
    for part in chunks(sorted(term_pks)):
        for pk, bitmap, values in stream(
            f"SELECT p.id, p.bitmap, {column} FROM {_TERM} t JOIN {_JOIN} "
            f"WHERE t.id IN ({placeholders(len(part))})",
            list(part),
        ):
            yield pk >> SEGMENT_BITS, pk & SEGMENT_MASK, bitmap, values


def bucket_postings(term_pks: Sequence[int]) -> Iterator[tuple[int, int, bytes, bool]]:
    """Yield (term, segment, bitmap, whether all numbers are the bucket's own), in any order."""
    for part in chunks(sorted(term_pks)):
        for pk, bitmap, is_exact in stream(
            f"SELECT p.id, p.bitmap, p.numbers IS NULL FROM {_TERM} t JOIN {_JOIN} "
            f"WHERE t.id IN ({placeholders(len(part))})",
            list(part),
        ):
            yield pk >> SEGMENT_BITS, pk & SEGMENT_MASK, bitmap, bool(is_exact)


def bucket_postings_in(
    segment: int, term_pks: Sequence[int]
) -> Iterator[tuple[int, int, bytes, bool]]:
    """Yield the same of one segment of the given terms."""
    ids = [row_id(pk, segment) for pk in term_pks]
    for pk, bitmap, is_exact in rows_by_id(Posting, ids, "bitmap", "numbers IS NULL"):
        yield pk >> SEGMENT_BITS, pk & SEGMENT_MASK, bitmap, bool(is_exact)


def cardinalities_of(term_pks: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Yield (term, members in all segments) of those of the given terms that anything has."""
    for part in chunks(term_pks):
        for pk, members in fetch(
            f"SELECT t.id, SUM(p.cardinality) FROM {_TERM} t JOIN {_JOIN} "
            f"WHERE t.id IN ({placeholders(len(part))}) GROUP BY t.id",
            list(part),
        ):
            yield pk, int(members)


def most_frequent_terms(key_pk: int, kind: int, limit: int) -> list[tuple[int, str]]:
    """Return (id, value) of the terms of a key that most revisions, or regions, have."""
    return [
        (pk, value)
        for pk, value, _ in fetch(
            f"SELECT t.id, t.value, SUM(p.cardinality) AS members FROM {_TERM} t JOIN {_JOIN} "
            "WHERE t.key_id = %s AND t.kind = %s GROUP BY t.id, t.value "
            "ORDER BY members DESC, t.value LIMIT %s",
            [key_pk, kind, limit],
        )
    ]


def terms_without_posting(term_pks: Sequence[int]) -> list[tuple[int, int]]:
    """Return (id, kind) of those of the given terms that nothing has."""
    found: list[tuple[int, int]] = []
    for part in chunks(term_pks):
        found += fetch(
            f"SELECT t.id, t.kind FROM {_TERM} t WHERE t.id IN ({placeholders(len(part))}) "
            f"AND NOT EXISTS (SELECT 1 FROM {_POSTING} p WHERE {_OF_TERM})",
            list(part),
        )
    return found


def walk(
    key_pk: int, *, after: str | None, descending: bool, limit: int
) -> list[tuple[str, bytes]]:
    """Return (value, bitmap) of all segments of the next `limit` texts of a key, in byte order."""
    order, compare = ("DESC", "<") if descending else ("ASC", ">")
    params: list[Any] = [key_pk, Term.Kind.TEXT.value]
    behind = ""
    if after is not None:
        behind = f" AND value {compare} %s"
        params.append(after)
    return fetch(
        f"SELECT t.value, p.bitmap FROM ("
        f"SELECT id, value FROM {_TERM} WHERE key_id = %s AND kind = %s{behind} "
        f"ORDER BY value {order} LIMIT %s) t JOIN {_JOIN} ORDER BY t.value {order}, p.id",
        [*params, limit],
    )


def terms_in_order(
    key_pk: int,
    kind: int,
    place: str | float | None,
    *,
    inclusive: bool,
    descending: bool,
    limit: int,
) -> list[tuple[int, Any]]:
    """Return (id, value) of the next terms of one kind: numbers by size, others in byte order."""
    column = "number" if kind == Term.Kind.NUMBER else "value"
    order, compare = ("DESC", "<") if descending else ("ASC", ">")
    params: list[Any] = [key_pk, kind]
    behind = ""
    if place is not None:
        behind = f" AND {column} {compare}{'=' if inclusive else ''} %s"
        params.append(place)
    return fetch(
        f"SELECT id, {column} FROM {_TERM} WHERE key_id = %s AND kind = %s{behind} "
        f"ORDER BY {column} {order} LIMIT %s",
        [*params, limit],
    )


def shared_texts(key_pk: int, after: str | None, *, limit: int) -> list[tuple[int, str]]:
    """Return (id, value) of the next texts of a key that several revisions have, in byte order."""
    params: list[Any] = [key_pk, Term.Kind.TEXT.value]
    behind = ""
    if after is not None:
        behind = " AND t.value > %s"
        params.append(after)
    return fetch(
        f"SELECT t.id, t.value FROM {_TERM} t WHERE t.key_id = %s AND t.kind = %s{behind} "
        f"AND (SELECT SUM(p.cardinality) FROM {_POSTING} p WHERE {_OF_TERM}) > 1 "
        "ORDER BY t.value LIMIT %s",
        [*params, limit],
    )


def texts_in_order(key_pk: int) -> list[tuple[int]]:
    """Return the id of each text of a key, in byte order of the texts."""
    return fetch(
        f"SELECT id FROM {_TERM} WHERE key_id = %s AND kind = %s ORDER BY value",
        [key_pk, Term.Kind.TEXT.value],
    )


def cardinality_of_key(key_pk: int, kinds: Sequence[int]) -> int:
    """Return the sum of the cardinalities of a key's postings of some kinds."""
    ((total,),) = fetch(
        f"SELECT COALESCE(SUM(p.cardinality), 0) FROM {_TERM} t JOIN {_JOIN} "
        f"WHERE t.key_id = %s AND t.kind IN ({placeholders(len(kinds))})",
        [key_pk, *kinds],
    )
    return int(total)


def rows_by_id(
    model: type[models.Model], ids: Sequence[int], *columns: str
) -> Iterator[tuple[Any, ...]]:
    """Yield (id, *columns) of those of the given rows that exist. Queries: 1 for each 500."""
    for part in chunks(ids):
        yield from stream(
            f"SELECT {', '.join(['id', *columns])} FROM {model._meta.db_table} "
            f"WHERE id IN ({placeholders(len(part))})",
            list(part),
        )


def frames_behind(
    dataset_pk: int,
    columns: Sequence[str],
    place: Sequence[Any] | None,
    *,
    descending: bool,
    limit: int,
) -> list[tuple[Any, ...]]:
    """Return (*columns, id) of the next frame revisions of a dataset in the columns' order.

    `place` holds values of the first of `columns` and `id`, and is passed over.
    """
    direction, compare = ("DESC", "<") if descending else ("ASC", ">")
    ordered = [*columns, "id"]
    params: list[Any] = [dataset_pk]
    behind = ""
    if place is not None:
        # A comparison of rows: one seek in the index, however many frames share a timestamp.
        names = ", ".join(ordered[: len(place)])
        behind = f" AND ({names}) {compare} ({placeholders(len(place))})"
        params += place
    order_by = ", ".join(f"{column} {direction}" for column in ordered)
    return fetch(
        f"SELECT {', '.join(ordered)} FROM {_FRAME} WHERE dataset_id = %s{behind} "
        f"ORDER BY {order_by} LIMIT %s",
        [*params, limit],
    )


def moments_of_contexts(
    dataset_pk: int, context_ids: Sequence[str]
) -> Iterator[tuple[str, float, int]]:
    """Yield (context, timestamp, id) of every revision of some contexts, each in order."""
    for part in chunks(context_ids):
        yield from fetch(
            f"SELECT context_id, timestamp, id FROM {_FRAME} WHERE dataset_id = %s "
            f"AND context_id IN ({placeholders(len(part))}) "
            "ORDER BY context_id, timestamp, frame_id, id",
            [dataset_pk, *part],
        )


def context_edges(
    dataset_pk: int, context_ids: Sequence[str], *, last: bool, probes: int
) -> list[tuple[str, int, float]]:
    """Return (context, id, timestamp) of the first, or last, revisions of each context."""
    direction = "DESC" if last else "ASC"
    probe = (
        f"SELECT * FROM (SELECT context_id, id, timestamp FROM {_FRAME} "
        f"WHERE dataset_id = %s AND context_id = %s "
        f"ORDER BY timestamp {direction}, frame_id {direction} LIMIT {probes}) probe"
    )
    params = [value for context_id in context_ids for value in (dataset_pk, context_id)]
    return fetch(" UNION ALL ".join([probe] * len(context_ids)), params)


def segments_of(
    model: type[models.Model], owner_pk: int, column: str
) -> Iterator[tuple[int, bytes]]:
    """Yield (segment, bytes of a column) of all of an owner's rows, in order."""
    for row, data in stream(
        f"SELECT id, {column} FROM {model._meta.db_table} WHERE id >= %s AND id < %s ORDER BY id",
        [row_id(owner_pk, 0), row_id(owner_pk + 1, 0)],
    ):
        yield row & SEGMENT_MASK, data


def bitmaps_of_versions(version_pks: Sequence[int]) -> list[bytes]:
    """Return the bitmaps of all segments of some versions."""
    rows = fetch(
        f"SELECT m.bitmap FROM {_VERSION} v JOIN {_MEMBERSHIP} m "
        f"ON m.id >= v.id * {_SEGMENTS} AND m.id < (v.id + 1) * {_SEGMENTS} "
        f"WHERE v.id IN ({placeholders(len(version_pks))})",
        list(version_pks),
    )
    return [bitmap for (bitmap,) in rows]


def copy_membership(parent_pk: int, child_pk: int) -> None:
    """Give a version the membership rows of another."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {_MEMBERSHIP} (id, cardinality, bitmap) "
            f"SELECT id + %s, cardinality, bitmap FROM {_MEMBERSHIP} WHERE id >= %s AND id < %s",
            [row_id(child_pk - parent_pk, 0), row_id(parent_pk, 0), row_id(parent_pk + 1, 0)],
        )


def delete_range(model: type[models.Model], first_pk: int, end_pk: int) -> None:
    """Delete the rows whose id lies in [first, end)."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"DELETE FROM {model._meta.db_table} WHERE id >= %s AND id < %s", [first_pk, end_pk]
        )


def delete_postings(term_pks: Sequence[int]) -> None:
    """Delete all postings of the given terms."""
    for part in chunks(term_pks):
        with connection.cursor() as cursor:
            cursor.execute(
                f"DELETE FROM {_POSTING} WHERE id IN (SELECT p.id FROM {_TERM} t JOIN {_JOIN} "
                f"WHERE t.id IN ({placeholders(len(part))}))",
                list(part),
            )


def delete_ids(model: type[models.Model], ids: Iterable[int], *, column: str = "id") -> int:
    """Delete rows by id, or by another column of numbers; return how many there were."""
    count = 0
    for part in chunks(list(ids)):
        with connection.cursor() as cursor:
            cursor.execute(
                f"DELETE FROM {model._meta.db_table} WHERE {column} IN ({placeholders(len(part))})",
                list(part),
            )
            count += cursor.rowcount
    return count
