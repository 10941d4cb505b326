"""Rayleigh block fading with a receive array."""

from dataclasses import dataclass, field

import numpy as np

from channel_models._csi import Csi
from channel_models._path_loss import LargeScale
from wirelessfl.csi import outage_gain
from wirelessfl.errors import check_count
from wirelessfl.rng import Streams
from wirelessfl.values import Array, ChannelState, Scenario


@dataclass(frozen=True, kw_only=True)
class Rayleigh:
    """Path loss times Gamma(antennas, 1): independent Rayleigh branches, maximum-ratio combining, new every round.

    The sum of M unit-mean exponential branch powers is Gamma(M, 1). [WFL] says "multiple antennas"; 4 is what
    its Table I fits.
    """

    large_scale: LargeScale = field(default_factory=LargeScale)
    antennas: int = 4
    csi: Csi = field(default_factory=Csi)

    def __post_init__(self) -> None:
        check_count("channel.antennas", self.antennas)

    def sample(self, scenario: Scenario, rng: Streams) -> ChannelState:
        """An independent draw for every (seed, round, client); the server knows of it what `csi` says."""
        fading = [rng.generator("fading", client).standard_gamma(self.antennas) for client in range(scenario.clients)]
        gain, mean = self.large_scale.gain(scenario) * np.array(fading), self.mean_gain(scenario, rng)
        return self.csi.state(gain, rng, mean=mean, quantile=lambda outage: outage_gain(mean, outage, self.antennas))

    def mean_gain(self, scenario: Scenario, rng: Streams) -> Array:
        """Expected linear power gain, antennas * 10^(-PL/10); (K,)."""
        return self.antennas * self.large_scale.gain(scenario)
