"""Round time by an assumed model of FLOPs and bits, for servers that do not see the cell."""

from dataclasses import dataclass

import numpy as np

from wirelessfl.errors import InputError, check_number
from wirelessfl.values import Array


@dataclass(frozen=True, kw_only=True)
class TimeModel:
    """T_k = constant + FLOPs_k / speed_k + bits_k / rate_k.

    Training never sees the network, so a method that weighs importance against time states its
    assumptions. The form is that of PruneFL (Jiang et al. 2022: a constant, and a coefficient for
    each weight kept of a layer); the default values are those of this toolkit.

    Attributes:
        assumed_flops_per_s: Computing speed in FLOP/s, above 0, for all clients or one for each.
        assumed_rate_bps: Data rate in bit/s, above 0, for all clients or one for each.
        assumed_constant_s: Time of a round without computing and bits in s, at least 0.
    """

    assumed_flops_per_s: float | tuple[float, ...] = 1e10
    assumed_rate_bps: float | tuple[float, ...] = 1e7
    assumed_constant_s: float = 0.0

    def __post_init__(self) -> None:
        check_number("training.assumed_flops_per_s", self.assumed_flops_per_s, above=0)
        check_number("training.assumed_rate_bps", self.assumed_rate_bps, above=0)
        check_number("training.assumed_constant_s", self.assumed_constant_s, at_least=0)

    def seconds(self, flops: Array, bits: Array) -> Array:
        """Estimated round time of each client.

        Args:
            flops: Floating-point operations, (K,).
            bits: Bits up and down together, (K,).

        Returns:
            Times in s, (K,).

        Raises:
            InputError: If a list of speeds or rates has another length than K.
        """
        speed, rate = self.of(len(flops))
        seconds: Array = self.assumed_constant_s + flops / speed + bits / rate
        return seconds

    def of(self, clients: int) -> tuple[Array, Array]:
        """Speeds and rates of the clients.

        Args:
            clients: Number of clients K.

        Returns:
            Speeds in FLOP/s and rates in bit/s, (K,) each.

        Raises:
            InputError: If a list of speeds or rates has another length than K.
        """
        speed = _for_each("assumed_flops_per_s", self.assumed_flops_per_s, clients)
        rate = _for_each("assumed_rate_bps", self.assumed_rate_bps, clients)
        return speed, rate


def _for_each(name: str, value: float | tuple[float, ...], clients: int) -> Array:
    if isinstance(value, tuple) and len(value) != clients:
        raise InputError(
            f"training.{name} must have one number for each of {clients} clients, got {len(value)}"
        )
    return np.broadcast_to(np.asarray(value, dtype=np.float64), (clients,))
