"""Rayleigh block fading with a receive array."""

from dataclasses import dataclass, field
from typing import Literal

from channel_models._csi import Csi
from channel_models._fading_channel import Faded
from channel_models._geometry.motion import Motion
from channel_models._propagation.fading import Fading
from channel_models._propagation.path_loss import LargeScale
from wirelessfl.rng import Streams
from wirelessfl.values import Array, ChannelState, Scenario


@dataclass(frozen=True, kw_only=True)
class Rayleigh:
    """Path loss times the power of `antennas` independent Rayleigh branches, maximum-ratio combined
    or the strongest.

    The sum of M unit-mean exponential branch powers is Gamma(M, 1). [WFL] says "multiple antennas";
    4 is what its Table I fits. Fading is new in every round unless the clients move: then it is
    correlated (see `Faded`).
    """

    large_scale: LargeScale = field(default_factory=LargeScale)
    antennas: int = 4
    combining: Literal["mrc", "selection"] = "mrc"
    motion: Motion = field(default_factory=Motion)
    csi: Csi = field(default_factory=Csi)

    def __post_init__(self) -> None:
        self._faded()

    def sample(self, scenario: Scenario, streams: Streams) -> ChannelState:
        """A draw for every (seed, round, client); the server knows of it what `csi` says."""
        return self._faded().sample(scenario, streams)

    def mean_gain(self, scenario: Scenario, streams: Streams) -> Array:
        """Expected linear power gain, antennas * 10^(-PL/10) after maximum-ratio combining; (K,)."""
        return self._faded().mean_gain(scenario, streams)

    def _faded(self) -> Faded:
        fading = Fading(fading="rayleigh", antennas=self.antennas, combining=self.combining)
        return Faded(large_scale=self.large_scale, fading=fading, motion=self.motion, csi=self.csi)
