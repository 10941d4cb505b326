"""Pruning ratios from a bandit: E-UCB of FedMP (Jiang et al. 2022) on a tree of intervals, one
bandit a client.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.arrays import check_shapes
from wirelessfl.errors import check_number
from wirelessfl.rng import Streams
from wirelessfl.values import Array

_LEAST_GAP = 0.01  # of the mean time: who takes exactly the mean time is not worth infinitely much


@dataclass(frozen=True, kw_only=True)
class Bandit:
    """Upper confidence bounds on intervals of the ratios [0, `bandit_most`), which are divided
    where they are tried.

    A client draws its ratio evenly from the interval of the largest bound

        sum_s d^(t-s) R_s / N + c sqrt(2 ln(n) / N),    N = sum_s d^(t-s),    n = the sum of all N,

    over the rounds s in which its ratio lay there: discount d = `bandit_discount`, as what pays
    changes while a model learns, and c = `bandit_exploration`. An interval never tried has an
    infinite bound, of several the longest one wins. A tried one that is longer than
    `bandit_granularity` is cut in two at the ratio.

    The reward is R = (decrease of the loss) / |T_k - mean T|, so that all finish at the same time.

    **Differs:** rewards are scaled by a client's greatest so far, as the bound is made for numbers up to 1; the gap
    |T_k - mean T| is a share of the mean and at least 0.01; the loss is the clients' mean training loss, round against
    round before. There is no official code to compare with; the defaults of d and c are ours (c = 1
    is the usual bound), chosen on one made-up problem, a reward of 1 - |ratio - best|. They carry
    over to a cliff and to two peaks, not to one narrow peak, which c of 0.1 finds more often, nor
    to the reward above with several clients, whose times only come together with c of 0.02: see
    `docs/ca-hfp-baselines.md`.
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

    def choose(self, ratios: Array, rewards: Array, draw: np.random.Generator) -> float:
        """The next ratio of a client that has tried `ratios` (T,) in this order and got `rewards`
        (T,).
        """
        edges = self.edges(ratios)
        bounds = self._bounds(edges, ratios, rewards)
        lengths = np.diff(edges)
        best = np.lexsort((lengths, bounds))[-1]
        return float(edges[best] + lengths[best] * draw.random())

    def edges(self, ratios: Array) -> Array:
        """The ends of the intervals (n + 1,) after these `ratios` (T,) were tried."""
        edges = np.array([0.0, self.bandit_most])
        for ratio in ratios.tolist():
            place = int(np.searchsorted(edges, ratio, side="right"))
            if (
                edges[place] - edges[place - 1] > self.bandit_granularity
                and ratio > edges[place - 1]
            ):
                edges = np.insert(edges, place, ratio)
        return edges

    def _bounds(self, edges: Array, ratios: Array, rewards: Array) -> Array:
        where, leaves = np.searchsorted(edges, ratios, side="right") - 1, len(edges) - 1
        weight = self.bandit_discount ** np.arange(len(ratios))[::-1]
        scaled = rewards / max(np.abs(rewards).max(initial=0.0), np.finfo(float).tiny)
        tries = np.bincount(where, weight, leaves)
        gains = np.bincount(where, weight * scaled, leaves)
        with np.errstate(divide="ignore", invalid="ignore"):
            spread = np.sqrt(2 * np.log(max(1.0, tries.sum())) / tries)
            bounds: Array = np.where(
                tries > 0, gains / tries + self.bandit_exploration * spread, np.inf
            )
        return bounds


@dataclass(frozen=True, eq=False)
class Trials:
    """What the clients' bandits have tried: `ratios` and `rewards` (T, K), NaN where there was
    none, the last loss.
    """

    ratios: NDArray[np.float64]
    rewards: NDArray[np.float64]
    loss: float = float("nan")

    @classmethod
    def none(cls, clients: int) -> "Trials":
        """Before the first round."""
        return cls(np.zeros((0, clients)), np.zeros((0, clients)))

    def choices(self, bandit: Bandit, streams: Streams) -> Array:
        """The ratios (K,) of the round of `streams`: a function of the trials, seed, round and
        client.
        """
        chosen = []
        for client, (ratios, rewards) in enumerate(zip(self.ratios.T, self.rewards.T, strict=True)):
            known = np.isfinite(rewards)
            chosen.append(
                bandit.choose(ratios[known], rewards[known], streams.generator("bandit", client))
            )
        return np.array(chosen)

    def after(
        self, chosen: Array, seconds: Array, loss: float | None, trained: NDArray[np.bool_]
    ) -> "Trials":
        """With one more round, in which those who `trained` took `seconds`, (K,) each, and had this
        mean `loss`.
        """
        if loss is None:
            return self
        gap = np.full(len(chosen), np.nan)
        mean = float(seconds[trained].mean())
        gap[trained] = np.maximum(
            _LEAST_GAP, np.abs(seconds[trained] - mean) / max(mean, np.finfo(float).tiny)
        )
        rewards = (
            self.loss - loss
        ) / gap  # NaN in the first round, which has nothing to compare with
        return Trials(np.vstack([self.ratios, chosen]), np.vstack([self.rewards, rewards]), loss)

    def pack(self) -> dict[str, NDArray[Any]]:
        """The trials as plain arrays."""
        return {
            "trial_ratios": self.ratios,
            "trial_rewards": self.rewards,
            "trial_loss": np.asarray(self.loss),
        }

    @classmethod
    def unpack(cls, arrays: Mapping[str, NDArray[Any]], clients: int) -> "Trials":
        """The trials that `pack` gave; `InputError` for those of another number of clients."""
        rounds = np.shape(arrays.get("trial_ratios", ()))[:1]
        table = (*rounds, clients)
        check_shapes(arrays, {"trial_ratios": table, "trial_rewards": table, "trial_loss": ()})
        return cls(arrays["trial_ratios"], arrays["trial_rewards"], float(arrays["trial_loss"]))
