"""Decentralised sparse training with masks that change: Dis-PFL (Dai et al. 2022)."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from training.arrays import Mask, Vector
from training.clients import ClientPool
from training.decentralised.masked_weights import Payload, masked, masked_demand, masked_work
from training.decentralised.method import AgentContext, Inbox, LocalOutcome, PeerMethod
from training.decentralised.neighbours import Peers
from training.decentralised.pruned_weights import average_over_holders
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
    """Agents that train under masks of constant size and move them after training: [MCE-PL] M-10.

    An agent has its `vector` (size,), the mean of its neighbourhood under its new `mask`
    (parameter_size,), and the trained `model` (size,) under the old one, by which it is evaluated.
    The rule is that of `dis-pfl`.

    Attributes:
        task: Data set, partition and model.
        graph: Communication graph.
        train: Local training at the rate of the first round.
        regrowth: Gradient after training, by which weights return; drawn at random if None.
        keep: Fraction of the weights that an agent keeps.
        drop_fraction: Twice the fraction of a layer's ones that move in the first round, in [0, 1].
        anneal_rounds: Rounds T after which masks are constant, at least 1.
        move_every: Rounds between two moves, at least 1.
        learning_rate_decay: Factor of the learning rate in a round, in (0, 1].
        payload: Bits of a masked model.
    """

    task: Task
    graph: Graph
    train: Train
    regrowth: Accumulate | None
    keep: Retention
    drop_fraction: float
    anneal_rounds: int
    move_every: int
    learning_rate_decay: float
    payload: Payload

    def nominal_program(self) -> Program:
        """The program of a round in which the mask moves, at the rate of the first round."""
        return (self.train,) if self.regrowth is None else (self.train, self.regrowth)

    def init(self, pool: ClientPool, peers: Peers, seed: int) -> PeerState:
        """One seeded model, under a random mask of each agent."""
        vector = pool.initial_vector(seed)
        layout = pool.layout
        masks = np.ones((pool.clients, layout.parameter_size), dtype=np.bool_)
        for agent, ratio in enumerate(self.keep.ratios(pool.clients)):
            rng = Streams(seed).generator("masks", agent)
            counts = layer_counts(layout, ratio)
            for entry, count in zip(maskable_entries(layout), counts, strict=True):
                places = np.arange(entry.size)
                masks[agent, entry.slice] = _chosen(places, count, entry.size, rng)
        vectors = np.stack([masked(vector, mask) for mask in masks])
        return PeerState(seed, 0, {"vector": vectors, "mask": masks, "model": vectors.copy()})

    def demand(
        self,
        clients: int,
        epoch_steps: Sequence[int] | None = None,
        state: PeerState | None = None,
    ) -> Demand:
        """Updates and bits of masks of constant size; with the gradient only where masks move."""
        _, layout = self.spec().build_model()
        unmasked = layout.parameter_size - sum(entry.size for entry in maskable_entries(layout))
        ones = [unmasked + sum(layer_counts(layout, ratio)) for ratio in self.keep.ratios(clients)]
        method = self._in_round(0 if state is None else state.round)
        return masked_demand(method, layout, np.array(ones), epoch_steps, self.payload)

    def work(self, context: AgentContext, own: AgentValues, inbox: Inbox) -> LocalWork:
        """SGD on the weights that are kept, at the rate of the round."""
        round_index = context.streams.round
        rate = self.train.learning_rate * self.learning_rate_decay**round_index
        method = replace(self._in_round(round_index), train=replace(self.train, learning_rate=rate))
        return masked_work(context, own, method.nominal_program())

    def local(self, context: AgentContext, own: AgentValues, result: LocalResult) -> LocalOutcome:
        """The trained model, which is sent with the mask under which it was trained."""
        message = {"vector": result.vector, "mask": own["mask"]}
        bits = self.payload.bits(context.pool.layout, int(np.count_nonzero(own["mask"])))
        return LocalOutcome(
            own={**message, "next": self._moved(context, own["mask"], result)},
            message=message,
            bits=bits,
        )

    def mix(self, context: AgentContext, own: AgentValues, inbox: Inbox) -> AgentValues:
        """Mean of each weight over the closed neighbourhood, under the agent's new mask.

        Agents that have not trained a weight do not count in its mean.
        """
        mean = average_over_holders(own["vector"], own["mask"], inbox)
        return {"vector": masked(mean, own["next"]), "mask": own["next"], "model": own["vector"]}

    def model(self, own: AgentValues, common: AgentValues) -> Vector:
        """The model after local training."""
        return own["model"]

    def extra(self, state: PeerState, pool: ClientPool) -> dict[str, float]:
        """Mask density, mean over agents."""
        return {"ones_share": mask_density(state.rows["mask"], pool.layout)}

    def _moves(self, round_index: int) -> bool:
        return (round_index + 1) % self.move_every == 0

    def _in_round(self, round_index: int) -> "MaskSearch":
        """The method of one round: without the gradient where the mask does not move."""
        return self if self._moves(round_index) else replace(self, regrowth=None)

    def _moved(self, context: AgentContext, mask: Mask, result: LocalResult) -> Mask:
        """The mask after a move: the smallest |w| of each layer go, as many others return."""
        round_index = context.streams.round
        if not self._moves(round_index):
            return mask
        fraction = moving_fraction(self.drop_fraction, round_index, self.anneal_rounds)
        moved = mask.copy()
        rng = context.streams.generator("regrow", context.agent)
        for entry in maskable_entries(context.pool.layout):
            kept = mask[entry.slice]
            weights = np.abs(result.vector[entry.slice])
            ones = int(np.count_nonzero(kept))
            empty = np.flatnonzero(~kept)
            moving = min(prune_count(fraction, ones), len(empty))
            if self.regrowth is None:
                grown = _chosen(empty, moving, entry.size, rng)
            else:
                grown = np.zeros(entry.size, dtype=np.bool_)
                grown[empty] = top_k(np.abs(result.sums["gradient"][entry.slice][empty]), moving)
            moved[entry.slice] = prune_further(kept, weights, ones - moving) | grown
        return moved


def moving_fraction(initial: float, round_index: int, anneal_rounds: int) -> float:
    """Fraction of a layer's ones that move: initial / 2 (1 + cos(pi t / T)).

    Args:
        initial: Fraction in the first round, in [0, 1].
        round_index: Index t of the round, from 0.
        anneal_rounds: Rounds T from which on it is 0.

    Returns:
        Fraction in [0, 1].
    """
    progress = min(round_index, anneal_rounds) / anneal_rounds
    return initial / 2.0 * (1.0 + math.cos(math.pi * progress))


def layer_counts(layout: Layout, keep_ratio: float) -> tuple[int, ...]:
    """Weights kept in each layer by the Erdos-Renyi-kernel rule.

    Args:
        layout: Layout of the model.
        keep_ratio: Fraction r of all n maskable weights, in (0, 1].

    Returns:
        Counts whose sum is n - floor((1 - r) n), in the order of the layers.
    """
    layers = maskable_entries(layout)
    kept = retained_count(keep_ratio, sum(entry.size for entry in layers))
    return erk_counts([entry.shape for entry in layers], kept)


def _chosen(places: NDArray[np.int64], count: int, size: int, rng: np.random.Generator) -> Mask:
    """A mask (size,) of `count` random places."""
    mask = np.zeros(size, dtype=np.bool_)
    mask[rng.choice(places, count, replace=False)] = True
    return mask
