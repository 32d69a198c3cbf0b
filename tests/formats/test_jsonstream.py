"""Reading the objects of a list many at a time, against reading them one by one."""

from __future__ import annotations

import io
import json
import time
from typing import Any
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frames.formats import jsonstream
from frames.formats.jsonstream import JsonStream, ValueProblem
from tests.properties import tries

TEXTS = st.text('{}[]:,"\\ abc\ud800', max_size=6)
SCALARS = st.one_of(
    TEXTS,
    st.integers(-(10**25), 10**25),
    st.floats(allow_nan=True, allow_infinity=True),
    st.booleans(),
    st.none(),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)
OBJECTS = st.dictionaries(st.sampled_from(["id", "rois", "a:b"]), VALUES, max_size=3)


def read(text: str, *, quickly: bool) -> list[str]:
    """Return the values of a list as text, and the message for each that cannot be read."""
    stream = JsonStream(io.BytesIO(text.encode(errors="surrogatepass")))
    stream.take("[")
    found: list[str] = []
    while stream.peek() not in ("]", ""):
        values: list[Any] = stream.objects() if quickly else []
        if not values:
            try:
                values = [stream.value()]
            except ValueProblem as problem:
                found.append(f"problem: {problem}")
        found += [json.dumps(value) for value in values]
        stream.take(",")
    return found


@given(
    st.lists(OBJECTS | VALUES, max_size=12),
    st.sampled_from([None, 0, 2]),
    st.integers(16, 400),
)
@tries(300)
def test_many_at_a_time_are_what_one_by_one_are(
    values: list[Any], indent: int | None, chunk_bytes: int
) -> None:
    text = json.dumps(values, indent=indent)
    with mock.patch.object(jsonstream, "_CHUNK_BYTES", chunk_bytes):
        assert read(text, quickly=True) == read(text, quickly=False)
    assert read(text, quickly=True) == [json.dumps(value) for value in values]


def test_objects_that_begin_alike_inside_of_others_are_not_cut() -> None:
    values = [{"id": n, "sources": [{"id": m} for m in range(5)]} for n in range(3)]
    stream = JsonStream(io.BytesIO(json.dumps(values).encode()))
    stream.take("[")
    assert stream.objects() == values[:2]


@pytest.mark.parametrize(
    "text", ['[{"a": 1}, {"a": 1, "a": 2}, {"a": 3}]', '[{"a": 1}, {"a": {"b": 1, "b": 2}}, {}]']
)
def test_a_key_that_stands_twice_is_found_among_many(text: str) -> None:
    found = read(text, quickly=True)
    assert "twice" in found[1]
    assert found == read(text, quickly=False)


def test_integers_of_more_than_64_bits_are_not_rounded() -> None:
    values = [{"n": 10**30}, {"n": 2**64}, {"n": 1}]
    assert read(json.dumps(values), quickly=True) == [json.dumps(value) for value in values]


def test_objects_that_must_be_looked_at_one_by_one_take_no_longer_than_that() -> None:
    text = json.dumps([{"n": 10**30, "text": "x" * 80} for _ in range(20_000)])
    started = time.process_time()
    read(text, quickly=False)
    slow_s = time.process_time() - started
    started = time.process_time()
    read(text, quickly=True)
    assert time.process_time() - started < 3 * slow_s
