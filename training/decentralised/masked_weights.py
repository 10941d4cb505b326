"""Decentralised training under persistent masks of the agents: local work, payload and demand."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.arrays import Mask, Vector
from training.decentralised.demand import nominal_steps
from training.decentralised.method import AgentContext, PeerMethod
from training.decentralised.retention import maskable_entries
from training.decentralised.state import AgentValues
from training.engine.program import LocalWork, Program
from training.engine.updates import updates
from training.sparsity.payload import BITS_PER_WEIGHT
from training.structure.layout import Layout
from wirelessfl.values import Demand


@dataclass(frozen=True, kw_only=True)
class Payload:
    """Bits of a masked model: 32 for each weight that is kept and for each running statistic.

    Attributes:
        dense: Whether all weights are counted, also pruned ones.
        bitmap: Whether one bit is added for each weight that can be pruned.
    """

    dense: bool = False
    bitmap: bool = False

    def bits(self, layout: Layout, ones: int) -> float:
        """Bits of one model.

        Args:
            layout: Layout of the model.
            ones: Number of weights kept, biases included.

        Returns:
            Payload in bits.
        """
        values = layout.size if self.dense else layout.size - layout.parameter_size + ones
        return float(BITS_PER_WEIGHT * values + self.bitmap_bits(layout))

    def bitmap_bits(self, layout: Layout) -> int:
        """Bits of the bitmap.

        Args:
            layout: Layout of the model.

        Returns:
            One bit for each weight that can be pruned; 0 without a bitmap.
        """
        return sum(entry.size for entry in maskable_entries(layout)) if self.bitmap else 0


def masked(vector: Vector, mask: Mask) -> Vector:
    """The masked model w m; running statistics do not change.

    Args:
        vector: Flat model w, (size,).
        mask: Mask m, (parameter_size,).

    Returns:
        Flat model, (size,).
    """
    return np.concatenate([vector[: mask.size] * mask, vector[mask.size :]])


def masked_work(context: AgentContext, own: AgentValues, program: Program) -> LocalWork:
    """Local work on the weights that the mask of an agent keeps; the others remain 0.

    Args:
        context: The agent in the round.
        own: Its `vector` (size,) and `mask` (parameter_size,).
        program: Local training.

    Returns:
        Work for the executor.
    """
    return LocalWork(
        client=context.agent,
        vector=own["vector"],
        program=program,
        pruning_ratio=0.0,
        streams=context.streams,
        mask=own["mask"],
    )


def masked_demand(
    method: PeerMethod,
    layout: Layout,
    ones: NDArray[np.int64],
    epoch_steps: Sequence[int] | None,
    payload: Payload,
) -> Demand:
    """The demand of agents with masks, at any pruning ratio.

    A step updates the weights that are kept; gradients that are only summed are those of all
    weights.

    Args:
        method: The algorithm.
        layout: Layout of the model.
        ones: Weights that each agent keeps, (K,).
        epoch_steps: Steps in an epoch of each agent, (K,); nominal ones if None.
        payload: Bits of a masked model.

    Returns:
        Demand with arrays (K,), all of it fixed.
    """
    clients = len(ones)
    program = method.nominal_program()
    steps = nominal_steps(method, clients, epoch_steps)
    work = np.array([updates(program, 0, layout.shared_size, each) for each in steps])
    return Demand(
        fixed_updates=work[:, 0] + work[:, 1] / layout.shared_size * ones,
        prunable_updates=np.zeros(clients),
        fixed_upload_bits=np.array([payload.bits(layout, int(each)) for each in ones]),
        prunable_upload_bits=np.zeros(clients),
    )
