"""Which weights a common mask keeps, by accumulated squared gradients: PruneFL's reconfiguration on
one flat vector.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from training.arrays import Mask, Vector
from training.sparsity.counts import keep_count
from training.sparsity.top_k import prune_further
from wirelessfl.errors import InputError, check_choice, check_count, check_number

Floats = NDArray[np.float64]
ReconfigurationRule = Literal["adaptive", "fixed-density"]


@dataclass(frozen=True, kw_only=True)
class Reconfigure:
    """When the mask of PruneFL changes, and by which rule; its weights are those of convolutions
    and linear layers.

    The mask changes after every `reconfigure_every` rounds. `adaptive` is `adaptive_mask`: in round
    t it puts the share `prune_share` 0.5^(t / `prune_halving_rounds`) of each layer's weights up
    for choice and brings back no weight beyond a `density` (none: no limit), so a smaller density
    is reached over several changes. `fixed-density` is `largest_mask` with the share `density` of
    all weights; so that no more than one round is dense, its first change comes after the first
    round. In the first `initial_rounds` rounds only client 0 trains.

    **Differs:** `fixed-density` is a simplification for comparisons at equal sizes. Initial pruning has a fixed
    length; Jiang et al. 2022 stop it when the size has settled.
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

    def due(self, round: int) -> bool:
        """Whether the mask changes after round `round` (from 0)."""
        first = self.reconfigure == "fixed-density" and round == 0
        return first or (round + 1) % self.reconfigure_every == 0

    def training(self, round: int, clients: int) -> Mask:
        """Who trains in round `round` (from 0), (clients,)."""
        found: Mask = np.arange(clients) < (1 if round < self.initial_rounds else clients)
        return found

    def mask(
        self,
        weights: Vector,
        mask: Mask,
        importance: Floats,
        seconds: Floats,
        layers: Sequence[slice],
        *,
        constant_s: float,
        round: int,
    ) -> Mask:
        """The mask after round `round`, from what `adaptive_mask` needs."""
        size = sum(layer.stop - layer.start for layer in layers)
        most = size if self.density is None else keep_count(1.0 - self.density, size)
        if self.reconfigure == "fixed-density":
            return largest_mask(weights, importance, layers, most)
        share = self.prune_share * 0.5 ** (round / self.prune_halving_rounds)
        return adaptive_mask(
            weights,
            mask,
            importance,
            seconds,
            layers,
            constant_s=constant_s,
            prune_share=share,
            most=most,
        )


def adaptive_mask(
    weights: Vector,
    mask: Mask,
    importance: Floats,
    seconds: Floats,
    layers: Sequence[slice],
    *,
    constant_s: float,
    prune_share: float,
    most: int,
) -> Mask:
    """The mask with the most importance per second: Algorithm 1 of PruneFL (Jiang et al. 2022)
    behind its magnitudes.

    All vectors are (N,): `importance` g^2 and the `seconds` of the round that a weight costs as
    long as it is kept. In each of `layers` the floor(`prune_share` x active) smallest |w| of the
    active weights become undecided, with all inactive ones; the others stay. Undecided weights come
    back in falling order of q = g^2 / seconds as long as q exceeds Gamma = (sum of g^2 kept) /
    (`constant_s` + sum of seconds kept), which each of them changes, and as long as at most `most`
    weights of the layers are kept. What lies outside the layers stays and does not count.
    """
    decided = mask.copy()
    inside = np.zeros(mask.shape, dtype=np.bool_)
    for layer in layers:
        active = int(np.count_nonzero(mask[layer]))
        kept = active - int(prune_share * active * (1 + 1e-12))
        decided[layer] = prune_further(mask[layer], np.abs(weights[layer]), kept)
        inside[layer] = True
    stays, undecided = decided & inside, np.flatnonzero(inside & ~decided)
    quotient = importance[undecided] / seconds[undecided]
    order = undecided[np.argsort(-quotient, kind="stable")]
    gain, cost = np.cumsum(importance[order]), np.cumsum(seconds[order])
    gain, cost = gain - importance[order], cost - seconds[order]  # of those that come before
    with np.errstate(invalid="ignore", divide="ignore"):
        level = (importance[stays].sum() + gain) / (constant_s + seconds[stays].sum() + cost)
    worth = importance[order] / seconds[order] > np.nan_to_num(level, nan=0.0)
    count = len(order) if worth.all() else int(np.argmin(worth))
    decided[order[: max(0, min(count, most - int(np.count_nonzero(stays))))]] = True
    return decided


def largest_mask(weights: Vector, importance: Floats, layers: Sequence[slice], kept: int) -> Mask:
    """The mask of the `kept` largest of `importance` (N,) over all of `layers`, among equals the
    largest |w|.

    What lies outside the layers is kept besides.
    """
    mask = np.ones(weights.shape, dtype=np.bool_)
    places = np.concatenate([np.arange(layer.start, layer.stop) for layer in layers])
    order = np.lexsort((np.abs(weights[places]), importance[places]))
    mask[places[order[: len(places) - kept]]] = False
    return mask
