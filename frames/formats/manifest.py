"""Manifests: frames as JSON, in one object, in a list, or one to a line."""

from __future__ import annotations

from typing import IO, TYPE_CHECKING, Any, Final

from frames.formats import segments
from frames.formats.base import FormatError, FrameError, Header, Item, Problem
from frames.formats.jsonstream import JsonStream, ValueProblem
from frames.formats.listing import is_listing, read_listing
from frames.formats.plain import are_plain
from frames.formats.singleframe import check_json, parse_frame, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from contextlib import AbstractContextManager

LINES_SUFFIXES: Final = (".jsonl", ".ndjson")
# What may stand beside `frames`; it is kept until the object ends.
MAX_MEMBERS_BYTES: Final = 64 * 1024 * 1024


class ManifestReader:
    """Reads SingleFrame JSON and Segments.ai samples, in memory that does not grow with them.

    The input is an object with `frames` (and `dataset` and `version`, before or after them), a
    list of frames, one frame, or one of these after the other, such as JSON lines; or one frame
    as a viewer lists it. `position` and `total` are bytes.
    """

    def __init__(self, opened: Callable[[], AbstractContextManager[IO[bytes]]], uri: str) -> None:
        """Read what `opened()` gives; relative URIs resolve against `uri`."""
        self.header = Header()
        self.total: int | None = None
        self._opened = opened
        self._uri = uri
        self._stream: JsonStream | None = None
        self._index = 0

    @property
    def position(self) -> int:
        """How many bytes are read."""
        return self._stream.position if self._stream else 0

    def __iter__(self) -> Iterator[Item]:
        """Yield the frames in input order.

        Raises:
            FormatError: the input is no JSON, or ends too early; it says where.
        """
        with self._opened() as file:
            self.total = getattr(file, "size", None)
            self._stream = stream = JsonStream(file)
            self._index = 0
            if not stream.peek():
                raise FormatError("The file is empty.")
            if self._uri.lower().endswith(LINES_SUFFIXES) or stream.is_lines():
                yield from self._lines(stream)
            else:
                yield from self._values(stream)

    def _lines(self, stream: JsonStream) -> Iterator[Item]:
        """Yield a frame a line; a line that is none costs only itself."""
        while stream.peek():
            try:
                value = stream.line()
            except ValueProblem as problem:
                if not stream.peek() and not stream.ends_with_newline:
                    raise FormatError(f"The last line is cut off: it {problem}.") from None
                yield self._problem("", str(problem))
            else:
                yield from self._items(value)

    def _values(self, stream: JsonStream) -> Iterator[Item]:
        """Yield what lists and objects, one after the other, hold."""
        while first := stream.peek():
            if first == "[":
                yield from self._list(stream, sequence="")
            elif first in '{"':
                yield from self._object(stream)
            elif self._index == 0 and is_listing(stream.head(80)):
                yield from self._listing(stream)
            else:
                raise FormatError(f"The file is not JSON: {stream.head(20)!a}, {stream.where()}.")

    def _listing(self, stream: JsonStream) -> Iterator[Item]:
        """Yield the one frame that a viewer's listing is."""
        try:
            value = read_listing(stream.rest())
        except ValueProblem as problem:
            yield self._problem("", str(problem))
        else:
            yield from self._items(value)

    def _list(self, stream: JsonStream, sequence: str) -> Iterator[Item]:
        """Yield the items of a list; `sequence` is their context where they are one sample's."""
        begun = stream.where()
        stream.take("[")
        while (first := stream.peek()) != "]":
            if not first:
                raise FormatError(
                    f"The file ends inside the list that begins at {begun},"
                    f" behind item {self._index}."
                )
            if objects := stream.objects():
                if are_plain(objects):
                    for value in objects:
                        yield self._item(value, is_plain=True)
                else:
                    for value in objects:
                        yield from self._items(value, sequence)
                self._separated(stream, "]")
                continue
            try:
                value = stream.value()
            except ValueProblem as problem:
                yield self._problem("", str(problem))
            else:
                yield from self._items(value, sequence)
            self._separated(stream, "]")
        stream.take("]")

    def _object(self, stream: JsonStream) -> Iterator[Item]:
        """Yield the frames of an object that is a manifest, or the frame that it is.

        Its braces may be missing, as in a fragment of a document.
        """
        begun = stream.where()
        braced = stream.take("{")
        members: dict[str, Any] = {}
        members_bytes = 0
        frames_seen = False
        while not (braced and stream.take("}")):
            if not stream.peek():
                if braced:
                    raise FormatError(f"The file ends inside the object that begins at {begun}.")
                break
            place = stream.where()
            key = self._key(stream)
            if key in members or (key == "frames" and frames_seen):
                raise FormatError(f"The key {shown(key)} stands twice, the second at {place}.")
            if key == "frames" and stream.peek() == "[":
                frames_seen = True
                yield from self._list(stream, sequence=self._uri)
            else:
                before = stream.position
                try:
                    members[key] = stream.value()
                except ValueProblem as problem:
                    raise FormatError(f"{shown(key)} {problem}, {place}.") from None
                members_bytes += stream.position - before
                if members_bytes > MAX_MEMBERS_BYTES:
                    raise FormatError(f"The object that begins at {begun} is too large.")
            self._separated(stream, "}")
        if frames_seen:
            self.header.dataset = self._described(members, "dataset")
            self.header.version = self._described(members, "version")
        elif "frames" in members:
            raise FormatError('"frames" must be a list.')
        elif "sources" in members or segments.is_sample(members):
            yield from self._items(members)
        else:
            keys = ", ".join(shown(key) for key in list(members)[:8])
            raise FormatError(
                f'The object at {begun} has neither a list "frames" nor "sources", but'
                f" {keys or 'nothing'}."
            )

    @staticmethod
    def _key(stream: JsonStream) -> str:
        place = stream.where()
        try:
            key = stream.value() if stream.peek() == '"' else None
        except ValueProblem:
            key = None
        if not isinstance(key, str) or not stream.take(":"):
            raise FormatError(f'A "key": should stand at {place}.')
        return key

    @staticmethod
    def _separated(stream: JsonStream, closing: str) -> None:
        if not stream.take(",") and stream.peek() not in (closing, ""):
            raise FormatError(
                f"A comma or {closing} should stand before {stream.head(20)!a}, {stream.where()}."
            )

    @staticmethod
    def _described(members: dict[str, Any], key: str) -> dict[str, Any]:
        """Return what a manifest says of its dataset or version; a name alone is enough."""
        value = members.get(key)
        if isinstance(value, str):
            value = {"name": value}
        try:
            check_json(value)
        except FrameError as error:
            raise FormatError(f"{key}: {error}") from None
        if value is not None and not isinstance(value, dict):
            raise FormatError(f"{key}: must be an object.")
        return value or {}

    def _items(self, value: Any, sequence: str = "") -> Iterable[Item]:
        if type(value) is dict and "sources" not in value and segments.is_sample(value):
            return self._instants(value, sequence)
        return (self._item(value),)

    def _item(self, value: Any, *, is_plain: bool = False) -> Item:
        try:
            frame = parse_frame(value, self._uri, is_plain=is_plain)
        except FrameError as error:
            return self._problem(error.problem.path, error.problem.reason)
        return Item(self._next(), frame)

    def _instants(self, sample: dict[str, Any], sequence: str) -> Iterator[Item]:
        for result in segments.parse_sample(sample, self._uri, sequence, self._index):
            if isinstance(result, Problem):
                yield self._problem(result.path, result.reason)
            else:
                yield Item(self._next(), result)

    def _problem(self, path: str, reason: str) -> Item:
        return Item(self._next(), problem=Problem(path, reason))

    def _next(self) -> int:
        self._index += 1
        return self._index - 1
