"""Retention ratios of [MCE-PL]: fractions of the weights that agents keep, given or allocated."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from training.clients import require_no_pruning
from training.sparsity.counts import retained_count
from training.sparsity.payload import retained_counts
from training.structure.layout import Entry, Layout
from wirelessfl.errors import InputError, check_choice, check_count, check_number
from wirelessfl.values import Array

RetentionSource = Literal["given", "allocation"]


@dataclass(frozen=True, kw_only=True)
class Retention:
    """The fraction of each layer's weights that the mask of an agent keeps.

    Of a layer of n weights n - floor((1 - r) n) are kept, [MCE-PL] eq. (3). Biases and running
    statistics have no mask.

    With `retention = "allocation"` r_i = `keep_at_most` (1 - the pruning ratio of agent i in the
    round), rounded down to whole weights; agents with ratio 1 are idle. `fc_keep` is not affected.
    A mask that keeps all weights has nothing to learn: with long deadlines less than 1 is better.

    Attributes:
        keep_ratio: Ratio r of all agents, in (0, 1].
        keep_ratios: Ratio r_i of each agent, in (0, 1], (K,); `keep_ratio` if None.
        fc_keep: Fraction kept of fully connected layers, in (0, 1], whatever r is (0.9 in the
            official code of [MCE-PL]); as of other layers if None.
        filter_threshold: Largest number of ones of an output filter that is cut (Fil; 20 in the
            baselines of the official code and 0 in its MCE-PL; not stated in the paper).
        retention: Source of the ratios.
        keep_at_most: Largest ratio with `allocation`, in (0, 1].
    """

    keep_ratio: float = 0.5
    keep_ratios: tuple[float, ...] | None = None
    fc_keep: float | None = None
    filter_threshold: int = 0
    retention: RetentionSource = "given"
    keep_at_most: float = 1.0

    def __post_init__(self) -> None:
        check_choice("training.retention", self.retention, get_args(RetentionSource))
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
                "training.keep_at_most must be 1 with training.retention 'given', got "
                f"{self.keep_at_most:g}"
            )

    @property
    def by_allocation(self) -> bool:
        """True if the ratios follow from those of the allocation."""
        return self.retention == "allocation"

    @property
    def is_exact(self) -> bool:
        """True if masks have exactly the nominal number of ones, not fewer by allocation or Fil."""
        return not (self.by_allocation or self.filter_threshold)

    def ratios(self, clients: int) -> tuple[float, ...]:
        """The ratios r_i of all agents, their maximum with `allocation`.

        Args:
            clients: Number of agents K.

        Returns:
            Ratios in (0, 1], (K,).

        Raises:
            InputError: If `keep_ratios` has another length than K.
        """
        if self.by_allocation:
            return (self.keep_at_most,) * clients
        if self.keep_ratios is None:
            return (self.keep_ratio,) * clients
        if len(self.keep_ratios) != clients:
            raise InputError(
                f"training.keep_ratios must have {clients} numbers, one per client, got "
                f"{len(self.keep_ratios)}"
            )
        return self.keep_ratios

    def layers(
        self, layout: Layout, clients: int, agent: int, pruning_ratio: float = 0.0
    ) -> list[tuple[Entry, float]]:
        """The layers that have a mask, with the fraction of each that an agent keeps.

        Args:
            layout: Layout of the model.
            clients: Number of agents K.
            agent: Index of the agent.
            pruning_ratio: Its ratio of the allocation, within [0, 1].

        Returns:
            Pairs of layer and fraction, in the order of the layout.
        """
        ratio = self.ratios(clients)[agent]
        return [
            (entry, self._fraction(entry, ratio, pruning_ratio))
            for entry in maskable_entries(layout)
        ]

    def takes_part(self, pruning_ratio: Array) -> NDArray[np.bool_]:
        """Agents that train: those with a pruning ratio below 1.

        Args:
            pruning_ratio: Ratios of the allocation, (K,).

        Returns:
            True for the agents that train, (K,).

        Raises:
            InputError: If a ratio is between 0 and 1 and the retention ratios are given.
        """
        if self.by_allocation:
            return pruning_ratio < 1.0
        return ~require_no_pruning(pruning_ratio, "with training.retention 'given'")

    def kept(self, layout: Layout, clients: int) -> tuple[Array, Array]:
        """Numbers of weights that agents keep.

        Args:
            layout: Layout of the model.
            clients: Number of agents K.

        Returns:
            Weights that are independent of the allocation, those without a mask included, and
            weights that it can prune, (K,) each.
        """
        layers = maskable_entries(layout)
        sizes = [entry.size for entry in layers]
        fixed = np.full(clients, float(layout.parameter_size - sum(sizes)))
        prunable = np.zeros(clients)
        for agent in range(clients):
            fractions = retention_fractions(self.layers(layout, clients, agent))
            for entry, count in zip(layers, retained_counts(fractions, sizes), strict=True):
                if self.by_allocation and not self._is_fixed(entry):
                    prunable[agent] += count
                else:
                    fixed[agent] += count
        return fixed, prunable

    def _is_fixed(self, entry: Entry) -> bool:
        return self.fc_keep is not None and len(entry.shape) == 2

    def _fraction(self, entry: Entry, ratio: float, pruning_ratio: float) -> float:
        if self.fc_keep is not None and self._is_fixed(entry):
            return self.fc_keep
        if not self.by_allocation:
            return ratio
        most = retained_count(ratio, entry.size)
        count = math.floor((1.0 - pruning_ratio) * most * (1.0 + 1e-12))
        # Half a weight below the count: no rounding error changes the number of weights kept.
        return max(count - 0.5, 0.0) / entry.size


def maskable_entries(layout: Layout) -> list[Entry]:
    """The tensors that have a mask: weights of two axes or more.

    Args:
        layout: Layout of the model.

    Returns:
        Entries in the order of the layout.
    """
    return [entry for entry in layout.parameters if len(entry.shape) > 1]


def retention_fractions(layers: Sequence[tuple[Entry, float]]) -> tuple[float, ...]:
    """The fractions of layers that are kept.

    Args:
        layers: Pairs of layer and fraction, see `Retention.layers`.

    Returns:
        The fractions alone, in the same order.
    """
    return tuple(fraction for _, fraction in layers)


def mask_density(masks: NDArray[np.bool_], layout: Layout) -> float:
    """The fraction of ones in masks, over the entries that have a mask.

    Args:
        masks: Masks of all agents, (K, parameter_size).
        layout: Layout of the model.

    Returns:
        Density in [0, 1].
    """
    layers = maskable_entries(layout)
    ones = sum(int(np.count_nonzero(masks[:, entry.slice])) for entry in layers)
    return ones / (len(masks) * sum(entry.size for entry in layers))
