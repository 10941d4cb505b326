"""Demand of decentralised methods."""

from collections.abc import Sequence

import numpy as np

from training.decentralised.method import PeerMethod
from training.engine.updates import updates
from training.sparsity.payload import BITS_PER_WEIGHT
from wirelessfl.values import Demand


def dense_demand(method: PeerMethod, clients: int, epoch_steps: Sequence[int] | None) -> Demand:
    """The demand of agents that train and send whole models, at any pruning ratio.

    Args:
        method: The algorithm.
        clients: Number of agents K.
        epoch_steps: Steps in an epoch of each agent, (K,); nominal ones if None.

    Returns:
        Demand with arrays (K,), all of it fixed.
    """
    _, layout = method.spec().build_model()
    steps = nominal_steps(method, clients, epoch_steps)
    work = [sum(updates(method.nominal_program(), 0, layout.shared_size, each)) for each in steps]
    nothing = np.zeros(clients)
    return Demand(
        fixed_updates=np.array(work, dtype=np.float64),
        prunable_updates=nothing,
        fixed_upload_bits=np.full(clients, float(BITS_PER_WEIGHT * layout.size)),
        prunable_upload_bits=nothing,
    )


def nominal_steps(
    method: PeerMethod, clients: int, epoch_steps: Sequence[int] | None
) -> Sequence[int]:
    """Steps in an epoch of each agent.

    Args:
        method: The algorithm.
        clients: Number of agents K.
        epoch_steps: Steps as known from the data, (K,).

    Returns:
        `epoch_steps`; nominal steps of the task if None.
    """
    if epoch_steps is not None:
        return epoch_steps
    return method.task.epoch_steps(clients, method.nominal_program())
