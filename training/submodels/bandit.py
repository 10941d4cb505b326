"""Pruning ratios by a bandit for each client: E-UCB of FedMP on a tree of intervals."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.arrays import check_shapes
from training.state import read_only
from wirelessfl.errors import check_number
from wirelessfl.rng import Streams
from wirelessfl.values import Array

# Smallest gap to the mean time, as a fraction of it: bounds the reward of a client at the mean.
_LEAST_GAP = 0.01


@dataclass(frozen=True, kw_only=True)
class Bandit:
    """Upper confidence bounds on intervals of the ratios, divided where they have been tried.

    A client draws its ratio uniformly from the interval with the largest bound

        sum_s d^(t-s) R_s / N + c sqrt(2 ln(n) / N),    N = sum_s d^(t-s),    n = the sum of all N,

    over the rounds s in which its ratio was in the interval, with discount d and exploration c
    (Jiang et al., "FedMP", ICDE 2022). An interval without trials has an infinite bound; of several
    the longest one is chosen. A tried interval longer than the granularity is cut at the ratio.

    The reward is R = (decrease of the loss) / |T_k - mean T|, so that all clients finish at the
    same time.

    **Differs:** rewards are scaled by a client's greatest so far, as the bound is made for values
    up to 1; the gap |T_k - mean T| is a fraction of the mean and at least 0.01; the loss is the
    clients' mean training loss, compared with that of the round before. There is no official code;
    the defaults of d and c are ours (c = 1 is the usual bound), chosen on one synthetic problem, a
    reward of 1 - |ratio - best|. They carry over to a cliff and to two peaks, not to one narrow
    peak, which c of 0.1 finds more often, nor to the reward above with several clients, whose times
    converge only with c of 0.02: see `docs/ca-hfp-baselines.md`.

    Attributes:
        bandit_most: Largest ratio, in (0, 0.99].
        bandit_granularity: Length of an interval that is not divided any more, above 0.
        bandit_discount: Discount d of a round, in (0, 1]; rewards change while a model learns.
        bandit_exploration: Factor c of the confidence term, at least 0.
    """

    bandit_most: float = 0.9
    bandit_granularity: float = 0.1
    bandit_discount: float = 0.99
    bandit_exploration: float = 0.05

    def __post_init__(self) -> None:
        check_number("training.bandit_most", self.bandit_most, above=0, at_most=0.99)
        check_number("training.bandit_granularity", self.bandit_granularity, above=0)
        check_number("training.bandit_discount", self.bandit_discount, above=0, at_most=1)
        check_number("training.bandit_exploration", self.bandit_exploration, at_least=0)

    def choose(self, ratios: Array, rewards: Array, rng: np.random.Generator) -> float:
        """The next ratio of a client.

        Args:
            ratios: Ratios tried so far, in this order, (T,).
            rewards: Rewards R of these trials, (T,).
            rng: Generator of the draw within the interval.

        Returns:
            Ratio in [0, `bandit_most`).
        """
        edges = self.edges(ratios)
        bounds = self._bounds(edges, ratios, rewards)
        lengths = np.diff(edges)
        best = np.lexsort((lengths, bounds))[-1]
        return float(edges[best] + lengths[best] * rng.random())

    def edges(self, ratios: Array) -> Array:
        """Ends of the intervals after trials.

        Args:
            ratios: Ratios tried so far, in this order, (T,).

        Returns:
            Ascending ends of the n intervals, (n + 1,).
        """
        edges = np.array([0.0, self.bandit_most])
        for ratio in ratios.tolist():
            place = int(np.searchsorted(edges, ratio, side="right"))
            length = edges[place] - edges[place - 1]
            if length > self.bandit_granularity and ratio > edges[place - 1]:
                edges = np.insert(edges, place, ratio)
        return edges

    def _bounds(self, edges: Array, ratios: Array, rewards: Array) -> Array:
        """Upper confidence bound of every interval, (n,)."""
        intervals = len(edges) - 1
        index = np.searchsorted(edges, ratios, side="right") - 1
        weight = self.bandit_discount ** np.arange(len(ratios))[::-1]
        scaled = rewards / max(np.abs(rewards).max(initial=0.0), np.finfo(float).tiny)
        tries = np.bincount(index, weight, intervals)
        gains = np.bincount(index, weight * scaled, intervals)
        with np.errstate(divide="ignore", invalid="ignore"):
            spread = np.sqrt(2 * np.log(max(1.0, tries.sum())) / tries)
            bounds: Array = np.where(
                tries > 0, gains / tries + self.bandit_exploration * spread, np.inf
            )
        return bounds


@dataclass(frozen=True, eq=False)
class Trials:
    """History of the clients' bandits; its arrays are read-only.

    Attributes:
        ratios: Ratios of T rounds, (T, K).
        rewards: Rewards of these ratios, (T, K); NaN for a client without one.
        loss: Mean training loss of the last of these rounds; NaN before the first.
    """

    ratios: NDArray[np.float64]
    rewards: NDArray[np.float64]
    loss: float = float("nan")

    def __post_init__(self) -> None:
        object.__setattr__(self, "ratios", read_only(self.ratios))
        object.__setattr__(self, "rewards", read_only(self.rewards))

    @classmethod
    def none(cls, clients: int) -> "Trials":
        """The history before the first round.

        Args:
            clients: Number of clients K.

        Returns:
            Trials of no round, (0, K).
        """
        return cls(np.zeros((0, clients)), np.zeros((0, clients)))

    def choices(self, bandit: Bandit, streams: Streams) -> Array:
        """Ratios of the clients in a round: a function of the trials, seed, round and client.

        Args:
            bandit: Settings of all bandits.
            streams: Random streams of the round.

        Returns:
            Ratios (K,).
        """
        chosen = []
        for client, (ratios, rewards) in enumerate(zip(self.ratios.T, self.rewards.T, strict=True)):
            known = np.isfinite(rewards)
            rng = streams.generator("bandit", client)
            chosen.append(bandit.choose(ratios[known], rewards[known], rng))
        return np.array(chosen)

    def after(
        self, chosen: Array, seconds: Array, loss: float | None, trained: NDArray[np.bool_]
    ) -> "Trials":
        """The history after one more round.

        Args:
            chosen: Ratios of the round, (K,).
            seconds: Estimated round times in s, (K,).
            loss: Mean training loss of the round; None where no client trained.
            trained: True for the clients that trained, (K,).

        Returns:
            Trials with a further row, unchanged where no client trained.
        """
        if loss is None:
            return self
        gap = np.full(len(chosen), np.nan)
        mean = float(seconds[trained].mean())
        relative = np.abs(seconds[trained] - mean) / max(mean, np.finfo(float).tiny)
        gap[trained] = np.maximum(_LEAST_GAP, relative)
        # NaN in the first round, which has no earlier loss to compare with.
        rewards = (self.loss - loss) / gap
        return Trials(np.vstack([self.ratios, chosen]), np.vstack([self.rewards, rewards]), loss)

    def pack(self) -> dict[str, NDArray[Any]]:
        """The trials as plain arrays."""
        return {
            "trial_ratios": self.ratios,
            "trial_rewards": self.rewards,
            "trial_loss": np.asarray(self.loss),
        }

    def unpack(self, arrays: Mapping[str, NDArray[Any]]) -> "Trials":
        """Packed trials of as many clients as these, of any number of rounds.

        Args:
            arrays: Arrays that `pack` returned.

        Returns:
            The trials that were packed.

        Raises:
            InputError: If the arrays are those of another number of clients.
        """
        rounds = np.shape(arrays.get("trial_ratios", ()))[:1]
        shape = (*rounds, self.ratios.shape[1])
        check_shapes(arrays, {"trial_ratios": shape, "trial_rewards": shape, "trial_loss": ()})
        return Trials(arrays["trial_ratios"], arrays["trial_rewards"], float(arrays["trial_loss"]))
