"""Buckets for numbers, so that a key with a million different ones has a few hundred terms.

A number belongs to the bucket of its value cut, toward zero, to 8 significant binary digits:
buckets are at most 1/128 of their value wide, and integers up to 256 have one of their own. A
posting whose numbers were cut keeps the exact ones beside its bitmap, so ranges are exact.

Source: the log-linear histogram of Tene, HdrHistogram (hdrhistogram.org), with 128 linear
steps to each power of two.
"""

from __future__ import annotations

import math
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

Float64Array: TypeAlias = npt.NDArray[np.float64]

SIGNIFICANT_BITS: Final = 8
# Smaller magnitudes share the bucket of zero; without it the exponents alone, down to -1074,
# would give a key of tiny floats 275,000 terms.
SMALLEST: Final = 2.0**-40


def bucket(value: float) -> float:
    """Return the bucket of a finite number: its member nearest to zero."""
    magnitude = abs(value)
    if magnitude < SMALLEST:
        return 0.0
    mantissa, exponent = math.frexp(magnitude)
    cut = math.ldexp(int(mantissa * (1 << SIGNIFICANT_BITS)), exponent - SIGNIFICANT_BITS)
    return cut if value > 0 else -cut


def buckets(values: Float64Array) -> Float64Array:
    """Return the bucket of each of many finite numbers: (n,) float64."""
    mantissas, exponents = np.frexp(values)
    steps = np.trunc(mantissas * (1 << SIGNIFICANT_BITS))
    cut = np.ldexp(steps, exponents - SIGNIFICANT_BITS)
    found: Float64Array = np.where(np.abs(values) < SMALLEST, 0.0, cut)
    return found


def bounds(representative: float) -> tuple[float, float]:
    """Return the least and the greatest number, both closed, that a bucket may hold."""
    if representative == 0.0:
        edge = math.nextafter(SMALLEST, 0.0)
        return -edge, edge
    magnitude = abs(representative)
    _, exponent = math.frexp(magnitude)
    step = math.ldexp(1.0, exponent - SIGNIFICANT_BITS)
    far = math.nextafter(magnitude + step, 0.0)
    return (representative, far) if representative > 0 else (-far, representative)
