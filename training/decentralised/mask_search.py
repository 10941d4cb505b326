"""Decentralised sparse training whose masks move: Dis-PFL (Dai et al. 2022)."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from training.arrays import Mask, Vector
from training.clients import ClientPool
from training.decentralised.masked_weights import Payload, masked_demand, masked_work
from training.decentralised.method import AgentContext, Inbox, LocalOutcome, PeerMethod
from training.decentralised.neighbours import Peers
from training.decentralised.pruned_weights import average_over_holders, masked
from training.decentralised.retention import Retention, mask_density, maskable_entries
from training.decentralised.state import AgentValues, PeerState
from training.engine.program import Accumulate, LocalResult, LocalWork, Program, Train
from training.sparsity.counts import erk_counts, prune_count, retained_count
from training.sparsity.top_k import prune_further, top_k
from training.structure.layout import Layout
from training.task import Task
from wirelessfl.graph import Graph
from wirelessfl.rng import Streams
from wirelessfl.values import Demand


@dataclass(frozen=True, kw_only=True)
class MaskSearch(PeerMethod):
    """Agents that train under masks of a fixed size and move these masks after training:
    [MCE-PL] M-10.

    An agent holds its `vector` (size,), the mean of its neighbourhood under its new `mask`
    (parameter_size,), and the trained `model` (size,) under the old one, by which it is judged.
    `look`, a gradient after training, says what grows again; without it that is drawn. The rule is
    that of `dis-pfl`, whose fields these are.
    """

    task: Task
    graph: Graph
    train: Train
    look: Accumulate | None
    keep: Retention
    drop_share: float
    anneal_rounds: int
    move_every: int
    learning_rate_decay: float
    payload: Payload

    def nominal_program(self) -> Program:
        """That of a round in which the mask moves, at the rate of the first one."""
        return (self.train,) if self.look is None else (self.train, self.look)

    def start(self, cohort: ClientPool, peers: Peers, seed: int) -> PeerState:
        """One seeded model, under a random mask of each agent's own."""
        vector, layout, streams = cohort.initial_vector(seed), cohort.layout, Streams(seed)
        masks = np.ones((cohort.clients, layout.parameter_size), dtype=np.bool_)
        for agent, ratio in enumerate(self.keep.ratios(cohort.clients)):
            generator = streams.generator("masks", agent)
            for entry, count in zip(
                maskable_entries(layout), layer_counts(layout, ratio), strict=True
            ):
                masks[agent, entry.slice] = _chosen(
                    np.arange(entry.size), count, entry.size, generator
                )
        vectors = np.stack([masked(vector, mask) for mask in masks])
        return PeerState(seed, 0, {"vector": vectors, "mask": masks, "model": vectors.copy()})

    def demand(
        self,
        clients: int,
        epoch_steps: Sequence[int] | None = None,
        state: PeerState | None = None,
    ) -> Demand:
        """The same in every round in which masks move, and without the look in the others: masks
        keep their size.
        """
        _, layout = self.spec().build_model()
        without = layout.parameter_size - sum(entry.size for entry in maskable_entries(layout))
        ones = [without + sum(layer_counts(layout, ratio)) for ratio in self.keep.ratios(clients)]
        method = self._in_round(0 if state is None else state.round)
        return masked_demand(method, layout, np.array(ones), epoch_steps, self.payload)

    def work(self, place: AgentContext, own: AgentValues, inbox: Inbox) -> LocalWork:
        """SGD on what is kept, at the rate of the round."""
        rate = self.train.learning_rate * self.learning_rate_decay**place.streams.round
        method = replace(
            self._in_round(place.streams.round), train=replace(self.train, learning_rate=rate)
        )
        return masked_work(place, own, method.nominal_program())

    def local(self, place: AgentContext, own: AgentValues, result: LocalResult) -> LocalOutcome:
        """It sends the trained model with the mask under which it was trained."""
        message = {"vector": result.vector, "mask": own["mask"]}
        bits = self.payload.bits(place.cohort.layout, int(np.count_nonzero(own["mask"])))
        return LocalOutcome(
            own={**message, "next": self._moved(place, own["mask"], result)},
            message=message,
            bits=bits,
        )

    def mix(self, place: AgentContext, own: AgentValues, inbox: Inbox) -> AgentValues:
        """Mean of each weight over those of the closed neighbourhood who trained it, under the
        agent's new mask.
        """
        mean = average_over_holders(own["vector"], own["mask"], inbox)
        return {"vector": masked(mean, own["next"]), "mask": own["next"], "model": own["vector"]}

    def model(self, own: AgentValues, common: AgentValues) -> Vector:
        """The model as trained."""
        return own["model"]

    def extra(self, state: PeerState, cohort: ClientPool) -> dict[str, float]:
        """The share of weights that is kept, mean over agents."""
        return {"ones_share": mask_density(state.rows["mask"], cohort.layout)}

    def _moves(self, round: int) -> bool:
        return (round + 1) % self.move_every == 0

    def _in_round(self, round: int) -> "MaskSearch":
        """The method as it is in this round: nobody looks for what grows where the mask stays."""
        return self if self._moves(round) else replace(self, look=None)

    def _moved(self, place: AgentContext, mask: Mask, result: LocalResult) -> Mask:
        """As many ones in each layer: the smallest |w| go, and others come where the mask had none."""
        if not self._moves(place.streams.round):
            return mask
        share, moved = (
            moving_share(self.drop_share, place.streams.round, self.anneal_rounds),
            mask.copy(),
        )
        generator = place.streams.generator("regrow", place.agent)
        for entry in maskable_entries(place.cohort.layout):
            kept, weights = mask[entry.slice], np.abs(result.vector[entry.slice])
            ones, empty = int(np.count_nonzero(kept)), np.flatnonzero(~kept)
            moving = min(prune_count(share, ones), len(empty))
            if self.look is None:
                grown = _chosen(empty, moving, entry.size, generator)
            else:
                grown = np.zeros(entry.size, dtype=np.bool_)
                grown[empty] = top_k(np.abs(result.sums["gradient"][entry.slice][empty]), moving)
            moved[entry.slice] = prune_further(kept, weights, ones - moving) | grown
        return moved


def moving_share(first: float, round: int, anneal_rounds: int) -> float:
    """first / 2 (1 + cos(pi t / T)) of a layer's ones are moved in round t; none from round T on."""
    return first / 2.0 * (1.0 + math.cos(math.pi * min(round, anneal_rounds) / anneal_rounds))


def layer_counts(layout: Layout, keep_ratio: float) -> tuple[int, ...]:
    """Weights kept in each layer with a mask by the Erdos-Renyi-kernel rule, n - floor((1 - r) n)
    of all n.
    """
    layers = maskable_entries(layout)
    return erk_counts(
        [entry.shape for entry in layers],
        retained_count(keep_ratio, sum(each.size for each in layers)),
    )


def _chosen(
    places: NDArray[np.int64], count: int, size: int, generator: np.random.Generator
) -> Mask:
    """A mask (size,) of `count` of these places, drawn."""
    mask = np.zeros(size, dtype=np.bool_)
    mask[generator.choice(places, count, replace=False)] = True
    return mask
