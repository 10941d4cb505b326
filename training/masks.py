"""Which weights stay: exact counts, a fixed rule for ties, nested in the ratio. Mask True = kept."""

import math

import numpy as np
from numpy.typing import NDArray

from training.program import Mask


def prune_count(pruning_ratio: float, size: int) -> int:
    """ceil(pruning_ratio * size): rounding up, so that the latency threshold holds (W-1.5 of [WFL]).

    A relative 1e-12 is taken off first, or the rounding error of the product would now and then prune one more.
    """
    return min(size, math.ceil(pruning_ratio * size * (1.0 - 1e-12)))


def keep_most_important(importance: NDArray[np.floating], pruned: int) -> Mask:
    """Mask (N,) that prunes exactly the `pruned` smallest of `importance` (N,), among equals those of lowest index.

    One ranking over the whole vector, so masks for growing `pruned` are nested.
    """
    if pruned == 0:
        return np.ones(importance.shape, dtype=np.bool_)
    threshold = np.partition(importance, pruned - 1)[pruned - 1]
    mask = np.asarray(importance >= threshold)
    ties = np.flatnonzero(importance == threshold)
    mask[ties[: pruned - np.count_nonzero(~mask)]] = False
    return mask
