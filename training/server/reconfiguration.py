"""Reconfiguration of a global mask by accumulated squared gradients, as in PruneFL."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from training.arrays import Doubles, Mask, Vector
from training.sparsity.counts import keep_count
from training.sparsity.top_k import prune_further
from wirelessfl.errors import InputError, check_choice, check_count, check_number

ReconfigurationRule = Literal["adaptive", "fixed-density"]


@dataclass(frozen=True, kw_only=True)
class Reconfigure:
    """Schedule and rule by which the global mask changes.

    Only the weights of convolutions and linear layers have a mask. With `adaptive` the rule is
    `adaptive_mask`: in round t the fraction `prune_share` 0.5^(t / `prune_halving_rounds`) of each
    layer's weights becomes undecided, and no weight returns beyond the density, so that a smaller
    density is reached over several changes. With `fixed-density` it is `largest_mask`; its first
    change follows the first round, so that at most one round is dense.

    **Differs:** `fixed-density` is a simplification for comparisons at equal sizes. Initial
    pruning has a fixed length; Jiang et al. 2022 stop it when the size has settled.

    Attributes:
        reconfigure: Rule that chooses the mask.
        reconfigure_every: Rounds between two changes, at least 1.
        density: Largest fraction of the weights that is kept, in (0, 1]; no limit if None.
        prune_share: Fraction of a layer's active weights that becomes undecided, in [0, 1].
        prune_halving_rounds: Rounds after which that fraction has halved, at least 1.
        initial_rounds: Rounds at the start in which only client 0 trains, at least 0.
        count_reconfiguration_bits: Whether importance (up) and bitmap (down) count as payload.
    """

    reconfigure: ReconfigurationRule = "adaptive"
    reconfigure_every: int = 50
    density: float | None = None
    prune_share: float = 0.3
    prune_halving_rounds: int = 10_000
    initial_rounds: int = 0
    count_reconfiguration_bits: bool = True

    def __post_init__(self) -> None:
        check_choice("training.reconfigure", self.reconfigure, get_args(ReconfigurationRule))
        check_count("training.reconfigure_every", self.reconfigure_every)
        check_count("training.prune_halving_rounds", self.prune_halving_rounds)
        check_count("training.initial_rounds", self.initial_rounds, at_least=0)
        check_number("training.prune_share", self.prune_share, at_least=0, at_most=1)
        if self.density is not None:
            check_number("training.density", self.density, above=0, at_most=1)
        elif self.reconfigure == "fixed-density":
            raise InputError(
                "training.density must be given with training.reconfigure 'fixed-density', got none"
            )

    def due(self, round_index: int) -> bool:
        """True if the mask changes after a round.

        Args:
            round_index: Index of the round, from 0.

        Returns:
            True where the mask changes.
        """
        first = self.reconfigure == "fixed-density" and round_index == 0
        return first or (round_index + 1) % self.reconfigure_every == 0

    def training(self, round_index: int, clients: int) -> Mask:
        """Clients that train in a round.

        Args:
            round_index: Index of the round, from 0.
            clients: Number of clients K.

        Returns:
            True for the clients that train, (K,).
        """
        training = 1 if round_index < self.initial_rounds else clients
        return np.arange(clients) < training

    def mask(
        self,
        weights: Vector,
        mask: Mask,
        importance: Doubles,
        seconds: Doubles,
        layers: Sequence[slice],
        *,
        constant_s: float,
        round_index: int,
    ) -> Mask:
        """The mask after a round.

        Args:
            weights: Global weights, (N,).
            mask: Mask before, (N,).
            importance: Accumulated squared gradients g^2, (N,).
            seconds: Round time that each kept weight adds in s, (N,).
            layers: Places of the layers that have a mask.
            constant_s: Round time without any of these weights in s.
            round_index: Index of the round, from 0.

        Returns:
            The new mask, (N,).
        """
        size = sum(layer.stop - layer.start for layer in layers)
        most = size if self.density is None else keep_count(1.0 - self.density, size)
        if self.reconfigure == "fixed-density":
            return largest_mask(weights, importance, layers, most)
        return adaptive_mask(
            weights,
            mask,
            importance,
            seconds,
            layers,
            constant_s=constant_s,
            prune_fraction=self.prune_share * 0.5 ** (round_index / self.prune_halving_rounds),
            most=most,
        )


def adaptive_mask(
    weights: Vector,
    mask: Mask,
    importance: Doubles,
    seconds: Doubles,
    layers: Sequence[slice],
    *,
    constant_s: float,
    prune_fraction: float,
    most: int,
) -> Mask:
    """The mask of largest importance per second: Algorithm 1 of PruneFL (Jiang et al. 2022).

    In each layer the floor(`prune_fraction` x active) smallest |w| of the active weights become
    undecided, together with all inactive ones; the others stay. Undecided weights return in falling
    order of q = g^2 / seconds as long as q exceeds Gamma = (sum of g^2 kept) / (`constant_s` + sum
    of seconds kept), which each of them changes. Entries outside the layers stay and do not count.

    Args:
        weights: Global weights, (N,).
        mask: Mask before, (N,).
        importance: Accumulated squared gradients g^2, (N,).
        seconds: Round time that each kept weight adds in s, (N,).
        layers: Places of the layers that have a mask.
        constant_s: Round time without any of these weights in s.
        prune_fraction: Fraction of each layer's active weights that becomes undecided, in [0, 1].
        most: Largest number of weights of the layers that are kept.

    Returns:
        The new mask, (N,).
    """
    decided = mask.copy()
    inside = np.zeros(mask.shape, dtype=np.bool_)
    for layer in layers:
        active = int(np.count_nonzero(mask[layer]))
        # The factor compensates the rounding error of the product.
        kept = active - int(prune_fraction * active * (1 + 1e-12))
        decided[layer] = prune_further(mask[layer], np.abs(weights[layer]), kept)
        inside[layer] = True
    stays = decided & inside
    undecided = np.flatnonzero(inside & ~decided)
    quotient = importance[undecided] / seconds[undecided]
    order = undecided[np.argsort(-quotient, kind="stable")]
    # Gamma at a candidate counts the candidates before it, without the candidate itself.
    gain = np.cumsum(importance[order]) - importance[order]
    cost = np.cumsum(seconds[order]) - seconds[order]
    with np.errstate(invalid="ignore", divide="ignore"):
        level = (importance[stays].sum() + gain) / (constant_s + seconds[stays].sum() + cost)
    worth = importance[order] / seconds[order] > np.nan_to_num(level, nan=0.0)
    count = len(order) if worth.all() else int(np.argmin(worth))
    decided[order[: max(0, min(count, most - int(np.count_nonzero(stays))))]] = True
    return decided


def largest_mask(weights: Vector, importance: Doubles, layers: Sequence[slice], kept: int) -> Mask:
    """The mask of the most important weights of all layers together.

    Args:
        weights: Global weights, (N,); the larger |w| wins among equally important weights.
        importance: Accumulated squared gradients g^2, (N,).
        layers: Places of the layers that have a mask.
        kept: Number of weights of the layers that are kept.

    Returns:
        Mask (N,), True outside the layers.
    """
    mask = np.ones(weights.shape, dtype=np.bool_)
    places = np.concatenate([np.arange(layer.start, layer.stop) for layer in layers])
    order = np.lexsort((np.abs(weights[places]), importance[places]))
    mask[places[order[: len(places) - kept]]] = False
    return mask
