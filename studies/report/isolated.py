"""Values of a line without a neighbour, which a marker shows and a line does not."""

from typing import Any

import numpy as np


def isolated(values: Any) -> list[int]:
    """Find values without a neighbour, which a marker shows and a line does not.

    Args:
        values: (n,), NaN where there is no value.

    Returns:
        Their indices.
    """
    there = np.pad(~np.isnan(np.asarray(values, dtype=np.float64)), 1)
    alone: list[int] = np.flatnonzero(there[1:-1] & ~there[:-2] & ~there[2:]).tolist()
    return alone


def points(values: Any) -> dict[str, Any]:
    """Look of a line that marks its `isolated` values."""
    return {"marker": "o", "markersize": 4, "markevery": isolated(values)}
