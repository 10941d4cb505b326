"""Ranges of the fields of an allocation problem, within which no solver leaves the range of floats.

Solvers multiply times, bits and weights, and square or cube powers, frequencies and the SNR: values
beyond these limits, far outside any network, would overflow there, or lose every digit of a kept
fraction without a word.
"""

import math
from functools import cache
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from wirelessfl.allocation.compiled import Compiled
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

Limits: TypeAlias = NDArray[np.float64]  # least and largest values of each field, (2, F)

SHARES_WITHIN = Compiled("wirelessfl.allocation.compiled_ranges", "shares_within")
TABLE_WITHIN = Compiled("wirelessfl.allocation.compiled_ranges", "table_within", SHARES_WITHIN)
FEW = 4095  # values per field up to which the fields of a problem are copied into one table


def few_values(values: list[Any], limits: Limits) -> NDArray[np.float64] | None:
    """Table of the values of all fields of a small problem.

    Args:
        values: A number or an array of numbers of each field.
        limits: Limits of the fields.

    Returns:
        The table, one field in each row, (F, ..., K); None where the problem is not small, or where
        a value may be outside its range or have a shape that does not fit.
    """
    shape = (1,)
    numbers = []
    arrays = []
    try:
        for row, value in enumerate(values):
            kind = type(value)
            if kind is float or kind is int:
                numbers.append(value)
                continue
            numbers.append(0.0)
            arrays.append(row)
            of_value = value.shape if kind is np.ndarray else np.shape(value)
            if of_value != shape and of_value:
                shape = of_value if shape == (1,) else np.broadcast_shapes(shape, of_value)
        if not 0 < math.prod(shape) <= FEW:
            return None
        table = np.empty((len(values), *shape))
        table.T[...] = numbers
        for row in arrays:
            table[row] = values[row]
    except (TypeError, ValueError, RuntimeError, OverflowError):
        return None
    flat = table if table.ndim == 2 else table.reshape(len(values), -1)
    if TABLE_WITHIN.function is not None:
        within = TABLE_WITHIN.function(flat, limits)
    else:
        within = bool(np.all((flat.min(axis=1) >= limits[0]) & (flat.max(axis=1) <= limits[1])))
    return table if within else None


@cache
def limits_of(names: tuple[str, ...]) -> Limits:
    """Limits within which a value is surely in the range of its field.

    Args:
        names: The fields.

    Returns:
        Least and largest values; (2, F).
    """
    least = [SMALLEST if name == "weight" else _ABOVE_ZERO.get(name, 0.0) for name in names]
    return np.array([least, [_AT_MOST.get(name, LARGEST) for name in names]])


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
    within = TABLE_WITHIN.function
    if (
        within is not None
        and array.flags.c_contiguous
        and within(array.reshape(1, -1), limits_of((name,)))
    ):
        return
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
