"""Reading a SingleFrame and writing it back."""

from __future__ import annotations

import contextlib
import copy
import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frames.formats.base import FrameData, FrameError
from frames.formats.plain import are_plain
from frames.formats.singleframe import derived_id, parse_frame, render_frame, repeated_id
from frames.models import Frame, Source

BASE = "file:///data/drive/frames.json"

EXAMPLE: dict[str, Any] = {
    "id": "287024",
    "timestamp": 33,
    "context_id": "car_1",
    "meta": {"velocity": "60"},
    "sources": [
        {
            "id": "front",
            "uri": "https://example.com/front.mp4",
            "content_type": "video/mp4",
            "width": 800,
            "height": 600,
            "timestamp": 33.5,
            "meta": {"fov": 129},
            "masks": [{"id": 1, "uri": "https://example.com/seg.mp4", "timestamp": 33}],
            "preview": {"uri": "https://example.com/front.jpg", "content_type": "image/jpg"},
        },
        {"id": "rear", "uri": "https://example.com/rear.mp4"},
    ],
    "rois": [
        {"label": ["lane"], "sources": ["front"], "mask": {"id": "seg", "value": [-1, 1, 255]}},
        {"label": ["car"], "poly": [1, 2, 3, 4, -999999999, 5, 6], "confidence": 1, "id": "r"},
        {"label": ["wheel"], "poly": [1, 2, 3, 4, 0.5], "meta": {"_type": "elp"}},
    ],
}


def changed(path: list[str | int], value: Any) -> dict[str, Any]:
    """Return the example with one place of it replaced."""
    frame = copy.deepcopy(EXAMPLE)
    place: Any = frame
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return frame


def stored(frame: FrameData) -> tuple[Frame, list[Source]]:
    """Return the rows that keep a frame, through JSON as a database keeps it."""

    def kept(value: Any) -> Any:
        return json.loads(json.dumps(value, allow_nan=False))

    row = Frame(
        frame_id=frame.frame_id,
        context_id=frame.context_id,
        timestamp=frame.timestamp,
        saved_ms=1,
        meta=kept(frame.meta),
        rois=kept(frame.rois),
        extra=kept(frame.extra),
    )
    return row, [
        Source(
            position=position,
            source_id=source.source_id,
            uri=source.uri,
            content_type=source.content_type,
            width=source.width,
            height=source.height,
            timestamp=source.timestamp,
            masks=kept(source.masks),
            preview=kept(source.preview),
            meta=kept(source.meta),
            extra=kept(source.extra),
        )
        for position, source in enumerate(frame.sources)
    ]


def written_back(value: dict[str, Any]) -> dict[str, Any]:
    """Return what is written for what was read, without the keys only the server sets."""
    row, sources = stored(parse_frame(value, BASE))
    row.writer_uid = "w" * 32
    written = render_frame(row, sources, "d" * 32, "v" * 32)
    assert written.pop("dataset") == {"id": "d" * 32, "version": "v" * 32}
    assert written.pop("saved_in_version") == "w" * 32
    assert written.pop("saved") == 1
    return written


def test_reads_every_field() -> None:
    frame = parse_frame(EXAMPLE, BASE)
    assert (frame.frame_id, frame.context_id, frame.timestamp) == ("287024", "car_1", 33.0)
    front, rear = frame.sources
    assert (front.source_id, front.width, front.height, front.timestamp) == (
        "front",
        800,
        600,
        33.5,
    )
    assert front.content_type == "video/mp4"
    assert front.masks == EXAMPLE["sources"][0]["masks"]
    assert rear.masks is None
    assert frame.rois == EXAMPLE["rois"]
    assert frame.extra == {}


def test_writes_what_it_read() -> None:
    assert written_back(EXAMPLE) == EXAMPLE


def test_defaults_come_from_the_first_source() -> None:
    frame = parse_frame({"sources": [{"uri": "a.mp4", "timestamp": 40}]}, BASE)
    assert frame.frame_id == ""
    assert frame.context_id == "file:///data/drive/a.mp4"
    assert frame.timestamp == 40.0
    assert frame.sources[0].source_id == "default"


def test_a_still_picture_is_at_zero() -> None:
    assert parse_frame({"sources": [{"uri": "a.png"}]}, BASE).timestamp == 0.0


def test_relative_uris_of_masks_and_previews_resolve_too() -> None:
    source = parse_frame(
        {"sources": [{"uri": "a.png", "masks": [{"uri": "m.png"}], "preview": {"uri": "p.jpg"}}]},
        BASE,
    ).sources[0]
    assert source.masks == [{"uri": "file:///data/drive/m.png"}]
    assert source.preview == {"uri": "file:///data/drive/p.jpg"}
    text = parse_frame({"sources": [{"uri": "a.png", "preview": "p.jpg"}]}, BASE).sources[0]
    assert text.preview == "file:///data/drive/p.jpg"


@pytest.mark.parametrize(
    ("roi", "expected"),
    [
        ({"labels": ["car", "parked"]}, {"label": ["car", "parked"]}),
        ({"label": "car"}, {"label": ["car"]}),
        ({"label": ["car"], "labels": ["car", "van"]}, {"label": ["car", "van"]}),
        ({"label": None, "poly": None, "other": None}, {"other": None}),
    ],
)
def test_labels_become_one_list(roi: dict[str, Any], expected: dict[str, Any]) -> None:
    frame = parse_frame({"sources": [{"uri": "a.png"}], "rois": [roi]}, BASE)
    assert frame.rois == [expected]


def test_the_input_is_not_changed() -> None:
    given_frame = changed(["rois", 0], {"labels": "car"})
    before = copy.deepcopy(given_frame)
    parse_frame(given_frame, BASE)
    assert given_frame == before


def test_another_servers_state_is_not_read() -> None:
    frame = parse_frame(
        {**EXAMPLE, "dataset": {"id": "x"}, "saved": 5, "saved_in_version": "y", "num_frames": 1},
        BASE,
    )
    assert frame.extra == {"num_frames": 1}


@pytest.mark.parametrize("timestamp", [1532402927612345678, "00001", "1532402927612345679", 0.1])
def test_a_timestamp_is_written_as_exactly_as_it_was_read(timestamp: float | str) -> None:
    value = changed(["timestamp"], timestamp)
    assert parse_frame(value, BASE).timestamp == float(timestamp)
    assert written_back(value)["timestamp"] == timestamp
    in_source = changed(["sources", 0, "timestamp"], timestamp)
    assert written_back(in_source)["sources"][0]["timestamp"] == timestamp


WRONG: list[tuple[list[str | int], Any, str, str]] = [
    (["id"], 5, "id", "must be text, not a number"),
    (["id"], "ü" * 128, "id", "longer than 255 bytes"),
    (["id"], "a\0", "id", "NUL"),
    (["context_id"], "\udc80", "context_id", "not Unicode"),
    (["context_id"], "c" * 2049, "context_id", "longer than 2048 bytes"),
    (["timestamp"], math.nan, "timestamp", "finite number"),
    (["timestamp"], math.inf, "timestamp", "finite number"),
    (["timestamp"], 10**400, "timestamp", "finite number"),
    (["timestamp"], "nan", "timestamp", "finite number"),
    (["timestamp"], "1_0", "timestamp", "finite number"),
    (["timestamp"], "1e999", "timestamp", "finite number"),
    (["timestamp"], True, "timestamp", "finite number"),
    (["meta"], [], "meta", "must be an object"),
    (["meta", "a"], math.nan, "meta.a", "finite"),
    (["meta", "a"], [1, [math.inf]], "meta.a[1][0]", "finite"),
    (["meta", "a"], {"b": "\ud800"}, "meta.a.b", "not Unicode"),
    (["meta", "a"], 2**64, "meta.a", "64 bits"),
    (["meta", "k" * 256], 1, "meta.'" + "k" * 56 + "...", "longer than 255"),
    (["unknown"], {"x": ["\0"]}, "unknown.x[0]", "NUL"),
    (["sources"], None, "sources", "is missing"),
    (["sources"], [], "sources", "at least one"),
    (["sources"], {}, "sources", "must be a list"),
    (["sources"], [{"uri": "a"}] * 65, "sources", "64 is the most"),
    (["sources", 1], "x", "sources[1]", "must be an object"),
    (["sources", 1, "id"], "front", "sources[1].id", "earlier source"),
    (["sources", 1, "uri"], None, "sources[1].uri", "is missing"),
    (["sources", 1, "uri"], "javascript:alert(1)", "sources[1].uri", "scheme"),
    (["sources", 0, "width"], 0, "sources[0].width", "above 0"),
    (["sources", 0, "width"], 1.5, "sources[0].width", "above 0"),
    (["sources", 0, "height"], 2**31, "sources[0].height", "above 0"),
    (["sources", 0, "timestamp"], [], "sources[0].timestamp", "finite"),
    (["sources", 0, "masks"], {}, "sources[0].masks", "must be a list"),
    (["sources", 0, "masks", 0, "uri"], 3, "sources[0].masks[0].uri", "must be text"),
    (["sources", 0, "preview", "uri"], "data:,", "sources[0].preview.uri", "scheme"),
    (["sources", 0, "preview"], 7, "sources[0].preview", "must be an object"),
    (["sources", 0, "extra"], math.nan, "sources[0].extra", "finite"),
    (["rois"], {}, "rois", "must be a list"),
    (["rois"], [{}] * 10_001, "rois", "10000 is the most"),
    (["rois", 0], [], "rois[0]", "must be an object"),
    (["rois", 0, "label"], ["x", 3], "rois[0].label[1]", "must be text"),
    (["rois", 0, "label"], ["x" * 256], "rois[0].label[0]", "256 characters"),
    (["rois", 0, "label"], "x" * 100_000, "rois[0].label[0]", "100000 characters"),
    (["rois", 0, "label"], [""], "rois[0].label[0]", "is empty"),
    (["rois", 1, "poly"], "1,2", "rois[1].poly", "list of numbers"),
    (["rois", 1, "poly"], [1, 2, 3, "4"], "rois[1].poly[3]", "must be a number"),
    (["rois", 1, "poly"], [1, True], "rois[1].poly[1]", "must be a number"),
    (["rois", 1, "poly"], [1, math.nan], "rois[1].poly[1]", "not a coordinate"),
    (["rois", 1, "poly"], [math.inf, -math.inf], "rois[1].poly[0]", "not a coordinate"),
    (["rois", 1, "poly"], [0, 10**400], "rois[1].poly[1]", "64 bits"),
    (["rois", 1, "poly"], [1, 2, 3], "rois[1].poly[2]", "x without its y"),
    (["rois", 1, "poly"], [1, -999999999, 2, 3, 4], "rois[1].poly[0]", "x without its y"),
    (["rois", 1, "poly"], [0] * 100_001, "rois[1].poly", "100000 is the most"),
    (["rois", 1, "confidence"], 1.01, "rois[1].confidence", "from 0 to 1"),
    (["rois", 1, "confidence"], math.nan, "rois[1].confidence", "from 0 to 1"),
    (["rois", 1, "confidence"], "1", "rois[1].confidence", "from 0 to 1"),
    (["rois", 0, "sources"], "front", "rois[0].sources", "must be a list"),
    (["rois", 0, "sources"], [1], "rois[0].sources[0]", "must be text"),
    (["rois", 0, "mask"], 5, "rois[0].mask", "must be an object"),
    (["rois", 0, "mask", "value"], [math.nan], "rois[0].mask.value[0]", "finite"),
    (["rois", 0, "meta"], 5, "rois[0].meta", "must be an object"),
    (["rois", 0, "other"], math.nan, "rois[0].other", "finite"),
]


@pytest.mark.parametrize(("path", "value", "place", "reason"), WRONG)
def test_names_the_place_of_what_is_wrong(
    path: list[str | int], value: Any, place: str, reason: str
) -> None:
    with pytest.raises(FrameError) as caught:
        parse_frame(changed(path, value), BASE)
    assert caught.value.problem.path == place
    assert reason in caught.value.problem.reason
    assert len(caught.value.problem.reason) < 200


# What is looked at when a frame is built, since it may have to be changed then.
NOT_FOR_COLUMNS = ("timestamp", "uri", "masks", "preview")


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (path, value)
        for path, value, place, _ in WRONG
        if not any(name in place for name in NOT_FOR_COLUMNS)
    ],
)
def test_one_wrong_frame_among_many_is_not_passed(path: list[str | int], value: Any) -> None:
    assert are_plain([EXAMPLE] * 3)
    assert not are_plain([EXAMPLE, changed(path, value), EXAMPLE])


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (["rois", 0, "labels"], ["lane"]),
        (["rois", 0, "label"], "lane"),
        (["rois", 0, "meta"], None),
        (["sources", 0, "width"], 800.0),
        (["sources", 1], {"uri": "a.png"}),
    ],
)
def test_a_frame_that_is_not_stored_as_it_is_written_is_not_plain(
    path: list[str | int], value: Any
) -> None:
    assert not are_plain([changed(path, value)])


@pytest.mark.parametrize("value", [None, [], "x", 5, True])
def test_a_frame_is_an_object(value: Any) -> None:
    with pytest.raises(FrameError, match="must be an object"):
        parse_frame(value, BASE)


def nested(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


def test_nesting_is_bounded() -> None:
    parse_frame(changed(["meta", "a"], nested(15)), BASE)
    with pytest.raises(FrameError, match="nested deeper than 16"):
        parse_frame(changed(["meta", "a"], nested(16)), BASE)


def test_derived_ids_are_stable_and_different() -> None:
    frame = parse_frame({"sources": [{"uri": "a.png"}]}, BASE)
    again = parse_frame({"sources": [{"uri": "a.png"}], "meta": {"new": 1}}, BASE)
    other = parse_frame({"sources": [{"uri": "b.png"}]}, BASE)
    first = derived_id(frame)
    ids = [first, derived_id(again), repeated_id(first, 1), derived_id(other)]
    assert ids[0] == ids[1]
    assert len(set(ids)) == 3
    assert all(len(text) == 32 and int(text, 16) >= 0 for text in ids)


def test_derived_ids_do_not_change_between_releases() -> None:
    """They are what makes an import repeatable, so they are kept for good."""
    frame = parse_frame({"sources": [{"uri": "a.png"}]}, BASE)
    first = derived_id(frame)
    assert first == "3c100f335dd37546860706073bd2909d"
    assert repeated_id(first, 1) == "976e32bdae3729f42296634907fb58ca"


texts = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=12)
numbers = st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False, width=32)
values = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
# A leading x keeps them apart from the known keys.
unknown = st.dictionaries(texts.map(lambda text: f"x{text}"), values, max_size=3)
metas = st.dictionaries(texts, values, max_size=4)


def whole(known: dict[str, Any], optional: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Return objects with the known keys, some of the optional ones, and unknown ones."""
    return st.builds(
        lambda some, more: {**some, **more},
        st.fixed_dictionaries(known, optional=optional),
        unknown,
    )


printable = st.text(st.characters(exclude_categories=["C", "Z"]), max_size=12)
uris = printable.map(lambda text: f"s3://bucket/{text}")
coordinates = st.integers(-(10**6), 10**6) | st.floats(-1e6, 1e6)
polys = st.lists(st.tuples(coordinates, coordinates), min_size=1, max_size=6).map(
    lambda points: [number for point in points for number in point]
)
masks = whole({"uri": uris}, {"id": texts | st.integers(0, 9), "timestamp": numbers})
sources = whole(
    {"uri": uris},
    {
        "content_type": st.just("image/png"),
        "width": st.integers(1, 2**31 - 1),
        "height": st.integers(1, 2**31 - 1),
        "timestamp": numbers | st.integers(2**53, 2**62) | st.just("00012"),
        "meta": metas,
        "masks": st.lists(masks, max_size=2),
        "preview": uris | whole({"uri": uris}, {}),
    },
)
rois = whole(
    {"label": st.lists(texts.filter(bool), min_size=1, max_size=2)},
    {
        "poly": polys,
        "confidence": st.floats(0, 1),
        "sources": st.lists(texts.filter(bool), max_size=2),
        "mask": whole({"id": texts}, {"value": st.lists(st.integers(-1, 255), max_size=4)}),
        "meta": metas,
    },
)
frames = whole(
    {
        "id": texts.filter(bool),
        "context_id": texts.filter(bool),
        "timestamp": numbers | st.integers(2**53, 2**62),
        "meta": metas,
        "sources": st.lists(sources, min_size=1, max_size=3).map(
            lambda given: [{**source, "id": f"s{i}"} for i, source in enumerate(given)]
        ),
        "rois": st.lists(rois, max_size=3),
    },
    {},
)


@given(frames)
def test_what_is_read_is_written_back(value: dict[str, Any]) -> None:
    """Reading and writing are inverse, unknown keys at every level included."""
    assert written_back(value) == value
    assert written_back(written_back(value)) == value


@given(values)
def test_any_json_is_read_or_refused_as_a_frame(value: Any) -> None:
    """Nothing but FrameError comes out of damaged input."""
    with contextlib.suppress(FrameError):
        parse_frame({"sources": value, "rois": value}, BASE)
    with contextlib.suppress(FrameError):
        parse_frame(changed(["sources", 0], value), BASE)
    with contextlib.suppress(FrameError):
        parse_frame(changed(["rois", 0], value), BASE)


def outcome(value: Any, *, is_plain: bool) -> Any:
    """Return the frame that a value is read as, or what is wrong with it."""
    try:
        return parse_frame(value, BASE, is_plain=is_plain)
    except FrameError as error:
        return error.problem


@st.composite
def damaged(draw: st.DrawFn) -> dict[str, Any]:
    """Return a frame with something else, or nothing, in one place of it."""
    value = draw(frames)
    place: Any = value
    while True:
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        key = draw(st.sampled_from(keys)) if keys else None
        inner = None if key is None else place[key]
        if key is None:
            return value
        if isinstance(inner, dict | list) and inner and draw(st.booleans()):
            place = inner
            continue
        wrong: st.SearchStrategy[Any] = st.sampled_from(
            [math.nan, 10**30, "\0", "\ud800", "x" * 300, -1, None, [], {}]
        )
        place[key] = draw(values | wrong)
        return value


@given(st.lists(frames, max_size=3), st.lists(damaged(), max_size=2))
def test_frames_that_many_at_once_are_found_plain_are_read_as_one_by_one(
    sound: list[Any], others: list[Any]
) -> None:
    """Whatever passes the columns passes alone, and is read as the same frame."""
    together = [*sound, *others]
    if are_plain(together):
        for value in together:
            assert outcome(value, is_plain=True) == outcome(value, is_plain=False)
    assert are_plain(sound)
