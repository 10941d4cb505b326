"""Decentralised training of weights that every agent prunes to its size: [MCE-PL] M-3 to M-5."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from numpy.typing import NDArray

from training.aggregation import weighted_mean_over_holders
from training.arrays import Mask, Vector
from training.clients import ClientPool
from training.decentralised.demand import nominal_steps
from training.decentralised.initialisation import WeightInit, initial_weights
from training.decentralised.masked_weights import Payload, masked
from training.decentralised.method import AgentContext, Inbox, LocalOutcome, PeerMethod
from training.decentralised.neighbours import Peers
from training.decentralised.retention import Retention, mask_density, retention_fractions
from training.decentralised.state import AgentValues, PeerState
from training.engine.program import LocalResult, LocalWork, Program, TrainPruned
from training.engine.straight_through import mask_of
from training.engine.updates import steps_of
from training.sparsity.payload import BITS_PER_WEIGHT
from training.structure.layout import Layout
from training.task import Task
from wirelessfl.graph import Graph
from wirelessfl.values import Array, Demand

Combine = Callable[[Vector, Mask, Inbox], Vector]


@dataclass(frozen=True, kw_only=True)
class PrunedWeights(PeerMethod):
    """Agents that train weights w of which each keeps the largest; their model is w m.

    An agent has its `vector` (size,) and its `mask` (parameter_size,).

    Attributes:
        task: Data set, partition and model.
        graph: Communication graph.
        train: Local training, whose fractions `keep` fills in.
        keep: Fraction of the weights that an agent keeps.
        combine: Next vector from the vector, mask and inbox of an agent, which is pruned again;
            agents send nothing if None.
        hard: Whether pruned weights are overwritten by 0.
        payload: Bits of a pruned model.
        weight_init: Distribution of the initial weights.
    """

    task: Task
    graph: Graph
    train: TrainPruned
    keep: Retention
    combine: Combine | None
    hard: bool
    payload: Payload = field(default_factory=Payload)
    weight_init: WeightInit = "fan-in"

    def nominal_program(self) -> Program:
        """Training of pruned weights, of any fractions."""
        return (self.train,)

    def init(self, pool: ClientPool, peers: Peers, seed: int) -> PeerState:
        """One seeded model for all agents, which each of them prunes to its size."""
        vector = initial_weights(pool, seed, self.weight_init)
        agents = range(pool.clients)
        pruned = [self._pruned(vector, pool.layout, agent, pool.clients, 0.0) for agent in agents]
        rows = {name: np.stack([row[name] for row in pruned]) for name in pruned[0]}
        return PeerState(seed, 0, rows)

    def demand(
        self,
        clients: int,
        epoch_steps: Sequence[int] | None = None,
        state: PeerState | None = None,
    ) -> Demand:
        """Updates and 32 bits of each weight kept; prunable where the allocation gives ratios."""
        _, layout = self.spec().build_model()
        steps = nominal_steps(self, clients, epoch_steps)
        taken = np.array([steps_of(self.train, each) for each in steps], dtype=np.float64)
        fixed, prunable = self.keep.kept(layout, clients)
        fixed_values = fixed + layout.size - layout.parameter_size
        prunable_values = prunable
        if self.payload.dense:
            fixed_values = np.full(clients, float(layout.size))
            prunable_values = np.zeros(clients)
        sends = self.combine is not None
        bitmap = self.payload.bitmap_bits(layout)
        return Demand(
            fixed_updates=taken * fixed,
            prunable_updates=taken * prunable,
            fixed_upload_bits=sends * (BITS_PER_WEIGHT * fixed_values + bitmap),
            prunable_upload_bits=sends * BITS_PER_WEIGHT * prunable_values,
        )

    def takes_part(self, pruning_ratio: Array) -> NDArray[np.bool_]:
        """True for agents that keep any weights, (K,)."""
        return self.keep.takes_part(pruning_ratio)

    def work(self, context: AgentContext, own: AgentValues, inbox: Inbox) -> LocalWork:
        """SGD on the weights that are kept."""
        pool = context.pool
        layers = self.keep.layers(pool.layout, pool.clients, context.agent, context.pruning_ratio)
        return LocalWork(
            client=context.agent,
            vector=own["vector"],
            program=(replace(self.train, keep=retention_fractions(layers)),),
            pruning_ratio=0.0,
            streams=context.streams,
        )

    def local(self, context: AgentContext, own: AgentValues, result: LocalResult) -> LocalOutcome:
        """The trained weights and the mask of the largest; the pruned model is sent."""
        layout = context.pool.layout
        mask = result.mask[: layout.parameter_size]
        pruned = masked(result.vector, mask)
        kept = {"vector": pruned if self.hard else result.vector, "mask": mask}
        if self.combine is None:
            return LocalOutcome(own=kept)
        bits = self.payload.bits(layout, int(np.count_nonzero(mask)))
        return LocalOutcome(own=kept, message={"vector": pruned, "mask": mask}, bits=bits)

    def mix(self, context: AgentContext, own: AgentValues, inbox: Inbox) -> AgentValues:
        """The combined weights, pruned again; unchanged where no message has arrived."""
        if self.combine is None or not inbox:
            return own
        vector = self.combine(own["vector"], own["mask"], inbox)
        pool = context.pool
        return self._pruned(vector, pool.layout, context.agent, pool.clients, context.pruning_ratio)

    def model(self, own: AgentValues, common: AgentValues) -> Vector:
        """The masked weights w m."""
        return masked(own["vector"], own["mask"])

    def extra(self, state: PeerState, pool: ClientPool) -> dict[str, float]:
        """Mask density after Fil, mean over agents."""
        return {"ones_share": mask_density(state.rows["mask"], pool.layout)}

    def _pruned(
        self, vector: Vector, layout: Layout, agent: int, clients: int, ratio: float
    ) -> AgentValues:
        layers = self.keep.layers(layout, clients, agent, ratio)
        weights = torch.from_numpy(vector[: layout.parameter_size])
        mask = mask_of(weights, None, layers, self.train).bool().numpy()
        return {"vector": masked(vector, mask) if self.hard else vector, "mask": mask}


def average(own: Vector, mask: Mask, inbox: Inbox) -> Vector:
    """The mean (w_i + sum_j w_j m_j) / (1 + number of messages) over all entries.

    Zeros of weights that neighbours have pruned count.

    Args:
        own: Vector w_i of the agent, (size,).
        mask: Its mask, which does not matter, (parameter_size,).
        inbox: Messages with a pruned `vector` (size,).

    Returns:
        Mean (size,).
    """
    everything = np.ones(own.shape, dtype=np.bool_)
    vectors = [own, *(message["vector"] for message in inbox.values())]
    return weighted_mean_over_holders(own, ((vector, everything, 1.0) for vector in vectors))


def average_over_holders(own: Vector, mask: Mask, inbox: Inbox) -> Vector:
    """Mean of each entry over its holders in the closed neighbourhood.

    Args:
        own: Vector w_i of the agent, (size,).
        mask: Its mask m_i, (parameter_size,).
        inbox: Messages with a `vector` (size,) and its `mask` (parameter_size,).

    Returns:
        Mean (size,); the agent's own value where an entry has no holder.
    """
    statistics = np.ones(own.size - mask.size, dtype=np.bool_)
    holders = [(own, mask), *((message["vector"], message["mask"]) for message in inbox.values())]
    return weighted_mean_over_holders(
        own,
        ((vector, np.concatenate([kept, statistics]), 1.0) for vector, kept in holders),
    )
