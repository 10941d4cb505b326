"""Given pruning ratios: one for all clients or one per client."""

import numpy as np

from wirelessfl.allocation.problem import Array
from wirelessfl.errors import InputError
from wirelessfl.values import PerClient


def given_ratios(pruning_ratio: PerClient, shape: tuple[int, ...]) -> Array:
    """Broadcast given pruning ratios to a problem's shape.

    Args:
        pruning_ratio: One number, or one per client, (K,).
        shape: Shape (..., K) of the problem.

    Returns:
        Ratios of that shape, a copy.

    Raises:
        InputError: Neither 1 nor K ratios.
    """
    given = np.asarray(pruning_ratio, dtype=np.float64)
    clients = shape[-1]
    if given.shape not in ((), (clients,)):
        raise InputError(
            f"pruning_ratio must be 1 number or {clients}, one per client, got {given.size}"
        )
    return np.broadcast_to(given, shape).copy()
