"""Decentralised learning of masks: [MCE-PL] M-1, and its special case without neighbours."""

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
    initial_neighbour_mask,
    initial_scores,
    initial_weights,
)
from training.decentralised.method import AgentContext, Inbox, LocalOutcome, PeerMethod
from training.decentralised.neighbours import Peers, mean_mask
from training.decentralised.retention import (
    Retention,
    mask_density,
    maskable_entries,
    retention_fractions,
)
from training.decentralised.state import AgentValues, PeerState
from training.engine.program import LocalResult, LocalWork, Program, TrainMask
from training.engine.straight_through import mask_of
from training.engine.updates import steps_of
from training.sparsity.payload import most_bits, payload_bits, retained_counts
from training.structure.layout import Entry
from training.task import Task
from wirelessfl.errors import InputError
from wirelessfl.graph import Graph
from wirelessfl.values import Array, Demand

_Layers = list[tuple[Entry, float]]


@dataclass(frozen=True, kw_only=True)
class MaskLearning(PeerMethod):
    """Agents that learn scores z of common, constant weights w; their model is w m.

    An agent has `scores` and `mask`, (parameter_size,), and `buffers`, its running statistics; w is
    common. With an exchange agents send their masks and take the steps [MCE-PL] eq. (16)-(19) with
    the mean of the masks that they have received; without it z does not change after training.

    Attributes:
        task: Data set, partition and model.
        graph: Communication graph.
        train: Local training, whose fractions `keep` fills in.
        keep: Fraction of the weights that an agent keeps.
        exchange: Whether agents send their masks.
        fine_tune_rate: Step size of [MCE-PL] eq. (17).
        payload: Bits of a mask, see `training.sparsity.payload`.
        weight_init: Distribution of w.
        initial_neighbour_keep: Density of the assumed initial masks in convolutions.
        initial_neighbour_fc_keep: Density of the assumed initial masks in fully connected layers.
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
        """Training of a mask, of any fractions."""
        return (self.train,)

    def init(self, pool: ClientPool, peers: Peers, seed: int) -> PeerState:
        """The same w, z and assumed neighbours' masks for all agents; m^(0) follows from them."""
        layout = pool.layout
        vector = initial_weights(pool, seed, self.weight_init)
        scores = initial_scores(layout, seed)
        last_received: dict[str, Mask] = {}
        neighbours = None
        if self.exchange:
            assumed = initial_neighbour_mask(
                layout, seed, self.initial_neighbour_keep, self.initial_neighbour_fc_keep
            )
            last_received = {"mask": np.tile(assumed, (pool.clients, 1))}
            neighbours = mean_mask([assumed] if peers.degrees.any() else [], len(assumed))
        masks = [
            self._mask(scores, neighbours, self.keep.layers(layout, pool.clients, agent))
            for agent in range(pool.clients)
        ]
        rows = {
            "scores": np.tile(scores, (pool.clients, 1)),
            "mask": np.stack(masks),
            "buffers": np.tile(vector[layout.buffers], (pool.clients, 1)),
        }
        common = {"weights": vector[: layout.parameter_size]}
        return PeerState(seed, 0, rows, common, last_received)

    def demand(
        self,
        clients: int,
        epoch_steps: Sequence[int] | None = None,
        state: PeerState | None = None,
    ) -> Demand:
        """Updates of the scores that are kept, and the largest payload of one mask, all fixed."""
        model, layout = self.spec().build_model()
        weights = layout.flatten(model)
        if self.weight_init == "fan-in" and not any(
            weights[entry.slice].any() for entry in maskable_entries(layout)
        ):
            raise InputError(
                f"training.weight_init must not be 'fan-in' for model {self.task.model!r}, whose "
                "weights begin at 0: a mask of them learns nothing"
            )
        steps = nominal_steps(self, clients, epoch_steps)
        fixed, prunable = self.keep.kept(layout, clients)
        taken = np.array([steps_of(self.train, each) for each in steps], dtype=np.float64)
        bits = np.zeros(clients)
        if self.exchange:
            sizes = [entry.size for entry in maskable_entries(layout)]
            bits_of = payload_bits if self.keep.is_exact else most_bits
            for agent in range(clients):
                fractions = retention_fractions(self.keep.layers(layout, clients, agent))
                bits[agent] = bits_of(retained_counts(fractions, sizes), sizes, self.payload)
        return Demand(
            fixed_updates=taken * fixed,
            prunable_updates=taken * prunable,
            fixed_upload_bits=bits,
            prunable_upload_bits=np.zeros(clients),
        )

    def takes_part(self, pruning_ratio: Array) -> NDArray[np.bool_]:
        """True for agents that keep any weights, (K,)."""
        return self.keep.takes_part(pruning_ratio)

    def work(self, context: AgentContext, own: AgentValues, inbox: Inbox) -> LocalWork:
        """[MCE-PL] M-1, steps 1-3, under the masks last received: [MCE-PL] eq. (14)-(16)."""
        phase = replace(self.train, keep=retention_fractions(self._layers(context)))
        return LocalWork(
            client=context.agent,
            vector=np.concatenate([context.common["weights"], own["buffers"]]),
            program=(phase,),
            pruning_ratio=0.0,
            streams=context.streams,
            scores=own["scores"],
            neighbour_mask=self._mean(inbox, own),
        )

    def local(self, context: AgentContext, own: AgentValues, result: LocalResult) -> LocalOutcome:
        """Scores z^(k-1/2) with their gradient, and the mask m^(k-1/2) that is sent."""
        layout = context.pool.layout
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

    def mix(self, context: AgentContext, own: AgentValues, inbox: Inbox) -> AgentValues:
        """[MCE-PL] M-1, steps 5 and 6, by the new masks: [MCE-PL] eq. (17)-(19).

        The gradient is the one stored by the local training.
        """
        neighbours = self._mean(inbox, own)
        if neighbours is None:
            return own
        scores = own["scores"] - np.float32(self.fine_tune_rate) * own["gradient"] * neighbours
        mask = self._mask(scores, neighbours, self._layers(context))
        return {"scores": scores, "mask": mask, "buffers": own["buffers"]}

    def model(self, own: AgentValues, common: AgentValues) -> Vector:
        """The masked weights w m."""
        return np.concatenate([common["weights"] * own["mask"], own["buffers"]])

    def extra(self, state: PeerState, pool: ClientPool) -> dict[str, float]:
        """Mask density after Fil, mean over agents."""
        return {"ones_share": mask_density(state.rows["mask"], pool.layout)}

    def _layers(self, context: AgentContext) -> _Layers:
        pool = context.pool
        return self.keep.layers(pool.layout, pool.clients, context.agent, context.pruning_ratio)

    def _mean(self, inbox: Inbox, own: AgentValues) -> Vector | None:
        """The mean mask M of the inbox; None in a method without an exchange."""
        if not self.exchange:
            return None
        return mean_mask((message["mask"] for message in inbox.values()), len(own["mask"]))

    def _mask(self, scores: Vector, neighbours: Vector | None, layers: _Layers) -> Mask:
        mean = None if neighbours is None else torch.from_numpy(neighbours)
        mask: Mask = mask_of(torch.from_numpy(scores), mean, layers, self.train).bool().numpy()
        return mask
