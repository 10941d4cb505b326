"""How much of its model an agent keeps: retention ratios of [MCE-PL], given or from the allocation."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from training.clients import require_no_pruning
from training.sparsity.counts import retained_count
from training.sparsity.payload import retained_counts
from training.structure.layout import Entry, Layout
from wirelessfl.errors import InputError, check_choice, check_count, check_number
from wirelessfl.values import Array


@dataclass(frozen=True, kw_only=True)
class Retention:
    """The share of each layer's weights that an agent's mask keeps, by which it is a model of its
    own size.

    `keep_ratio` is r of all agents, `keep_ratios` r_i of each. Of a layer of n weights n - floor((1
    - r) n) stay ([MCE-PL] eq. (3)); fully connected layers keep `fc_keep` of theirs where it is
    given (0.9 in the official code of [MCE-PL], whatever r is). Biases and running statistics have
    no mask. An output filter with at most `filter_threshold` ones is cut (Fil; 20 in the code's
    baselines and 0 in its MCE-PL; no number in the paper).

    With `retention = "allocation"` r_i = `keep_at_most` (1 - the pruning ratio that the network
    gives agent i in this round), rounded down to whole weights; agents with ratio 1 sit out. What
    `fc_keep` says stays. A mask that keeps all has nothing to learn: where deadlines are long, less
    than 1 is better.
    """

    keep_ratio: float = 0.5
    keep_ratios: tuple[float, ...] | None = None
    fc_keep: float | None = None
    filter_threshold: int = 0
    retention: Literal["given", "allocation"] = "given"
    keep_at_most: float = 1.0

    def __post_init__(self) -> None:
        check_choice("training.retention", self.retention, ("given", "allocation"))
        check_count("training.filter_threshold", self.filter_threshold, at_least=0)
        for name in ("keep_ratio", "keep_ratios", "fc_keep", "keep_at_most"):
            if getattr(self, name) is not None:
                check_number(f"training.{name}", getattr(self, name), above=0, at_most=1)
        if self.keep_ratios is not None and self.by_allocation:
            raise InputError(
                "training.keep_ratios must not be given with training.retention 'allocation'"
            )
        if self.keep_at_most != 1 and not self.by_allocation:
            raise InputError(
                f"training.keep_at_most must be 1 with training.retention 'given', got {self.keep_at_most:g}"
            )

    @property
    def by_allocation(self) -> bool:
        """Whether the network's ratios decide."""
        return self.retention == "allocation"

    @property
    def is_exact(self) -> bool:
        """Whether masks have as many ones as the shares say; else fewer, by the network's ratios or
        by Fil.
        """
        return not (self.by_allocation or self.filter_threshold)

    def ratios(self, clients: int) -> tuple[float, ...]:
        """r_i of every agent as given, the most it may be where the allocation decides."""
        if self.by_allocation:
            return (self.keep_at_most,) * clients
        if self.keep_ratios is None:
            return (self.keep_ratio,) * clients
        if len(self.keep_ratios) != clients:
            raise InputError(
                f"training.keep_ratios must have {clients} numbers, one per client, got {len(self.keep_ratios)}"
            )
        return self.keep_ratios

    def layers(
        self, layout: Layout, clients: int, agent: int, pruning_ratio: float = 0.0
    ) -> list[tuple[Entry, float]]:
        """The layers with a mask and the share of each that `agent` keeps, with this ratio of the
        network.
        """
        ratio = self.ratios(clients)[agent]
        return [
            (entry, self._share(entry, ratio, pruning_ratio)) for entry in maskable_entries(layout)
        ]

    def takes_part(self, pruning_ratio: Array) -> NDArray[np.bool_]:
        """Who has anything to do, (K,): not who is left out (ratio 1)."""
        if self.by_allocation:
            return pruning_ratio < 1.0
        return ~require_no_pruning(pruning_ratio, "with training.retention 'given'")

    def kept(self, layout: Layout, clients: int) -> tuple[Array, Array]:
        """Numbers of weights in agents' models, (K,) each: what stays whatever the ratio, and what
        it shrinks.

        Weights without a mask (biases) stay.
        """
        layers, fixed, prunable = maskable_entries(layout), np.zeros(clients), np.zeros(clients)
        fixed += layout.parameter_size - sum(entry.size for entry in layers)
        for agent in range(clients):
            shares = [share for _, share in self.layers(layout, clients, agent)]
            for entry, count in zip(
                layers, retained_counts(shares, [entry.size for entry in layers]), strict=True
            ):
                (prunable if self.by_allocation and not self._is_fixed(entry) else fixed)[
                    agent
                ] += count
        return fixed, prunable

    def _is_fixed(self, entry: Entry) -> bool:
        return self.fc_keep is not None and len(entry.shape) == 2

    def _share(self, entry: Entry, ratio: float, pruning_ratio: float) -> float:
        if self.fc_keep is not None and self._is_fixed(entry):
            return self.fc_keep
        if not self.by_allocation:
            return ratio
        most = retained_count(ratio, entry.size)
        count = math.floor((1.0 - pruning_ratio) * most * (1.0 + 1e-12))
        return (
            max(count - 0.5, 0.0) / entry.size
        )  # in the middle: no rounding error keeps one weight more or less


def maskable_entries(layout: Layout) -> list[Entry]:
    """The tensors that masks choose from: weights of two axes or more."""
    return [entry for entry in layout.parameters if len(entry.shape) > 1]


def shares(layers: Sequence[tuple[Entry, float]]) -> tuple[float, ...]:
    """The shares alone."""
    return tuple(share for _, share in layers)


def mask_density(masks: NDArray[np.bool_], layout: Layout) -> float:
    """The share of ones in masks (K, parameter_size), of the entries that have a mask."""
    layers = maskable_entries(layout)
    ones = sum(int(np.count_nonzero(masks[:, entry.slice])) for entry in layers)
    return ones / (len(masks) * sum(entry.size for entry in layers))
