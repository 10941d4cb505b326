"""A channel without fading."""

from dataclasses import dataclass, field

from channel_models._csi import Csi
from channel_models._propagation.fading import check_antennas
from channel_models._propagation.path_loss import LargeScale
from wirelessfl.rng import Streams
from wirelessfl.values import Array, ChannelState, Scenario


@dataclass(frozen=True, kw_only=True)
class Static:
    """Path loss times the gain of `antennas` receive antennas with maximum-ratio combining, the
    same every round.
    """

    large_scale: LargeScale = field(default_factory=LargeScale)
    antennas: int = 4
    csi: Csi = field(default_factory=Csi)

    def __post_init__(self) -> None:
        check_antennas(self.antennas)

    def sample(self, scenario: Scenario, streams: Streams) -> ChannelState:
        """The mean gain, in every round; only an error makes a difference to what the server knows."""
        gain = self.mean_gain(scenario, streams)
        return self.csi.state(
            gain,
            streams,
            mean=gain,
            quantile=lambda outage: gain,
            path_gain=self.large_scale.gain(scenario),
            block_gain=lambda block: gain,
        )

    def mean_gain(self, scenario: Scenario, streams: Streams) -> Array:
        """Expected linear power gain, antennas * 10^(-PL/10); (K,)."""
        return self.antennas * self.large_scale.gain(scenario)
