"""Path loss of clients that may move, times fading: what `rayleigh` and `rician` share."""

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
    """Gain = path gain at the client's distance x power of the fading where it stands.

    Clients that stand still fade independently in every round and coherence block. Clients that
    move start at `distance_m`, on one ray; their path loss follows their distance, their fading is
    that of a random field at their place, J0(2 pi d / wavelength) correlated over a displacement d.
    """

    large_scale: LargeScale
    fading: Fading
    motion: Motion
    csi: Csi

    def sample(
        self, scenario: Scenario, streams: Streams, k_factor: ArrayLike | None = None
    ) -> ChannelState:
        """The channel of one round and of its coherence blocks; the server knows of it what `csi`
        says.
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
        """Path gain where the clients stand at the start of the round times the fading's mean
        power; (K,).
        """
        return self.fading.mean_power(k_factor) * self._path_gain(
            scenario, self._place_m(scenario, streams)
        )

    def _place_m(self, scenario: Scenario, streams: Streams, later_s: float = 0.0) -> Array | None:
        """Positions of the clients in metres, (K, 2); None when only their distances are known."""
        if self.motion.motion == "still":
            return None
        distance_m = scenario.per_client("distance_m")
        start_m = np.stack([distance_m, np.zeros_like(distance_m)], axis=1)
        return self.motion.positions(start_m, scenario, streams, later_s=later_s)

    def _path_gain(self, scenario: Scenario, place_m: Array | None) -> Array:
        if place_m is None:
            return self.large_scale.gain(scenario)
        return self.large_scale.gain_at(np.hypot(place_m[:, 0], place_m[:, 1]))
