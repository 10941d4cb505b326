"""Ranges of the fields of an allocation problem, within which no solver leaves the range of floats.

Solvers multiply times, bits and weights, and square or cube powers, frequencies and the SNR: values
beyond these limits, far outside any network, would overflow there, or lose every digit of a kept
fraction without a word.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from wirelessfl.errors import InputError
from wirelessfl.text import in_full

# Limits of times, bits, rates and weights.
LARGEST = 1e65
SMALLEST = 1e-65
# Limits of values that are squared or cubed.
_MOST_RAISED = 1e30
_LEAST_RAISED = 1e-30
_ABOVE_ZERO = {
    "deadline_s": SMALLEST,
    "bandwidth_hz": SMALLEST,
    "power_w": _LEAST_RAISED,
    "cpu_min_hz": _LEAST_RAISED,
    "cpu_max_hz": _LEAST_RAISED,
}
_RAISED = (
    "snr",
    "fixed_cycles",
    "prunable_cycles",
    "power_w",
    "cpu_min_hz",
    "cpu_max_hz",
    "capacitance",
    "energy_budget_j",
)
_AT_MOST = {**dict.fromkeys(_RAISED, _MOST_RAISED), "max_pruning_ratio": 1.0}
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
        raise InputError(f"{name} must be above 0, got {in_full(low)}")
    least = _ABOVE_ZERO.get(name, 0.0)
    if low < least:
        raise InputError(f"{name} must be at least {in_full(least)}, got {in_full(low)}")
    most = _AT_MOST.get(name, LARGEST)
    if high > most and not (high == np.inf and may_be_infinite):
        raise InputError(f"{name} must be at most {in_full(most)}, got {in_full(high)}")
    if name == "weight" and low < SMALLEST:
        tiny = array[(array > 0) & (array < SMALLEST)]
        if tiny.size:
            raise InputError(
                f"weight must be 0 or at least {in_full(SMALLEST)}, got {in_full(tiny[0])}"
            )
