"""The index's rows as bytes: the SQL that the index writes by hand, the same on every database.

The ORM would make an object of every row: 20 us each, where importing 10,000 frames/s leaves
100 us a frame for everything.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from django.db import connection

from frames.index.bitmaps import SEGMENT_BITS
from frames.models import Frame, Membership, Posting, Term

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from django.db import models

CHUNK: Final = 500
SEGMENT_MASK: Final = (1 << SEGMENT_BITS) - 1

_POSTING = Posting._meta.db_table
_TERM = Term._meta.db_table
_FRAME = Frame._meta.db_table
_MEMBERSHIP = Membership._meta.db_table
_SEGMENTS = 1 << SEGMENT_BITS
_JOIN = f"{_POSTING} p ON p.id >= t.id * {_SEGMENTS} AND p.id < (t.id + 1) * {_SEGMENTS}"


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


def postings_of(
    term_pks: Sequence[int], *, numbers: bool = False
) -> Iterator[tuple[int, int, bytes, bytes | None]]:
    """Yield (term, segment, bitmap, numbers) of all segments of the given terms, in order."""
    column = "p.numbers" if numbers else "NULL"
    for part in chunks(sorted(term_pks)):
        for pk, bitmap, values in fetch(
            f"SELECT p.id, p.bitmap, {column} FROM {_TERM} t JOIN {_JOIN} "
            f"WHERE t.id IN ({placeholders(len(part))}) ORDER BY p.id",
            list(part),
        ):
            yield pk >> SEGMENT_BITS, pk & SEGMENT_MASK, bitmap, values


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


def rows_by_id(
    model: type[models.Model], ids: Sequence[int], *columns: str
) -> Iterator[tuple[Any, ...]]:
    """Yield (id, *columns) of those of the given rows that exist. Queries: 1 for each 500."""
    for part in chunks(ids):
        yield from fetch(
            f"SELECT {', '.join(['id', *columns])} FROM {model._meta.db_table} "
            f"WHERE id IN ({placeholders(len(part))})",
            list(part),
        )


def frames_behind(
    dataset_pk: int,
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


def cardinality_of_key(key_pk: int, kinds: Sequence[int]) -> int:
    """Return the sum of the cardinalities of a key's postings of some kinds."""
    ((total,),) = fetch(
        f"SELECT COALESCE(SUM(p.cardinality), 0) FROM {_TERM} t JOIN {_JOIN} "
        f"WHERE t.key_id = %s AND t.kind IN ({placeholders(len(kinds))})",
        [key_pk, *kinds],
    )
    return int(total)


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


def segments_of(model: type[models.Model], owner_pk: int, column: str) -> list[tuple[int, bytes]]:
    """Return (segment, bytes of a column) of all of an owner's rows, in order."""
    return [
        (row & SEGMENT_MASK, data)
        for row, data in fetch(
            f"SELECT id, {column} FROM {model._meta.db_table} "
            "WHERE id >= %s AND id < %s ORDER BY id",
            [row_id(owner_pk, 0), row_id(owner_pk + 1, 0)],
        )
    ]


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


def delete_ids(model: type[models.Model], ids: Iterable[int]) -> None:
    """Delete rows by id."""
    for part in chunks(list(ids)):
        with connection.cursor() as cursor:
            cursor.execute(
                f"DELETE FROM {model._meta.db_table} WHERE id IN ({placeholders(len(part))})",
                list(part),
            )
