"""A channel without fading."""

from dataclasses import dataclass, field

from channel_models._csi import Csi
from channel_models._propagation.fading import check_antennas
from channel_models._propagation.path_loss import LargeScale
from wirelessfl.rng import Streams
from wirelessfl.values import Array, ChannelState, Scenario


@dataclass(frozen=True, kw_only=True)
class Static:
    """Path loss times the gain of a receive array with maximum-ratio combining, without fading.

    Attributes:
        large_scale: Path loss.
        antennas: Receive antennas.
        csi: Channel state information of the server.
    """

    large_scale: LargeScale = field(default_factory=LargeScale)
    antennas: int = 4
    csi: Csi = field(default_factory=Csi)

    def __post_init__(self) -> None:
        check_antennas(self.antennas)

    def sample(self, scenario: Scenario, streams: Streams) -> ChannelState:
        """The mean gain in every round; only an estimation error changes the server's knowledge.

        Args:
            scenario: The cell.
            streams: Streams at the round.

        Returns:
            The channel state, with the server's knowledge of it.
        """
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
        """The gain antennas * 10^(-PL/10).

        Args:
            scenario: The cell.
            streams: Streams at the round.

        Returns:
            Linear power gain, (K,).
        """
        return self.antennas * self.large_scale.gain(scenario)
