"""Which weights stay: exact counts, a fixed rule for ties, nested in the ratio. Mask True = kept."""

import math

import numpy as np
from numpy.typing import NDArray

from training.program import Mask

_BLOCK = 65_536  # numbers that lie in a core's cache: faster than one pass over a long vector


def prune_count(pruning_ratio: float, size: int) -> int:
    """ceil(pruning_ratio * size): rounding up, so that the latency threshold holds (W-1.5 of [WFL]).

    A relative 1e-12 is taken off first, or the rounding error of the product would now and then prune one more.
    """
    return min(size, math.ceil(pruning_ratio * size * (1.0 - 1e-12)))


def retained_count(keep: float, size: int) -> int:
    """size - floor((1 - keep) size): what Thres of [MCE-PL] (3) keeps of a layer.

    The rounding error of the product, a relative 1e-12, keeps no weight more.
    """
    return size - math.floor((1.0 - keep) * size * (1.0 + 1e-12))


def keep_most_important(importance: NDArray[np.floating], pruned: int) -> Mask:
    """Mask (N,) that prunes exactly the `pruned` smallest of `importance` (N,), among equals those of lowest index.

    One ranking over the whole vector, so masks for growing `pruned` are nested.
    """
    if pruned == 0:
        return np.ones(importance.shape, dtype=np.bool_)
    # Ranked downwards: NumPy's selection is slow (200 ms for 15 million) where many equals come first, as zeros.
    kept, ranked = importance.size - pruned, np.negative(importance)
    ranked.partition(kept)
    threshold = -ranked[kept]  # the most important of what is pruned
    mask = np.asarray(importance > threshold)
    missing = kept - np.count_nonzero(mask)
    for stop in range(importance.size, 0, -_BLOCK):  # its equals from the end, until none is missing
        if not missing:
            break
        block = slice(max(0, stop - _BLOCK), stop)
        ties = np.flatnonzero(importance[block] == threshold)[-missing:]
        mask[block][ties] = True
        missing -= ties.size
    return mask
