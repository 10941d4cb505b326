"""Aggregation on the server: the mean over the holders of each weight."""

from collections.abc import Iterable

import numpy as np

from training.arrays import Mask, Vector

_PIECE = 1 << 18  # values added at once: 2 MB stay in the cache


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
    total = np.zeros(previous.shape)  # sum of n_k u_k over holders
    weight_sum = np.zeros(previous.shape)  # sum of n_k over holders with a partial mask
    full_weight = 0.0  # sum of n_k over clients that hold all weights
    buffer = np.empty(min(_PIECE, previous.size))
    for vector, mask, weight in updates:
        full = bool(mask.all())
        if full:
            full_weight += weight
        for start in range(0, previous.size, _PIECE):
            piece = slice(start, start + _PIECE)
            # Copied to float64 first: faster than adding float32 to float64.
            term = buffer[: previous.size - start]
            np.copyto(term, vector[piece])
            if weight != 1.0:
                term *= weight
            if full:  # without `where` it takes a third of the time
                total[piece] += term
            else:
                np.add(total[piece], term, out=total[piece], where=mask[piece])
                np.add(weight_sum[piece], weight, out=weight_sum[piece], where=mask[piece])
    weight_sum += full_weight
    mean = np.divide(total, weight_sum, out=previous.astype(np.float64), where=weight_sum > 0)
    return mean.astype(np.float32)
