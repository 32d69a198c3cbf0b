"""What is wrong with a query, said so that its writer can mend it."""

from __future__ import annotations


class QueryError(Exception):
    """A query that cannot be answered.

    `field` is the parameter it stands in and `position` the offset in characters inside it,
    None where no one place is to blame.
    """

    def __init__(self, message: str, *, field: str = "q", position: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.field = field
        self.position = position
