"""Decentralised learning of masks: [MCE-PL] M-1, and what is left of it without neighbours."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from training.arrays import Mask, Vector
from training.clients import ClientPool
from training.decentralised.demand import nominal_steps
from training.decentralised.initialisation import (
    WeightInit,
    first_neighbour_mask,
    initial_scores,
    initial_weights,
)
from training.decentralised.method import AgentContext, Inbox, LocalOutcome, PeerMethod
from training.decentralised.neighbours import Peers, mean_mask
from training.decentralised.retention import Retention, mask_density, maskable_entries, shares
from training.decentralised.state import AgentValues, PeerState
from training.engine.accounting import steps_of
from training.engine.program import LocalResult, LocalWork, Program, TrainMask
from training.engine.straight_through import mask_of
from training.sparsity.payload import most_bits, payload_bits, retained_counts
from training.structure.layout import Entry
from training.task import Task
from wirelessfl.graph import Graph
from wirelessfl.values import Array, Demand

_Layers = list[tuple[Entry, float]]


@dataclass(frozen=True, kw_only=True)
class MaskLearning(PeerMethod):
    """Agents that learn scores z of the weights w, which all share and nobody changes; their model
    is w m.

    An agent holds `scores` and `mask`, (parameter_size,), and `buffers`, its running statistics; w
    is common. `train` is the local work, whose shares `keep` fills in. With `exchange` agents send
    their masks and take steps [MCE-PL] eq. (16)-(19) of [MCE-PL] M-1 with the mean of those
    they have, where `fine_tune_rate` is the rate of [MCE-PL] eq. (17); without it z stays as
    trained.
    """

    task: Task
    graph: Graph
    train: TrainMask
    keep: Retention
    exchange: bool
    fine_tune_rate: float
    payload: str
    weight_init: WeightInit
    initial_neighbour_keep: float
    initial_neighbour_fc_keep: float

    def nominal_program(self) -> Program:
        """Training of a mask; the shares do not matter."""
        return (self.train,)

    def start(self, cohort: ClientPool, peers: Peers, seed: int) -> PeerState:
        """w, z and the neighbours' masks are the same for all; m^(0) follows from them."""
        layout, clients = cohort.layout, cohort.clients
        vector, scores = (
            initial_weights(cohort, seed, self.weight_init),
            initial_scores(layout, seed),
        )
        heard: dict[str, Mask] = {}
        neighbours = None
        if self.exchange:
            first = first_neighbour_mask(
                layout, seed, self.initial_neighbour_keep, self.initial_neighbour_fc_keep
            )
            heard = {"mask": np.tile(first, (clients, 1))}
            neighbours = mean_mask([first] if peers.degrees.any() else [], len(first))
        masks = [
            self._mask(scores, neighbours, self.keep.layers(layout, clients, agent))
            for agent in range(clients)
        ]
        rows = {
            "scores": np.tile(scores, (clients, 1)),
            "mask": np.stack(masks),
            "buffers": np.tile(vector[layout.buffers], (clients, 1)),
        }
        return PeerState(seed, 0, rows, {"weights": vector[: layout.parameter_size]}, heard)

    def demand(
        self,
        clients: int,
        epoch_steps: Sequence[int] | None = None,
        state: PeerState | None = None,
    ) -> Demand:
        """Updates of the scores of what is kept, and bits of one mask at most, which never shrink
        with the ratio.
        """
        _, layout = self.spec().build_model()
        steps = nominal_steps(self, clients, epoch_steps)
        fixed, prunable = self.keep.kept(layout, clients)
        taken = np.array([steps_of(self.train, each) for each in steps], dtype=np.float64)
        sizes = [entry.size for entry in maskable_entries(layout)]
        counts = [
            retained_counts(shares(self.keep.layers(layout, clients, agent)), sizes)
            for agent in range(clients)
        ]
        bits_of = payload_bits if self.keep.is_exact else most_bits
        bits = np.array(
            [bits_of(each, sizes, self.payload) if self.exchange else 0.0 for each in counts]
        )
        return Demand(
            fixed_updates=taken * fixed,
            prunable_updates=taken * prunable,
            fixed_upload_bits=bits,
            prunable_upload_bits=np.zeros(clients),
        )

    def takes_part(self, pruning_ratio: Array) -> NDArray[np.bool_]:
        """Who has a share of its model left, (K,)."""
        return self.keep.takes_part(pruning_ratio)

    def work(self, place: AgentContext, own: AgentValues, inbox: Inbox) -> LocalWork:
        """Steps 1-3 of [MCE-PL] M-1 under the masks last heard, [MCE-PL] eq. (14)-(16)."""
        return LocalWork(
            client=place.agent,
            vector=np.concatenate([place.common["weights"], own["buffers"]]),
            program=(self._phase(place),),
            pruning_ratio=0.0,
            streams=place.streams,
            scores=own["scores"],
            neighbour_mask=self._mean(inbox, own),
        )

    def local(self, place: AgentContext, own: AgentValues, result: LocalResult) -> LocalOutcome:
        """z^(k-1/2) with the gradient that led there, and the mask m^(k-1/2) that is sent."""
        layout = place.cohort.layout
        assert result.scores is not None
        mask = result.mask[: layout.parameter_size]
        trained = {"scores": result.scores, "mask": mask, "buffers": result.vector[layout.buffers]}
        if not self.exchange:
            return LocalOutcome(own=trained)
        layers = maskable_entries(layout)
        bits = payload_bits(
            [mask[entry.slice] for entry in layers], [entry.size for entry in layers], self.payload
        )
        return LocalOutcome(
            own={**trained, "gradient": result.sums["score_gradient"]},
            message={"mask": mask},
            bits=bits,
        )

    def mix(self, place: AgentContext, own: AgentValues, inbox: Inbox) -> AgentValues:
        """Steps 5 and 6 of [MCE-PL] M-1, [MCE-PL] eq. (17)-(19), by the new masks; the gradient
        is the stored one.
        """
        neighbours = self._mean(inbox, own)
        if neighbours is None:
            return own
        scores = own["scores"] - np.float32(self.fine_tune_rate) * own["gradient"] * neighbours
        mask = self._mask(scores, neighbours, self._layers(place))
        return {"scores": scores, "mask": mask, "buffers": own["buffers"]}

    def model(self, own: AgentValues, common: AgentValues) -> Vector:
        """w m."""
        return np.concatenate([common["weights"] * own["mask"], own["buffers"]])

    def extra(self, state: PeerState, cohort: ClientPool) -> dict[str, float]:
        """The share of ones that is left after Fil, mean over agents."""
        return {"ones_share": mask_density(state.rows["mask"], cohort.layout)}

    def _layers(self, place: AgentContext) -> _Layers:
        return self.keep.layers(
            place.cohort.layout, place.cohort.clients, place.agent, place.pruning_ratio
        )

    def _phase(self, place: AgentContext) -> TrainMask:
        return replace(self.train, keep=shares(self._layers(place)))

    def _mean(self, inbox: Inbox, own: AgentValues) -> Vector | None:
        """M of what is in the inbox, None in a method that listens to nobody."""
        if not self.exchange:
            return None
        return mean_mask((message["mask"] for message in inbox.values()), len(own["mask"]))

    def _mask(self, scores: Vector, neighbours: Vector | None, layers: _Layers) -> Mask:
        mean = None if neighbours is None else torch.from_numpy(neighbours)
        mask: Mask = mask_of(torch.from_numpy(scores), mean, layers, self.train).bool().numpy()
        return mask
