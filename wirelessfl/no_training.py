"""Trainer without training, for runs of channel, allocation and cell alone."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from wirelessfl.values import Array, Delivery, Demand, StepMetrics


class NoTraining:
    """Trainer with a constant demand and no training (`run.train = false`).

    Args:
        demand: Demand of every round; (K,).
    """

    def __init__(self, demand: Demand) -> None:
        self._demand = demand

    def init(self, seed: int) -> None:
        """Initial state, which is None.

        Args:
            seed: Unused.
        """

    def demand(self, state: None) -> Demand:
        """Demand, the same in every round.

        Args:
            state: None.

        Returns:
            Weight updates and bits; (K,).
        """
        return self._demand

    def step(
        self, state: None, pruning_ratio: Array, delivery: Delivery
    ) -> tuple[None, StepMetrics]:
        """Count the bits of a round without training.

        Args:
            state: None.
            pruning_ratio: Pruning ratios; (K,).
            delivery: Delivered updates; (K,).

        Returns:
            None as state, and the round's metrics.
        """
        kept = 1.0 - pruning_ratio
        bits = np.where(
            kept > 0, self._demand.fixed_upload_bits + kept * self._demand.prunable_upload_bits, 0.0
        )
        down = self._demand.fixed_download_bits + kept * self._demand.prunable_download_bits
        return None, StepMetrics(
            loss=None, uplink_bits=bits, downlink_bits=down, flops=np.zeros_like(kept)
        )

    def evaluate(self, state: None) -> None:
        """No accuracy, since no model was trained.

        Args:
            state: None.
        """

    def pack(self, state: None) -> dict[str, NDArray[Any]]:
        """Empty checkpoint.

        Args:
            state: None.

        Returns:
            No arrays.
        """
        return {}

    def unpack(self, arrays: dict[str, NDArray[Any]]) -> None:
        """State of an empty checkpoint, which is None.

        Args:
            arrays: Unused.
        """

    def close(self) -> None:
        """Release resources, of which there are none."""
