"""Compiled check of the ranges of a problem's fields."""

from numba import boolean, float64, njit, types

from wirelessfl.allocation.interface import Array

_READ = types.Array(float64, 2, "C", readonly=True)


@njit(
    [boolean(float64[:, ::1], float64[:, ::1]), boolean(_READ, float64[:, ::1])],
    cache=True,
)
def table_within(table: Array, limits: Array) -> bool:
    """True if every value is within the limits of its row.

    Args:
        table: Values; (F, N).
        limits: Lower and upper limit of each row; (2, F).

    Returns:
        False if a value is outside, or NaN.
    """
    for row in range(table.shape[0]):
        low, high = limits[0, row], limits[1, row]
        outside = 0
        for k in range(table.shape[1]):
            value = table[row, k]
            outside += not ((value >= low) & (value <= high))
        if outside:
            return False
    return True
