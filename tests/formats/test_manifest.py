"""Reading manifests, whole and damaged."""

from __future__ import annotations

import contextlib
import io
import json
import math
import re
import time
import tracemalloc
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frames.formats.base import FormatError, Header, Item
from frames.formats.manifest import ManifestReader

if TYPE_CHECKING:
    from pathlib import Path

URI = "file:///data/drive/frames.json"


def frame(number: int, **changes: Any) -> dict[str, Any]:
    return {"id": f"f{number}", "sources": [{"uri": f"{number}.png"}], **changes}


def read(data: bytes | str, uri: str = URI) -> list[Item]:
    """Return all items of an input."""
    return read_with_header(data, uri)[0]


def read_with_header(data: bytes | str, uri: str = URI) -> tuple[list[Item], Header]:
    encoded = data.encode() if isinstance(data, str) else data
    reader = ManifestReader(lambda: contextlib.nullcontext(io.BytesIO(encoded)), uri)
    return list(reader), reader.header


def ids(items: list[Item]) -> list[str]:
    """Return the frames' ids, and for a problem its path and reason."""
    return [
        item.frame.frame_id
        if item.frame
        else f"{item.problem.path}: {item.problem.reason}"
        if item.problem
        else ""
        for item in items
    ]


def read_until_error(text: str) -> tuple[list[Item], str]:
    """Return the items before an error and what the error says."""
    items: list[Item] = []
    reader = ManifestReader(lambda: contextlib.nullcontext(io.BytesIO(text.encode())), URI)
    try:
        for item in reader:
            items.append(item)
    except FormatError as error:
        return items, str(error)
    return items, ""


MANIFEST = {
    "dataset": {"name": "Drive"},
    "version": {"name": "Current", "metadata": {"a": 1}},
    "frames": [frame(0), frame(1)],
}


@pytest.mark.parametrize(
    "keys", [("dataset", "version", "frames"), ("frames", "version", "dataset")]
)
def test_reads_an_object_with_its_keys_in_any_order(keys: tuple[str, ...]) -> None:
    items, header = read_with_header(json.dumps({key: MANIFEST[key] for key in keys}))
    assert ids(items) == ["f0", "f1"]
    assert [item.index for item in items] == [0, 1]
    assert header.dataset == MANIFEST["dataset"]
    assert header.version == MANIFEST["version"]


@pytest.mark.parametrize(
    "text",
    [
        json.dumps([frame(0), frame(1)]),
        json.dumps([frame(0), frame(1)], indent=2).replace("\n", "\r\n"),
        "\n".join(json.dumps(frame(number)) for number in range(2)),
        "\r\n\r\n".join(json.dumps(frame(number)) for number in range(2)) + "\r\n",
        "\n".join(json.dumps(frame(number), indent=1) for number in range(2)),
        json.dumps(frame(0)) + json.dumps(frame(1)),
    ],
    ids=["list", "crlf", "lines", "lines with crlf", "objects over many lines", "objects"],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be", "utf-32-le"])
def test_reads_every_shape_in_every_encoding(text: str, encoding: str) -> None:
    assert ids(read(text.encode(encoding))) == ["f0", "f1"]


def test_reads_a_single_frame() -> None:
    assert ids(read(json.dumps(frame(0)))) == ["f0"]


def test_a_name_alone_describes_a_dataset() -> None:
    _, header = read_with_header('{"dataset": "Drive", "frames": []}')
    assert header.dataset == {"name": "Drive"}


def test_relative_uris_resolve_against_the_manifest() -> None:
    item = read(json.dumps([frame(3)]))[0]
    assert item.frame is not None
    assert item.frame.sources[0].uri == "file:///data/drive/3.png"


BAD_ITEMS = [
    '{"id": "bad", "sources": [{"uri": "a.png"}], "timestamp": NaN}',
    '{"id": "bad", "sources": [{"uri": "a.png"}], "timestamp": 1e999}',
    '{"id": "bad", "id": "worse", "sources": [{"uri": "a.png"}]}',
    '{"id": "bad", "sources": [{"uri": "a.png"}], "meta": {"n": ' + "9" * 5000 + "}}",
    '{"id": "bad", "sources": [{"uri": "a.png"}] "meta": {}}',
    '{"id": "bad", "sources": [{"uri": }]}',
    '{"id": "bad\\ud800", "sources": [{"uri": "a.png"}]}',
    '{"id": "bad", "meta": {"text": "tab\there"}, "sources": [{"uri": "a.png"}]}',
    '{"id": "bad", "meta": {"a": ' + "[" * 500 + "]" * 500 + '}, "sources": [{"uri": "a.png"}]}',
    "null",
    "5",
    '"text"',
    "[1, [2]]",
    "nonsense",
    "{}",
]


@pytest.mark.parametrize("bad", BAD_ITEMS, ids=range(len(BAD_ITEMS)))
@pytest.mark.parametrize("shape", ["list", "object", "lines"])
def test_one_bad_item_costs_only_itself(bad: str, shape: str) -> None:
    good = [json.dumps(frame(number)) for number in range(3)]
    texts = [good[0], bad, *good[1:]]
    text = {
        "list": f"[{', '.join(texts)}]",
        "object": f'{{"frames": [{",".join(texts)}]}}',
        "lines": "\n".join(texts),
    }[shape]
    items = read(text)
    assert [item.index for item in items] == [0, 1, 2, 3]
    assert [item.frame.frame_id for item in items if item.frame] == ["f0", "f1", "f2"]
    assert items[1].problem is not None
    assert items[1].problem.reason


def test_tells_the_path_of_what_is_wrong() -> None:
    manifest = [frame(0), frame(1, rois=[{"label": ["x" * 100_000]}]), frame(2, timestamp=math.nan)]
    assert ids(read(json.dumps(manifest))) == [
        "f0",
        "rois[0].label[0]: has 100000 characters; 255 is the most",
        "timestamp: must be a finite number, not nan",
    ]


def test_bytes_that_are_not_utf8_cost_only_their_frame() -> None:
    data = json.dumps([frame(0), frame(1, context_id="?"), frame(2)]).encode()
    items = read(data.replace(b'"?"', b'"\xff"'))
    assert ids(items) == ["f0", "context_id: holds what is not Unicode text", "f2"]


def test_a_frame_over_the_limit_is_refused_and_skipped() -> None:
    huge = json.dumps(frame(1, meta={"text": ["x" * 1_000_000] * 20}))
    for text in (f"[{json.dumps(frame(0))}, {huge}, {json.dumps(frame(2))}]",):
        assert ids(read(text)) == ["f0", ": is longer than 16 million characters", "f2"]
    lines = "\n".join([json.dumps(frame(0)), huge, json.dumps(frame(2))])
    assert ids(read(lines)) == ["f0", ": is longer than 16 million characters", "f2"]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "The file is empty"),
        (b" \n\t ", "The file is empty"),
        (b"\xef\xbb\xbf", "The file is empty"),
        (b"<html><body>Not found</body></html>", "The file is not JSON: '<html><body>Not foun'"),
        (b"\x89PNG\r\n\x1a\n", "The file is not JSON"),
        (b"hello", "The file is not JSON: 'hello', line 1, byte 0"),
        (b"{}", 'neither a list "frames" nor "sources"'),
        (b'{"a": 1, "b": 2}', "'a', 'b'"),
        (b'{"frames": 84}', '"frames" must be a list'),
        (b'{"frames": [], "frames": []}', "'frames' stands twice, the second at line 1, byte 15"),
        (b'{"version": {}, "version": {}, "frames": []}', "'version' stands twice"),
        (b'{"frames": []} trailing', "The file is not JSON: 'trailing'"),
        (b'{"frames": [] "version": {}}', "A comma or } should stand before"),
        (b'{"frames": [{}] ]}', "A comma or } should stand before"),
        (b"{5: []}", 'A "key": should stand at line 1, byte 1'),
        (b'{"frames": [], "version": 5}', "version: must be an object"),
        (b'{"frames": [], "version": {"metadata": NaN}}', "metadata: must be a finite"),
        (b'{"frames": [], "version": {x}}', "'version' is not JSON"),
    ],
)
def test_says_why_an_input_cannot_be_read(data: bytes, message: str) -> None:
    with pytest.raises(FormatError) as caught:
        read(data)
    assert message in str(caught.value)


@pytest.mark.parametrize("shape", ["list", "object", "indented"])
def test_a_truncated_file_gives_the_frames_before_the_end(shape: str) -> None:
    frames = [frame(number) for number in range(100)]
    text = json.dumps(frames if shape == "list" else {"frames": frames})
    if shape == "indented":
        text = json.dumps({"frames": frames}, indent=1)
    half = text[: text.index('"f60"') + 9]
    items, error = read_until_error(half)
    assert ids(items) == [f"f{number}" for number in range(60)]
    assert re.search(r"The file ends inside .*line \d+, byte \d+", error)


def test_a_truncated_last_line_is_an_error() -> None:
    text = "\n".join(json.dumps(frame(number)) for number in range(3))[:-5]
    with pytest.raises(FormatError, match="The last line is cut off"):
        read(text)


def test_an_error_tells_line_and_byte() -> None:
    data = '[{"sources": [{"uri": "ü.png"}]},\n\n' + json.dumps(frame(1)) + "\n;"
    with pytest.raises(FormatError) as caught:
        read(data)
    assert f"line 4, byte {len(data.encode()) - 1}" in str(caught.value)


class Repeated:
    """A file of any length: a start, and then one piece of text again and again."""

    def __init__(self, start: bytes, piece: bytes, size: int) -> None:
        self._start = start
        self._piece = piece
        self._phase = 0
        self._left = size
        self.size = size

    def read(self, size: int) -> bytes:
        size = min(size, self._left)
        repeated = self._piece * (size // len(self._piece) + 2)
        data = (self._start + repeated[self._phase :])[:size]
        self._phase = (self._phase + size - len(self._start)) % len(self._piece)
        self._start = b""
        self._left -= size
        return data


def repeated(start: bytes, piece: bytes, size: int) -> ManifestReader:
    file: Any = Repeated(start, piece, size)
    return ManifestReader(lambda: contextlib.nullcontext(file), URI)


@pytest.mark.parametrize(
    ("start", "piece"),
    [(b"", b"["), (b"[", b'{"a":'), (b"", b'{"frames":['), (b'{"a":', b"["), (b"[{}, ", b"[1,")],
)
def test_a_gigabyte_of_brackets_is_given_up_at_once(start: bytes, piece: bytes) -> None:
    tracemalloc.start()
    begun = time.process_time()
    try:
        with pytest.raises(FormatError, match="nested deeper"):
            list(repeated(start, piece, 10**9))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 8_000_000
    assert time.process_time() - begun < 2


@pytest.mark.parametrize(
    ("start", "piece"), [(b'[{"a": "', b"x"), (b"[", b"5"), (b"[{} /*", b"x"), (b"", b"x")]
)
def test_a_value_without_end_is_given_up(start: bytes, piece: bytes) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(FormatError):
            list(repeated(start, piece, 10**9))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 400_000_000


def test_memory_does_not_grow_with_the_input() -> None:
    piece = json.dumps(frame(0, meta={"text": "x" * 900})).encode() + b","

    def peak(frames: int) -> int:
        reader = repeated(b"[", piece, 1 + len(piece) * frames)
        tracemalloc.start()
        try:
            with pytest.raises(FormatError, match=f"behind item {frames}"):
                for _ in reader:
                    pass
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    assert peak(8_000) < 1.2 * peak(1_000)


def test_position_goes_from_nothing_to_the_total() -> None:
    data = json.dumps([frame(number) for number in range(100_000)]).encode()
    file = io.BytesIO(data)
    reader = ManifestReader(lambda: contextlib.nullcontext(file), URI)
    assert reader.position == 0
    positions = [reader.position for _ in reader]
    assert positions == sorted(positions)
    assert positions[0] < len(data) / 10
    assert reader.position == len(data)


@given(st.binary(max_size=200) | st.text('[]{},:"\\ 0e-.nul/*\n', max_size=60).map(str.encode))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    """Nothing but FormatError comes out of damaged input."""
    with contextlib.suppress(FormatError):
        read(data)


@given(st.data())
def test_damage_inside_a_frame_keeps_the_frames_before_it(data: st.DataObject) -> None:
    text = json.dumps([frame(number) for number in range(4)])
    at = data.draw(st.integers(text.index('"f2"'), len(text) - 1))
    damaged = text[:at] + data.draw(st.sampled_from('"{}[],:x\\')) + text[at + 1 :]
    items, _ = read_until_error(damaged)
    assert ids(items[:2]) == ["f0", "f1"]


# Pieces of documents, with their brackets closed and nothing else changed.
FRAGMENTS = {
    "comments and last commas": """
        /* two cameras */
        {"id": "f0", // the first
         "sources": [{"id": "front", "uri": "a.mp4", "meta": {"angle": 45,},},
                     {"id": "rear", "uri": "https://example.com/b//c.mp4",},],}
    """,
    "members without their braces": """
        /* two cameras */
        "id": "f0",
        "sources": [{"id": "front", "uri": "a.mp4", "meta": {"angle": 45,}},
                    {"id": "rear", "uri": "https://example.com/b//c.mp4"}]
    """,
    "and so on": """
        [{"id": "f0", "sources": [{"id": "front", "uri": "a.mp4", "meta": {"angle": 45}},
                                  {"id": "rear", "uri": "https://example.com/b//c.mp4"}, ...]},
         ...]
    """,
}


@pytest.mark.parametrize("text", FRAGMENTS.values(), ids=FRAGMENTS.keys())
def test_reads_what_documents_show(text: str) -> None:
    items = read(text)
    assert ids(items) == ["f0"]
    assert items[0].frame is not None
    front, rear = items[0].frame.sources
    assert front.meta == {"angle": 45}
    assert rear.uri == "https://example.com/b//c.mp4"


@pytest.mark.shared_data
def test_reads_camvid(shared_data: Path) -> None:
    path = shared_data / "camvid" / "frames.json"
    items = read(path.read_bytes(), path.as_uri())
    truth = json.loads((path.parent / "truth.json").read_text())
    contexts: dict[str, list[float]] = {}
    for item in items:
        assert item.frame is not None
        contexts.setdefault(item.frame.context_id, []).append(item.frame.timestamp)
    assert len(items) == truth["frames"]
    assert {name: sorted(times) for name, times in contexts.items()} == truth["contexts"]


LISTING = """id : "287024"
timestamp : 0
rois : Array[1] [
{
"label":["person"],
"poly":[1,2,3,4,5,6]
}
]
sources : Array[1] [
{"id":"default", "uri":"s3://bucket/287024.jpg"}
]
dataset : Object
{"id":"f7", "version":"6a"}
context_id : s3://bucket/287024.jpg
num_frames : 1
"""


def test_reads_a_frame_as_a_viewer_lists_it() -> None:
    [item] = read(LISTING)
    assert item.frame is not None
    assert (item.frame.frame_id, item.frame.context_id) == ("287024", "s3://bucket/287024.jpg")
    assert item.frame.rois == [{"label": ["person"], "poly": [1, 2, 3, 4, 5, 6]}]
    assert item.frame.extra == {"num_frames": 1}


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("]\nsources", "\nsources", "rois is not JSON"),
        ("num_frames", "id", "has the key id twice"),
        ("sources :", "source :", "sources: is missing"),
    ],
)
def test_a_listing_that_is_cut_says_where(old: str, new: str, reason: str) -> None:
    assert ids(read(LISTING.replace(old, new))) == [f": {reason}".replace(": sources:", "sources:")]


def test_a_text_that_merely_begins_like_a_listing_is_refused() -> None:
    items, error = read_until_error("note : hello\n" + "x" * 17_000_000)
    assert items == []
    assert "million characters" in error
