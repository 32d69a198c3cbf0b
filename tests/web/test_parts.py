"""The small parts: addresses, texts, strip, boxes."""

from __future__ import annotations

import doctest
import json
from typing import TYPE_CHECKING, Any

import pytest
from django.urls import reverse
from hypothesis import given
from hypothesis import strategies as st

from frames.web import ranges, strip, text
from frames.web.addresses import (
    context_address,
    frame_address,
    original_address,
    version_address,
    why_address,
)
from frames.web.pictures import ratio_of
from frames.web.strip import gaps_between
from frames.web.text import head_and_tail, json_text, moment, percent, span, timecode

if TYPE_CHECKING:
    from types import ModuleType

    from frames.models import Version


@pytest.mark.parametrize("module", [text, strip, ranges])
def test_examples_in_docstrings(module: ModuleType) -> None:
    result = doctest.testmod(module)
    assert result.attempted > 0
    assert result.failed == 0


@pytest.mark.parametrize("prefix", ["/", "/framedeck/"])
@pytest.mark.parametrize("frame_id", ["a", "a/b", "ü %?#", "x.json"])
def test_addresses_are_what_the_routes_say(frame_id: str, prefix: str, version: Version) -> None:
    from django.urls import get_script_prefix, set_script_prefix

    before = get_script_prefix()
    set_script_prefix(prefix)
    try:
        uids = [version.dataset.uid, version.uid]
        assert version_address(version) == reverse("frames:version_detail", args=uids)
        assert context_address(version, "", {}).partition("?")[0] == reverse(
            "frames:context_detail", args=uids
        )
        assert frame_address(version, frame_id, {}) == reverse(
            "frames:frame_detail", args=[*uids, frame_id]
        )
        assert (
            why_address(version, {"q": "a"}) == reverse("frames:frame_why", args=uids) + "?q=a&id="
        )
        assert original_address(7) == reverse("frames:source_original", args=[7])
    finally:
        set_script_prefix(before)


@pytest.mark.parametrize(
    ("ms", "shown"),
    [
        (0, "00:00:00.000"),
        (33.3333, "00:00:00.033"),
        (999.6, "00:00:01.000"),
        (3_600_000, "01:00:00.000"),
        (-1500, "-00:00:01.500"),
        (-0.1, "00:00:00.000"),
    ],
)
def test_timecode(ms: float, shown: str) -> None:
    assert timecode(ms) == shown


@pytest.mark.parametrize(
    ("timestamp", "shown"),
    [
        (223_000, "00:03:43.000"),
        (1_598_982_880_693, "1598982880693"),
        (-5, "-5"),
        (360_000_000, "360000000"),
        (1e300, "1e+300"),
    ],
)
def test_moment_is_a_timecode_only_where_it_can_be_one(timestamp: float, shown: str) -> None:
    assert moment(timestamp) == shown


def test_span_of_days() -> None:
    assert span(2 * 86_400_000) == "2 d 00:00:00.000"


@pytest.mark.parametrize(
    ("part", "whole", "shown"), [(1, 2, "50 %"), (2, 3, "67 %"), (1, 10**6, "<1 %")]
)
def test_percent(part: int, whole: int, shown: str) -> None:
    assert percent(part, whole) == shown


@pytest.mark.parametrize(
    "name", ["", "short", "x" * 28, "x" * 29, "https://example.com/" + "y" * 99]
)
def test_head_and_tail_are_the_name(name: str) -> None:
    assert "".join(head_and_tail(name)) == name


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=60,
)


@given(json_values)
def test_json_to_read_is_the_same_json(value: Any) -> None:
    assert json.loads(json_text(value)) == value
    assert json.loads(json_text({"wide": [value] * 5, "list": list(range(99))})) == {
        "wide": [value] * 5,
        "list": list(range(99)),
    }


@pytest.mark.parametrize(
    ("timestamps", "gaps"),
    [
        ([], {}),
        ([0], {}),
        ([0, 1000], {}),  # nothing to compare with
        ([0, 33, 66, 99], {}),
        ([0, 33, 66, 400, 433], {3: 334}),
        ([0, 0, 0, 33, 66, 1066], {5: 1000}),
        ([5, 5, 5], {}),
    ],
)
def test_gap_is_a_pause_that_stands_out(timestamps: list[float], gaps: dict[int, float]) -> None:
    assert gaps_between(timestamps) == gaps


@pytest.mark.parametrize(
    ("sizes", "name"),
    [
        ([], "standard"),
        ([(0, 0)], "standard"),
        ([(1920, 1080), (1280, 720), (480, 640)], "wide"),
        ([(480, 640)], "tall"),
        ([(500, 500)], "square"),
        ([(1500, 1000)], "photo"),
    ],
)
def test_box_suits_most_pictures(sizes: list[tuple[int, int]], name: str) -> None:
    assert ratio_of(sizes) == name
