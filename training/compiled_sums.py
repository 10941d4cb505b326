"""Compiled sums of `training.sums`, each value in the order of the array code: the same bits."""

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
from numba import float32, float64, njit, types

from training.arrays import Doubles, Vector

_Function = TypeVar("_Function", bound=Callable[..., Any])
_TYPES: Any = types  # whose functions have no annotations
_ROW = _TYPES.Array(float32, 1, "C", readonly=True)
_NUMBERS = _TYPES.Array(float64, 1, "C", readonly=True)


def _compile(signature: Any) -> Callable[[_Function], _Function]:
    """`numba.njit` for type checkers: the decorated function keeps its type."""
    decorate: Callable[[_Function], _Function] = njit(signature, cache=True)
    return decorate


@_compile(_TYPES.void(float64[::1], _ROW, _ROW, _ROW, _ROW, _NUMBERS))
def add_rows(
    total: Doubles, row0: Vector, row1: Vector, row2: Vector, row3: Vector, weights: Doubles
) -> None:
    """Add four weighted vectors: total += n_0 x_0, then n_1 x_1, n_2 x_2, n_3 x_3.

    Args:
        total: Sums, (n,).
        row0: Vector x_0, (n,).
        row1: Vector x_1, (n,).
        row2: Vector x_2, (n,).
        row3: Vector x_3, (n,).
        weights: Weights n_0 to n_3, (4,).
    """
    weight0, weight1, weight2, weight3 = weights[0], weights[1], weights[2], weights[3]
    for i in range(total.size):
        value = total[i]
        value += weight0 * np.float64(row0[i])
        value += weight1 * np.float64(row1[i])
        value += weight2 * np.float64(row2[i])
        value += weight3 * np.float64(row3[i])
        total[i] = value


@_compile(_TYPES.void(float64[::1], _ROW, _ROW, _ROW, _ROW, _ROW, _NUMBERS, _NUMBERS))
def add_squares(
    total: Doubles,
    start: Vector,
    row0: Vector,
    row1: Vector,
    row2: Vector,
    row3: Vector,
    weights: Doubles,
    divisors: Doubles,
) -> None:
    """Add four weighted squares: total += n_k ((x_k - start) / d_k)^2, in the order of k.

    Args:
        total: Sums, (n,).
        start: Vector from which differences are taken, (n,).
        row0: Vector x_0, (n,).
        row1: Vector x_1, (n,).
        row2: Vector x_2, (n,).
        row3: Vector x_3, (n,).
        weights: Weights n_0 to n_3, (4,).
        divisors: Divisors d_0 to d_3, (4,).
    """
    weight0, weight1, weight2, weight3 = weights[0], weights[1], weights[2], weights[3]
    divisor0, divisor1, divisor2, divisor3 = divisors[0], divisors[1], divisors[2], divisors[3]
    for i in range(total.size):
        origin = np.float64(start[i])
        step0 = (np.float64(row0[i]) - origin) / divisor0
        step1 = (np.float64(row1[i]) - origin) / divisor1
        step2 = (np.float64(row2[i]) - origin) / divisor2
        step3 = (np.float64(row3[i]) - origin) / divisor3
        value = total[i]
        value += weight0 * (step0 * step0)
        value += weight1 * (step1 * step1)
        value += weight2 * (step2 * step2)
        value += weight3 * (step3 * step3)
        total[i] = value
