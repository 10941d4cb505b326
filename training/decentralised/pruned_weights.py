"""Decentralised training of weights that every agent prunes to its own size: [MCE-PL] M-3 to M-5."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from training.aggregation import weighted_mean_over_holders
from training.arrays import Mask, Vector
from training.clients import ClientPool
from training.decentralised.demand import nominal_steps
from training.decentralised.initialisation import WeightInit, initial_weights
from training.decentralised.method import AgentContext, Inbox, LocalOutcome, PeerMethod
from training.decentralised.neighbours import Peers
from training.decentralised.retention import Retention, mask_density, maskable_entries, shares
from training.decentralised.state import AgentValues, PeerState
from training.engine.accounting import steps_of
from training.engine.program import LocalResult, LocalWork, Program, TrainPruned
from training.engine.straight_through import mask_of
from training.sparsity.payload import BITS_PER_WEIGHT
from training.structure.layout import Layout
from training.task import Task
from wirelessfl.graph import Graph
from wirelessfl.values import Array, Demand

Combine = Callable[[Vector, Mask, Inbox], Vector]


@dataclass(frozen=True, kw_only=True)
class PrunedWeights(PeerMethod):
    """Agents that train weights of which each keeps the largest; their model is w m.

    An agent holds its `vector` (size,) and its `mask` (parameter_size,). `train` is the local work,
    whose shares `keep` fills in. `combine` makes the next vector of an agent's vector and mask and
    of its inbox of pruned models, after which it prunes again; without it agents send nothing. With
    `hard` what is pruned is overwritten by 0 each time.
    """

    task: Task
    graph: Graph
    train: TrainPruned
    keep: Retention
    combine: Combine | None
    hard: bool
    dense_payload: bool
    count_mask_bits: bool
    weight_init: WeightInit = "fan-in"

    def nominal_program(self) -> Program:
        """Training of pruned weights; the shares do not matter."""
        return (self.train,)

    def start(self, cohort: ClientPool, peers: Peers, seed: int) -> PeerState:
        """One seeded model for all, which each prunes to its size."""
        layout, clients = cohort.layout, cohort.clients
        vector = initial_weights(cohort, seed, self.weight_init)
        pruned = [self._pruned(vector, layout, agent, clients, 0.0) for agent in range(clients)]
        return PeerState(
            seed, 0, {name: np.stack([row[name] for row in pruned]) for name in pruned[0]}
        )

    def demand(
        self,
        clients: int,
        epoch_steps: Sequence[int] | None = None,
        state: PeerState | None = None,
    ) -> Demand:
        """Updates and 32 bits of each weight kept; what the allocation's ratio shrinks is prunable."""
        _, layout = self.spec().build_model()
        steps = nominal_steps(self, clients, epoch_steps)
        taken = np.array([steps_of(self.train, each) for each in steps], dtype=np.float64)
        fixed, prunable = self.keep.kept(layout, clients)
        sends = self.combine is not None
        kept = fixed + layout.size - layout.parameter_size
        shrinks = prunable * (not self.dense_payload)
        if self.dense_payload:
            kept = np.full(clients, float(layout.size))
        return Demand(
            fixed_updates=taken * fixed,
            prunable_updates=taken * prunable,
            fixed_upload_bits=sends * (BITS_PER_WEIGHT * kept + self._bitmap(layout)),
            prunable_upload_bits=sends * BITS_PER_WEIGHT * shrinks,
        )

    def takes_part(self, pruning_ratio: Array) -> NDArray[np.bool_]:
        """Who has a share of its model left, (K,)."""
        return self.keep.takes_part(pruning_ratio)

    def work(self, place: AgentContext, own: AgentValues, inbox: Inbox) -> LocalWork:
        """SGD on what is kept."""
        layers = self.keep.layers(
            place.cohort.layout, place.cohort.clients, place.agent, place.pruning_ratio
        )
        return LocalWork(
            client=place.agent,
            vector=own["vector"],
            program=(replace(self.train, keep=shares(layers)),),
            pruning_ratio=0.0,
            streams=place.streams,
        )

    def local(self, place: AgentContext, own: AgentValues, result: LocalResult) -> LocalOutcome:
        """The trained weights and the mask of the largest; the pruned model is sent."""
        layout = place.cohort.layout
        mask = result.mask[: layout.parameter_size]
        pruned = masked(result.vector, mask)
        kept = {"vector": pruned if self.hard else result.vector, "mask": mask}
        if self.combine is None:
            return LocalOutcome(own=kept)
        numbers = (
            layout.size
            if self.dense_payload
            else layout.size - mask.size + int(np.count_nonzero(mask))
        )
        bits = float(BITS_PER_WEIGHT * numbers + self._bitmap(layout))
        return LocalOutcome(own=kept, message={"vector": pruned, "mask": mask}, bits=bits)

    def mix(self, place: AgentContext, own: AgentValues, inbox: Inbox) -> AgentValues:
        """The combined weights, pruned again; the agent's own where nothing has come."""
        if self.combine is None or not inbox:
            return own
        vector, cohort = self.combine(own["vector"], own["mask"], inbox), place.cohort
        return self._pruned(vector, cohort.layout, place.agent, cohort.clients, place.pruning_ratio)

    def model(self, own: AgentValues, common: AgentValues) -> Vector:
        """w m."""
        return masked(own["vector"], own["mask"])

    def extra(self, state: PeerState, cohort: ClientPool) -> dict[str, float]:
        """The share of ones that is left after Fil, mean over agents."""
        return {"ones_share": mask_density(state.rows["mask"], cohort.layout)}

    def _pruned(
        self, vector: Vector, layout: Layout, agent: int, clients: int, ratio: float
    ) -> Mapping[str, NDArray]:
        layers = self.keep.layers(layout, clients, agent, ratio)
        weights = torch.from_numpy(vector[: layout.parameter_size])
        mask = mask_of(weights, None, layers, self.train).bool().numpy()
        return {"vector": masked(vector, mask) if self.hard else vector, "mask": mask}

    def _bitmap(self, layout: Layout) -> int:
        return sum(entry.size for entry in maskable_entries(layout)) if self.count_mask_bits else 0


def average(own: Vector, mask: Mask, inbox: Inbox) -> Vector:
    """(w_i + sum_j w_j m_j) / (1 + the models heard) over all entries, zeros of what neighbours
    pruned included.
    """
    everything = np.ones(own.shape, dtype=np.bool_)
    vectors = [own, *(message["vector"] for message in inbox.values())]
    return weighted_mean_over_holders(own, ((vector, everything, 1.0) for vector in vectors))


def average_over_holders(own: Vector, mask: Mask, inbox: Inbox) -> Vector:
    """Mean of each entry over those of the closed neighbourhood who keep it, the own value where
    nobody does.
    """
    statistics = np.ones(own.size - mask.size, dtype=np.bool_)
    held = [(own, mask), *((message["vector"], message["mask"]) for message in inbox.values())]
    return weighted_mean_over_holders(
        own, ((v, np.concatenate([m, statistics]), 1.0) for v, m in held)
    )


def masked(vector: Vector, mask: Mask) -> Vector:
    """w m (size,) of a vector and its mask (parameter_size,), running statistics as they are."""
    return np.concatenate([vector[: mask.size] * mask, vector[mask.size :]])
