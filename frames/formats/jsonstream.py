"""JSON read value by value from a file of any size, in memory that does not grow with it.

Strict JSON takes the fast path. A value that is none gets a second chance as what people write
by hand or copy from documents: with comments, with a comma before a closing bracket, with `...`
for "and so on". A value that has no second chance costs only itself: its end is found by its
brackets, and the reading goes on behind it.
"""

from __future__ import annotations

import codecs
import json
import re
from typing import IO, Any, Final

import orjson

from frames.formats.base import FormatError

MAX_VALUE_CHARACTERS: Final = 16 * 1024 * 1024
# No input nests so deep; brackets without end are given up here.
MAX_BRACKETS: Final = 1_000

_WITHOUT_MARK: Final = {
    "utf-8": "utf-8",
    "utf-8-sig": "utf-8",
    "utf-16": "utf-16-le",
    "utf-16-le": "utf-16-le",
    "utf-16-be": "utf-16-be",
    "utf-32": "utf-32-le",
    "utf-32-le": "utf-32-le",
    "utf-32-be": "utf-32-be",
}
# So many beginnings of objects inside of the last one are tried as the beginning of the last.
_SEAMS_TRIED: Final = 64
_CHUNK_BYTES = 256 * 1024
# An error this near to the end of what is read so far may only mean that more must be read.
_LONGEST_TOKEN = 16

_COMMENT = r"//[^\n]*+|/\*[^*]*+\*++(?:[^/*][^*]*+\*++)*+/"
_STRING = r'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
_UNFINISHED = ('"', "/*")
_SPACE = re.compile(rf"(?:[ \t\r\n]++|{_COMMENT}|\.\.\.)*+")
_TOKEN = re.compile(rf'{_STRING}|{_COMMENT}|[\[\]{{}},]|"|/\*', re.DOTALL)
_LOOSE = re.compile(rf"({_STRING})|{_COMMENT}|\.\.\.", re.DOTALL)
_LAST_COMMA = re.compile(rf"({_STRING})|,(?=\s*+[\]}}])", re.DOTALL)


class ValueProblem(ValueError):
    """One value cannot be read; the message says why. What comes after it can."""


class _DuplicateKey(ValueError):
    pass


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        seen = set()
        for key, _ in pairs:
            if key in seen:
                raise _DuplicateKey(f"has the key {ascii(key)[:60]} twice")
            seen.add(key)
    return value


_DECODER: Final = json.JSONDecoder(object_pairs_hook=_object)
_DIGITS_AS_ZERO: Final = str.maketrans("123456789", "0" * 9)
_LONG_NUMBER: Final = "0" * 19


def _quickly_read(text: str) -> Any:
    """Return the value of a JSON text in a third of the time that the decoder takes.

    Raises ValueError for what must be looked at slowly: no JSON, nesting past orjson's bounds,
    an integer that might have more than 64 bits (orjson would round it), and a key that stands
    twice, which leaves a colon less in the value than in the text.
    """
    value = orjson.loads(text)
    if _LONG_NUMBER in text.translate(_DIGITS_AS_ZERO):
        raise ValueError("a long number")
    try:
        colons = orjson.dumps(value).count(b":")
    except orjson.JSONEncodeError as error:
        raise ValueError("nested deeply") from error
    if colons != text.count(":"):
        raise ValueError("keys are missing")
    return value


class JsonStream:
    """Takes values and punctuation off the front of a JSON text.

    The encoding is UTF-8, UTF-16 or UTF-32, with or without byte order mark. Bytes that are not
    of it become lone surrogates: their string is refused where it is checked, not the file.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        head = file.read(_CHUNK_BYTES)
        self.encoding = json.detect_encoding(head)
        self._errors = "surrogateescape" if self.encoding.startswith("utf-8") else "replace"
        self._decoder = codecs.getincrementaldecoder(self.encoding)(self._errors)
        self._read_bytes = len(head)
        self._text = self._decoder.decode(head)
        self._at = 0
        self._lines = 0
        self._ended = not head
        # Whether what is read might yet be taken many objects at a time.
        self._is_plain = True
        self.ends_with_newline = True

    @property
    def position(self) -> int:
        """How many bytes are read; a little less than exact where characters take several."""
        return max(0, self._read_bytes - (len(self._text) - self._at))

    def where(self) -> str:
        """Say where the next character stands, for an error message."""
        line = self._lines + self._text.count("\n", 0, self._at) + 1
        rest = self._text[self._at :].encode(_WITHOUT_MARK[self.encoding], self._errors)
        return f"line {line}, byte {max(0, self._read_bytes - len(rest))}"

    def head(self, characters: int) -> str:
        """Return the next characters without taking them."""
        return self._text[self._at : self._at + characters]

    def rest(self) -> str:
        """Take all that is left; raise FormatError where that is more than one value may be."""
        while self._more():
            if len(self._text) - self._at > MAX_VALUE_CHARACTERS:
                raise FormatError(f"The file {_TOO_LONG}, and is no JSON.")
        text, self._at = self._text[self._at :], len(self._text)
        return text

    def peek(self) -> str:
        """Skip white space and comments; return the next character, "" at the end."""
        if self._at < len(self._text):
            character = self._text[self._at]
            if character > " " and character not in "/.":
                return character
        while True:
            match = _SPACE.match(self._text, self._at)
            self._at = match.end() if match else self._at
            left = len(self._text) - self._at
            # What begins like a comment may be one whose end is not read yet.
            if left and (self._text[self._at] not in "/." or left > MAX_VALUE_CHARACTERS):
                return self._text[self._at]
            if not self._more():
                return self._text[self._at : self._at + 1]

    def take(self, character: str) -> bool:
        """Take the next character if it is this one."""
        if self.peek() != character:
            return False
        self._at += 1
        return True

    def value(self) -> Any:
        """Take the next value.

        Raises:
            ValueProblem: this value cannot be read; it is taken all the same.
            FormatError: the text ends inside the value, or its brackets have no end.
        """
        if not self.peek():
            raise FormatError(f"The file ends where a value should stand, {self.where()}.")
        while True:
            text = self._text
            try:
                value, end = _DECODER.raw_decode(text, self._at)
            except json.JSONDecodeError as error:
                if (
                    error.pos < len(self._text) - _LONGEST_TOKEN
                    and not error.msg.startswith("Unterminated string")
                ) or len(self._text) - self._at > MAX_VALUE_CHARACTERS:
                    return self._second_chance()
                if not self._more():
                    return self._second_chance()
            except (_DuplicateKey, RecursionError, ValueError) as error:
                return self._second_chance(error)
            else:
                # A number at the very end may have more digits.
                length = end - self._at
                if end < len(text) or not self._more():
                    self._at += length
                    if length > MAX_VALUE_CHARACTERS:
                        raise ValueProblem(_TOO_LONG)
                    return value

    def objects(self) -> list[Any]:
        """Take the objects of a list that stand whole in what is read already, all at once.

        Returns none where there is just one, or where they must be looked at one by one. What
        parses as a list of values between two of its commas has its ends at the list's own
        level: brackets that are open in between would be missing.
        """
        text, start = self._text, self._at
        beginning = text[start : text.find(":", start, start + 256) + 1]
        seam = len(text)
        tries = _SEAMS_TRIED if self._is_plain and beginning else 0
        # Not to be tried again for each of the values that are read one by one instead.
        self._is_plain = False
        for _ in range(tries):
            seam = text.rfind(beginning, start + 1, seam)
            end = text.rfind("}", start, seam) + 1 if seam > start else 0
            if end <= start:
                break
            part = text[start:end]
            # So that a seam inside of the last object costs a count, not a reading.
            if part.count("{") != part.count("}") or part.count("[") != part.count("]"):
                continue
            try:
                values: list[Any] = _quickly_read(f"[{part}]")
            except ValueError:
                break
            self._at = end
            self._is_plain = True
            return values
        return []

    def is_lines(self) -> bool:
        """Whether the first line is a whole object and more lines follow, as in JSON lines."""
        line, newline, rest = self._text[self._at :].partition("\n")
        if not newline or not rest.strip():
            return False
        try:
            return isinstance(json.loads(line), dict)
        except (ValueError, RecursionError):
            return False

    def line(self) -> Any:
        """Take the next line, whole, and return its value.

        Raises:
            ValueProblem: the line is not one JSON value; it is taken all the same.
        """
        searched = 0
        too_long = False
        while (end := self._text.find("\n", self._at + searched)) < 0:
            searched = len(self._text) - self._at
            if searched > MAX_VALUE_CHARACTERS:
                too_long = True
                self._at, searched = len(self._text), 0
            if not self._more():
                end = len(self._text)
                self.ends_with_newline = False
                break
        text = self._text[self._at : end]
        self._at = end
        if too_long or len(text) > MAX_VALUE_CHARACTERS:
            raise ValueProblem(_TOO_LONG)
        try:
            return _quickly_read(text)
        except ValueError:
            pass
        try:
            return _DECODER.decode(text)
        except _DuplicateKey as error:
            raise ValueProblem(str(error)) from None
        except (ValueError, RecursionError):
            return _loosely_read(text)

    def _second_chance(self, error: Exception | None = None) -> Any:
        text = self._taken()
        if isinstance(error, _DuplicateKey):
            raise ValueProblem(str(error))
        return _loosely_read(text)

    def _taken(self) -> str:
        """Take the next value by its brackets and return its text."""
        start = self.where()
        depth = 0
        at = self._at
        too_long = False
        while True:
            for match in _TOKEN.finditer(self._text, at):
                mark = match[0]
                if mark in _UNFINISHED:
                    break
                at = match.end()
                if mark in "[{":
                    depth += 1
                    if depth > MAX_BRACKETS:
                        raise FormatError(
                            f"Brackets are nested deeper than {MAX_BRACKETS} levels"
                            f" in the value that begins at {start}."
                        )
                elif mark in "]}":
                    depth -= 1
                    if depth <= 0:
                        return self._cut(at if depth == 0 else match.start(), too_long=too_long)
                elif mark == "," and depth == 0:
                    return self._cut(match.start(), too_long=too_long)
            if len(self._text) - at > MAX_VALUE_CHARACTERS:
                raise FormatError(f"The value that begins at {start} has no end in sight.")
            if at - self._at > MAX_VALUE_CHARACTERS:
                too_long = True
                self._at = at
            behind = at - self._at
            if not self._more():
                if depth == 0:
                    return self._cut(len(self._text), too_long=too_long)
                raise FormatError(f"The file ends inside the value that begins at {start}.")
            at = self._at + behind

    def _cut(self, end: int, *, too_long: bool) -> str:
        text = self._text[self._at : end]
        self._at = end
        if too_long or len(text) > MAX_VALUE_CHARACTERS:
            raise ValueProblem(_TOO_LONG)
        return text

    def _more(self) -> bool:
        """Read on, forgetting what is taken; return whether there was more."""
        if self._ended:
            return False
        kept = self._text[self._at :]
        # As much again as is kept, so that a long value is not gone over too often.
        chunk = self._file.read(max(_CHUNK_BYTES, len(kept)))
        self._ended = not chunk
        self._lines += self._text.count("\n", 0, self._at)
        self._read_bytes += len(chunk)
        self._text = kept + self._decoder.decode(chunk, final=self._ended)
        self._at = 0
        self._is_plain = True
        return not self._ended or len(self._text) > len(kept)


_TOO_LONG = f"is longer than {MAX_VALUE_CHARACTERS // 2**20} million characters"


def _loosely_read(text: str) -> Any:
    """Return the value of a text that is not strict JSON.

    Raises:
        ValueProblem: it is not even JSON with comments and last commas.
    """
    loose = _LAST_COMMA.sub(_kept_string, _LOOSE.sub(_kept_string, text))
    try:
        return _DECODER.decode(loose)
    except json.JSONDecodeError as error:
        raise ValueProblem(f"is not JSON: {_strict_error(text) or error}") from None
    except _DuplicateKey as error:
        raise ValueProblem(str(error)) from None
    except RecursionError:
        raise ValueProblem("is nested too deep") from None
    except ValueError:
        raise ValueProblem("holds a number of thousands of digits") from None


def _kept_string(match: re.Match[str]) -> str:
    return match[1] or " "


def _strict_error(text: str) -> str:
    """Return what strict reading says, whose place is one of the text as it stands."""
    try:
        _DECODER.decode(text)
    except json.JSONDecodeError as error:
        return str(error)
    except (RecursionError, ValueError):
        pass
    return ""
