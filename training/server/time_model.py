"""Seconds of a round as a server guesses them that does not see the cell: from FLOPs and bits at
assumed speeds.
"""

from dataclasses import dataclass

import numpy as np

from wirelessfl.errors import InputError, check_number
from wirelessfl.values import Array


@dataclass(frozen=True, kw_only=True)
class TimeModel:
    """T_k = constant + FLOPs_k / speed_k + bits_k / rate_k; speeds for all clients or one for each.

    Training never sees the network, so a method that weighs what it learns against time states what
    it assumes. The form is that of PruneFL (Jiang et al. 2022: a constant, and a coefficient for
    each weight kept of a layer); the numbers are ours: 10 GFLOP/s, 10 Mbit/s.
    """

    assumed_flops_per_s: float | tuple[float, ...] = 1e10
    assumed_rate_bps: float | tuple[float, ...] = 1e7
    assumed_constant_s: float = 0.0

    def __post_init__(self) -> None:
        check_number("training.assumed_flops_per_s", self.assumed_flops_per_s, above=0)
        check_number("training.assumed_rate_bps", self.assumed_rate_bps, above=0)
        check_number("training.assumed_constant_s", self.assumed_constant_s, at_least=0)

    def seconds(self, flops: Array, bits: Array) -> Array:
        """Seconds of each client (K,) for its FLOPs and its bits up and down, (K,) each."""
        speed, rate = self.of(len(flops))
        seconds: Array = self.assumed_constant_s + flops / speed + bits / rate
        return seconds

    def of(self, clients: int) -> tuple[Array, Array]:
        """Speeds and rates of the clients, (K,) each; `InputError` for a list of another length."""
        named = (
            ("assumed_flops_per_s", self.assumed_flops_per_s),
            ("assumed_rate_bps", self.assumed_rate_bps),
        )
        for name, value in named:
            if isinstance(value, tuple) and len(value) != clients:
                raise InputError(
                    f"training.{name} must have one number for each of {clients} clients, got {len(value)}"
                )
        speed, rate = (
            np.broadcast_to(np.asarray(value, dtype=np.float64), (clients,)) for _, value in named
        )
        return speed, rate
