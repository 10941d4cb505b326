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
        # Four places at a time: a long array is read faster than in one stream.
        part = table.shape[1] // 4
        one, two = table[row, :part], table[row, part : 2 * part]
        three, four = table[row, 2 * part : 3 * part], table[row, 3 * part : 4 * part]
        outside = 0
        for k in range(part):
            outside += not ((one[k] >= low) & (one[k] <= high))
            outside += not ((two[k] >= low) & (two[k] <= high))
            outside += not ((three[k] >= low) & (three[k] <= high))
            outside += not ((four[k] >= low) & (four[k] <= high))
        for k in range(4 * part, table.shape[1]):
            outside += not ((table[row, k] >= low) & (table[row, k] <= high))
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
