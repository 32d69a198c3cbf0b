"""Texts with `*` and `?`, tested here and put to the database alike."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final, TypeAlias


class Wild(Enum):
    """What stands for other characters: any number of them, or one."""

    ANY = "*"
    ONE = "?"


Part: TypeAlias = str | Wild
_LAST: Final = "\U0010ffff"


@dataclass(frozen=True, slots=True)
class Pattern:
    """A text of literal characters and wild ones, in order."""

    parts: tuple[Part, ...]

    @property
    def prefix(self) -> str:
        """What every match begins with."""
        end = next((n for n, part in enumerate(self.parts) if isinstance(part, Wild)), None)
        return "".join(part for part in self.parts[:end] if isinstance(part, str))

    def matches(self, value: str) -> bool:
        """Whether a text is one of those meant.

        Each piece between two `*` is looked for once, from left to right: no pattern is slow,
        where a regular expression with ten `*` would go back and forth.
        """
        pieces: list[list[str | None]] = [[]]
        for part in self.parts:
            if part is Wild.ANY:
                pieces.append([])
            else:
                pieces[-1].append(part if isinstance(part, str) else None)
        first, last = pieces[0], pieces[-1]
        if len(pieces) == 1:
            return len(value) == len(first) and _is_at(value, first, 0)
        end = len(value) - len(last)
        place = len(first)
        if end < place or not _is_at(value, first, 0):
            return False
        for piece in pieces[1:-1]:
            while place + len(piece) <= end and not _is_at(value, piece, place):
                place += 1
            if place + len(piece) > end:
                return False
            place += len(piece)
        return _is_at(value, last, end)


def after_prefix(prefix: str) -> str | None:
    """Return the least text, by bytes, behind all that begin with a prefix; None if none is."""
    kept = prefix.rstrip(_LAST)
    if not kept:
        return None
    following = ord(kept[-1]) + 1
    # No text holds a surrogate.
    return kept[:-1] + chr(0xE000 if following == 0xD800 else following)


def _is_at(value: str, piece: list[str | None], start: int) -> bool:
    return all(
        wanted is None or value[start + offset] == wanted for offset, wanted in enumerate(piece)
    )
