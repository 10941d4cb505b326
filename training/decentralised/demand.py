"""What decentralised methods ask of the network."""

from collections.abc import Sequence

import numpy as np

from training.decentralised.method import PeerMethod
from training.engine.accounting import updates
from training.engine.program import in_epochs
from training.sparsity.payload import BITS_PER_WEIGHT
from wirelessfl.values import Demand


def dense_demand(method: PeerMethod, clients: int, epoch_steps: Sequence[int] | None) -> Demand:
    """The demand of a method whose agents train and send everything, whatever the ratio."""
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
    """Steps of each agent's epoch, nominal ones where the data are not read yet."""
    if epoch_steps is not None:
        return epoch_steps
    return [
        method.task.nominal_epoch(clients) if in_epochs(method.nominal_program()) else 0
    ] * clients
