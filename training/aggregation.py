"""The server's side of a round."""

from collections.abc import Iterable

import numpy as np

from training.arrays import Mask, Vector

_PIECE = 1 << 18  # numbers that are added in one go: 2 MB stay in the cache


def mean_over_holders(previous: Vector, updates: Iterable[tuple[Vector, Mask]]) -> Vector:
    """u_j = mean of u_kj over the clients k that hold coordinate j: [WFL] eq. (15); shape (N,)
    float32.

    `updates` are (vector, mask) of the clients that delivered, each (N,), and are let go of one by
    one. No data-size weights. Sums run in float64 and in the order given.

    **Differs:** the paper says nothing about a coordinate that nobody holds; it keeps its
    `previous` value.
    """
    return weighted_mean_over_holders(previous, ((vector, mask, 1.0) for vector, mask in updates))


def weighted_mean_over_holders(
    previous: Vector, updates: Iterable[tuple[Vector, Mask, float]]
) -> Vector:
    """u_j = sum_k n_k u_kj / sum_k n_k over the clients k that hold coordinate j; `updates` are
    (u_k, mask, n_k).

    With masks that hold everything and n_k samples on client k it is line 8 of FederatedAveraging
    (McMahan et al. 2017, Algorithm 1); with all weights 1 it is `mean_over_holders`, whose rules it
    follows.
    """
    total, held, by_all = np.zeros(previous.shape), np.zeros(previous.shape), 0.0
    room = np.empty(min(_PIECE, previous.size))
    for vector, mask, weight in updates:
        whole = bool(mask.all())
        by_all += weight if whole else 0.0
        for start in range(0, previous.size, _PIECE):
            piece = slice(start, start + _PIECE)
            term = room[: previous.size - start]
            np.copyto(
                term, vector[piece]
            )  # a sum of float64 and float32 takes longer than these two steps
            if weight != 1.0:
                term *= weight
            if whole:  # without `where` it takes a third of the time
                total[piece] += term
            else:
                np.add(total[piece], term, out=total[piece], where=mask[piece])
                np.add(held[piece], weight, out=held[piece], where=mask[piece])
    held += by_all
    mean = np.divide(total, held, out=previous.astype(np.float64), where=held > 0)
    return mean.astype(np.float32)
