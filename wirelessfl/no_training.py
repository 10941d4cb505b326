"""A trainer for runs of channel, allocation and cell alone."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from wirelessfl.values import Array, Delivery, Demand, StepMetrics


class NoTraining:
    """A trainer that only asks: for runs of channel, allocation and cell (`run.train = false`)."""

    def __init__(self, demand: Demand) -> None:
        self._demand = demand

    def init(self, seed: int) -> None:
        """An empty state: no round depends on an earlier one."""

    def demand(self, state: None) -> Demand:
        """The same every round."""
        return self._demand

    def step(
        self, state: None, pruning_ratio: Array, delivery: Delivery
    ) -> tuple[None, StepMetrics]:
        """Count the bits that were asked for; train nothing."""
        kept = 1.0 - pruning_ratio
        bits = np.where(
            kept > 0, self._demand.fixed_upload_bits + kept * self._demand.prunable_upload_bits, 0.0
        )
        down = self._demand.fixed_download_bits + kept * self._demand.prunable_download_bits
        return None, StepMetrics(
            loss=None, uplink_bits=bits, downlink_bits=down, flops=np.zeros_like(kept)
        )

    def evaluate(self, state: None) -> None:
        """No accuracy, as no model is trained."""

    def pack(self, state: None) -> dict[str, NDArray[Any]]:
        """An empty state."""
        return {}

    def unpack(self, arrays: dict[str, NDArray[Any]]) -> None:
        """An empty state."""

    def close(self) -> None:
        """Release nothing."""
