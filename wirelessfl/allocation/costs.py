"""Costs of a round before its allocation: cycles, CPU frequencies, transmit powers, losses."""

from dataclasses import dataclass, field

import numpy as np

from wirelessfl.arrays import Array


@dataclass(frozen=True, kw_only=True, eq=False)
class Costs:
    """Work of a round in cycles, and the frequencies and powers at which it is done.

    Attributes:
        fixed_cycles: CPU cycles that pruning does not save; (..., K).
        prunable_cycles: CPU cycles of the unpruned model that pruning saves; (..., K).
        cpu_min_hz: Lowest CPU frequency in Hz; (..., K).
        cpu_max_hz: Highest CPU frequency in Hz, to which the times of a problem belong; (..., K).
        power_w: Transmit power in W; (..., K).
        capacitance: kappa of the CPU energy kappa c f^2, in J s^2; (..., K).
        packet_loss: Probability that a packet is lost, over the whole band; (..., K).
    """

    fixed_cycles: Array
    prunable_cycles: Array
    cpu_min_hz: Array
    cpu_max_hz: Array
    power_w: Array
    capacitance: Array
    packet_loss: Array = field(default_factory=lambda: np.zeros(()))

    def cycles(self, kept: Array) -> Array:
        """CPU cycles c = fixed_cycles + x prunable_cycles.

        Args:
            kept: Kept fractions x; (..., K).

        Returns:
            Cycles; (..., K).
        """
        return np.asarray(self.fixed_cycles + kept * self.prunable_cycles)

    def longer_s(self, kept: Array, cpu_hz: Array) -> Array:
        """Time by which a frequency below the highest one lengthens the work.

        Args:
            kept: Kept fractions; (..., K).
            cpu_hz: CPU frequency in Hz; (..., K).

        Returns:
            Time c / f - c / f_max in s; (..., K).
        """
        return np.asarray(self.cycles(kept) * (1.0 / cpu_hz - 1.0 / self.cpu_max_hz))


def round_energy_j(
    capacitance: Array | float, cpu_hz: Array, cpu_s: Array, power_w: Array, transmit_s: Array
) -> Array:
    """Energy of a client's round, kappa f^3 t_cpu + p t_transmit.

    Args:
        capacitance: kappa in J s^2; (..., K).
        cpu_hz: CPU frequency f in Hz; (..., K).
        cpu_s: Seconds of CPU work; (..., K).
        power_w: Transmit power p in W; (..., K).
        transmit_s: Seconds of transmission; (..., K).

    Returns:
        Energy in J; (..., K).
    """
    return np.asarray(capacitance * cpu_hz**3 * cpu_s + power_w * transmit_s)
