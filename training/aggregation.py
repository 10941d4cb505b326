"""Aggregation on the server: the mean over the holders of each weight."""

from collections.abc import Iterable

import numpy as np

from training.arrays import Doubles, Mask, Vector
from training.sums import WeightedSum


def mean_over_holders(previous: Vector, updates: Iterable[tuple[Vector, Mask]]) -> Vector:
    """Mean of every weight over its holders: [WFL] eq. (15).

    u_j = mean of u_kj over the clients k that hold weight j. Clients are not weighted by their data
    sizes. Sums run in float64 and in the given order.

    **Differs:** the paper does not define a weight without holders; it keeps its `previous` value.

    Args:
        previous: The server's weights before the round, (N,).
        updates: Weights (N,) and mask (N,) of each client that delivered; taken and released one
            by one.

    Returns:
        The server's new weights, (N,) float32.
    """
    return weighted_mean_over_holders(previous, ((vector, mask, 1.0) for vector, mask in updates))


def weighted_mean_over_holders(
    previous: Vector, updates: Iterable[tuple[Vector, Mask, float]]
) -> Vector:
    """Weighted mean of every weight over its holders.

    u_j = sum_k n_k u_kj / sum_k n_k over the clients k that hold weight j. With full masks and n_k
    samples on client k it is line 8 of FederatedAveraging (McMahan et al. 2017, Algorithm 1); with
    all weights 1 it is `mean_over_holders`, whose rules it follows.

    Args:
        previous: The server's weights before the round, (N,).
        updates: Weights (N,), mask (N,) and weight n_k > 0 of each client that delivered; taken and
            released one by one.

    Returns:
        The server's new weights, (N,) float32.

    Example:
        >>> old, new = np.zeros(2, np.float32), np.ones(2, np.float32)
        >>> weighted_mean_over_holders(old, [(new, np.array([True, False]), 3.0)])
        array([1., 0.], dtype=float32)
    """
    total = WeightedSum(previous.size)  # sum of n_k u_k over holders
    full_weight = 0.0  # sum of n_k over clients that hold all weights
    partial_weight: Doubles | None = None  # and over the other holders
    for vector, mask, weight in updates:
        if mask.all():
            full_weight += weight
            total.add(vector, weight)
        else:
            if partial_weight is None:
                partial_weight = np.zeros(previous.size)
            np.add(partial_weight, weight, out=partial_weight, where=mask)
            total.add_held(vector, weight, mask)
    if partial_weight is not None:
        weights = partial_weight + full_weight
        mean = previous.astype(np.float64)
        return np.divide(total.total, weights, out=mean, where=weights > 0).astype(np.float32)
    return (total.total / full_weight).astype(np.float32) if full_weight else previous.copy()
