"""Ranges of the fields of an allocation problem, within which no solver leaves the range of floats.

Solvers multiply and square times, weights and rates: values beyond these limits, far outside any
network, would overflow there, or lose every digit of a kept fraction without a word.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from wirelessfl.errors import InputError

LARGEST = 1e30
SMALLEST = 1e-30
SHORTEST_S = 1e-15
LONGEST_S = 1e15
_ABOVE_ZERO = {
    "deadline_s": SHORTEST_S,
    "power_w": SMALLEST,
    "cpu_min_hz": SMALLEST,
    "cpu_max_hz": SMALLEST,
    "bandwidth_hz": SMALLEST,
}
_AT_MOST = {"deadline_s": LONGEST_S, "max_pruning_ratio": 1.0}
_MAY_BE_INFINITE = ("energy_budget_j",)


def values_within_range(name: str, value: Any) -> NDArray[np.float64]:
    """Values of a field of a problem as float64.

    Args:
        name: Field, as the message names it.
        value: A number or an array of numbers of any shape.

    Returns:
        The values, of the shape of `value`.

    Raises:
        InputError: The value is not an array of numbers, NaN, infinite (except for an energy
            budget) or outside the field's range.
    """
    try:
        array = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError, RuntimeError) as error:
        shown = f"got {value!r}"
        if hasattr(value, "shape"):  # an array of another library, which says why it is refused
            shown = f"got a {type(value).__name__}: {str(error).splitlines()[0]}"
        raise InputError(f"{name} must be a number or an array of numbers, {shown}") from None
    if array.size:
        _check_range(name, array)
    return array


def _check_range(name: str, array: NDArray[np.float64]) -> None:
    low, high = array.min(), array.max()  # both NaN where one value is
    may_be_infinite = name in _MAY_BE_INFINITE
    if np.isnan(low) or low == -np.inf or (high == np.inf and not may_be_infinite):
        raise InputError(f"{name} must be finite, got {array[~np.isfinite(array)].flat[0]}")
    if name in _ABOVE_ZERO and low <= 0:
        raise InputError(f"{name} must be above 0, got {low:g}")
    least = _ABOVE_ZERO.get(name, 0.0)
    if low < least:
        raise InputError(f"{name} must be at least {least:g}, got {low:g}")
    most = _AT_MOST.get(name, LARGEST)
    if high > most and not (high == np.inf and may_be_infinite):
        raise InputError(f"{name} must be at most {most:g}, got {high:g}")
    if name == "weight" and low < SMALLEST:
        tiny = array[(array > 0) & (array < SMALLEST)]
        if tiny.size:
            raise InputError(f"weight must be 0 or at least {SMALLEST:g}, got {tiny[0]:g}")
