from __future__ import annotations

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from frames.index.numbers import SMALLEST, bounds, bucket, buckets

finite = st.floats(allow_nan=False, allow_infinity=False)


@given(finite)
def test_a_number_lies_in_the_bounds_of_its_bucket(value: float) -> None:
    least, greatest = bounds(bucket(value))
    assert least <= value <= greatest


@given(finite)
def test_neighbouring_buckets_do_not_overlap(value: float) -> None:
    least, greatest = bounds(bucket(value))
    for edge in (least, greatest):
        assert bucket(edge) == bucket(value)
    above = math.nextafter(greatest, math.inf)
    below = math.nextafter(least, -math.inf)
    for outside in (above, below):
        if math.isfinite(outside):
            assert bucket(outside) != bucket(value)


@given(finite, finite)
def test_buckets_keep_the_order_of_numbers(a: float, b: float) -> None:
    if a <= b:
        assert bucket(a) <= bucket(b)


@given(st.integers(-256, 256))
def test_small_integers_have_a_bucket_of_their_own(value: int) -> None:
    assert bucket(float(value)) == value


@given(finite.filter(lambda value: abs(value) >= SMALLEST))
def test_a_bucket_is_at_most_a_128th_of_its_value_wide(value: float) -> None:
    least, greatest = bounds(bucket(value))
    assert greatest - least <= abs(bucket(value)) / 128


@given(st.lists(finite))
def test_many_at_once_fall_into_the_same_buckets_as_one_by_one(values: list[float]) -> None:
    assert buckets(np.array(values, dtype=np.float64)).tolist() == [bucket(v) for v in values]
