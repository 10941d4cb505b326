"""Compiled checks of the ranges of a problem's fields and of the fractions of its answer."""

from numba import boolean, float64, njit, types

from wirelessfl.allocation.interface import Array

_READ = types.Array(float64, 2, "C", readonly=True)
_ROUNDING = 1e-12  # of the summed bands
_LINE = types.Array(float64, 1, "C", readonly=True)


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


@njit(boolean(_LINE, _LINE, _LINE), cache=True)
def shares_within(band: Array, ratio: Array, kept: Array) -> bool:
    """True if all values are within 0 and 1, and the bands add up to at most 1 but for rounding.

    Args:
        band: Fractions of the band; (K,).
        ratio: Pruning ratios; (K,).
        kept: Kept fractions; (K,).

    Returns:
        False if a value is outside, or NaN.
    """
    outside = 0
    total = 0.0
    for k in range(band.size):
        outside += not ((band[k] >= 0.0) & (band[k] <= 1.0))
        outside += not ((ratio[k] >= 0.0) & (ratio[k] <= 1.0))
        outside += not ((kept[k] >= 0.0) & (kept[k] <= 1.0))
        total += band[k]
    return (outside == 0) & (total <= 1.0 + _ROUNDING)
