"""The server's side of a round."""

from collections.abc import Iterable

import numpy as np

from training.program import Mask, Vector


def mean_over_holders(previous: Vector, updates: Iterable[tuple[Vector, Mask]]) -> Vector:
    """u_j = mean of u_kj over the clients k that hold coordinate j: eq. (15) of [WFL]; shape (N,) float32.

    `updates` are (vector, mask) of the clients that delivered, each (N,), and are let go of one by one. No data-size
    weights. Sums run in float64 and in the order given.

    **Differs:** the paper says nothing about a coordinate that nobody holds; it keeps its `previous` value.
    """
    total = np.zeros(previous.shape, dtype=np.float64)
    holders = np.zeros(previous.shape, dtype=np.int64)
    for vector, mask in updates:
        np.add(total, vector, out=total, where=mask)
        holders += mask
    mean = np.divide(total, holders, out=previous.astype(np.float64), where=holders > 0)
    return mean.astype(np.float32)
