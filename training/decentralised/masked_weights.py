"""Decentralised weights under masks that agents carry from round to round: what they train on,
send, and cost.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.decentralised.demand import nominal_steps
from training.decentralised.method import AgentContext, PeerMethod
from training.decentralised.retention import maskable_entries
from training.decentralised.state import AgentValues
from training.engine.accounting import updates
from training.engine.program import LocalWork, Program
from training.sparsity.payload import BITS_PER_WEIGHT
from training.structure.layout import Layout
from wirelessfl.values import Demand


@dataclass(frozen=True, kw_only=True)
class Payload:
    """What a model takes on the air: 32 bits for each weight that is kept and each running
    statistic.

    Where `dense` they are for all weights; a `bitmap` adds one bit for each weight that can be
    pruned.
    """

    dense: bool = False
    bitmap: bool = False

    def bits(self, layout: Layout, ones: int) -> float:
        """Bits of a model with `ones` weights kept, biases among them."""
        numbers = layout.size if self.dense else layout.size - layout.parameter_size + ones
        return float(
            BITS_PER_WEIGHT * numbers
            + self.bitmap * sum(entry.size for entry in maskable_entries(layout))
        )


def masked_work(place: AgentContext, own: AgentValues, program: Program) -> LocalWork:
    """`program` on the agent's `vector` (size,) where its `mask` (parameter_size,) keeps it; the
    rest stays 0.
    """
    return LocalWork(
        client=place.agent,
        vector=own["vector"],
        program=program,
        pruning_ratio=0.0,
        streams=place.streams,
        mask=own["mask"],
    )


def masked_demand(
    method: PeerMethod,
    layout: Layout,
    ones: NDArray[np.int64],
    epoch_steps: Sequence[int] | None,
    payload: Payload,
) -> Demand:
    """The demand of agents of whose weights `ones` (K,) are kept, whatever the network's ratio.

    A step updates what is kept; gradients that are only summed are those of all weights.
    """
    clients, program = len(ones), method.nominal_program()
    work = np.array(
        [
            updates(program, 0, layout.shared_size, each)
            for each in nominal_steps(method, clients, epoch_steps)
        ]
    )
    return Demand(
        fixed_updates=work[:, 0] + work[:, 1] / layout.shared_size * ones,
        prunable_updates=np.zeros(clients),
        fixed_upload_bits=np.array([payload.bits(layout, int(each)) for each in ones]),
        prunable_upload_bits=np.zeros(clients),
    )
