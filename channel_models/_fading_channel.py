"""Fading channel of clients that may move: the shared part of `rayleigh` and `rician`."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from channel_models._csi import Csi
from channel_models._geometry.motion import Motion
from channel_models._propagation.fading import Fading
from channel_models._propagation.path_loss import SPEED_OF_LIGHT_M_S, LargeScale
from wirelessfl.rng import Streams
from wirelessfl.values import Array, ChannelState, Scenario


@dataclass(frozen=True, kw_only=True)
class Faded:
    """Gain = path gain at the client's distance x power of the fading at its position.

    Static clients fade independently in every round and coherence block. Moving clients start at
    `distance_m` on one ray; their path loss follows their distance, their fading is that of a
    random field at their position, J0(2 pi d / wavelength) correlated over a displacement d.

    Attributes:
        large_scale: Path loss.
        fading: Small-scale fading.
        motion: Motion of the clients.
        csi: Channel state information of the server.
    """

    large_scale: LargeScale
    fading: Fading
    motion: Motion
    csi: Csi

    def sample(
        self, scenario: Scenario, streams: Streams, k_factor: ArrayLike | None = None
    ) -> ChannelState:
        """Sample the channel of one round and of its coherence blocks.

        Args:
            scenario: The cell.
            streams: Streams at the round.
            k_factor: Linear Rician K factor, a number or (K,); None for Rayleigh fading.

        Returns:
            The channel state, with the server's knowledge of it.
        """
        path_gain = self._path_gain(scenario, self._place_m(scenario, streams))
        mean_power = self.fading.mean_power(k_factor)
        mean = mean_power * path_gain

        def block_gain(block: int) -> Array:
            later_s = block * (scenario.medium.coherence_s or 0.0)
            place_m = self._place_m(scenario, streams, later_s)
            wavelengths = (
                None
                if place_m is None
                else place_m * (self.large_scale.carrier_hz / SPEED_OF_LIGHT_M_S)
            )
            power = self.fading.power(
                streams,
                scenario.clients,
                k_factor=k_factor,
                position_wavelengths=wavelengths,
                block=block,
            )
            return self._path_gain(scenario, place_m) * power

        return self.csi.state(
            block_gain(0),
            streams,
            mean=mean,
            quantile=lambda outage: mean / mean_power * self.fading.quantile(outage, k_factor),
            path_gain=path_gain,
            block_gain=block_gain,
        )

    def mean_gain(
        self, scenario: Scenario, streams: Streams, k_factor: ArrayLike | None = None
    ) -> Array:
        """Average the gain over fading, at the positions of the start of the round.

        Args:
            scenario: The cell.
            streams: Streams at the round.
            k_factor: Linear Rician K factor, a number or (K,); None for Rayleigh fading.

        Returns:
            Linear power gain, (K,).
        """
        return self.fading.mean_power(k_factor) * self._path_gain(
            scenario, self._place_m(scenario, streams)
        )

    def _place_m(self, scenario: Scenario, streams: Streams, later_s: float = 0.0) -> Array | None:
        """Positions, (K, 2) metres; None for static clients, whose distance suffices."""
        if self.motion.motion == "still":
            return None
        distance_m = scenario.per_client("distance_m")
        start_m = np.stack([distance_m, np.zeros_like(distance_m)], axis=1)
        return self.motion.positions(start_m, scenario, streams, later_s=later_s)

    def _path_gain(self, scenario: Scenario, place_m: Array | None) -> Array:
        if place_m is None:
            return self.large_scale.gain(scenario)
        return self.large_scale.gain_at(np.hypot(place_m[:, 0], place_m[:, 1]))
