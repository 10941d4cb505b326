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
    """Path loss times the power of independent Rayleigh branches of a receive array.

    The sum of M unit-mean exponential branch powers is Gamma(M, 1). [WFL] says "multiple antennas";
    4 fits its Table I. Fading is new in every round unless the clients move: then it is correlated
    (see `channel_models._fading_channel.Faded`).

    Attributes:
        large_scale: Path loss.
        antennas: M, receive antennas.
        combining: `mrc` (maximum-ratio combining) or `selection` of the strongest branch.
        motion: Motion of the clients.
        csi: Channel state information of the server.

    Example:
        >>> from channel_models import Rayleigh
        >>> from wirelessfl.rng import Streams
        >>> from wirelessfl.scenario.scenario import Scenario
        >>> Rayleigh(antennas=2).sample(Scenario(clients=3), Streams(0, 0)).gain.shape
        (3,)
    """

    large_scale: LargeScale = field(default_factory=LargeScale)
    antennas: int = 4
    combining: Literal["mrc", "selection"] = "mrc"
    motion: Motion = field(default_factory=Motion)
    csi: Csi = field(default_factory=Csi)

    def __post_init__(self) -> None:
        self._faded()

    def sample(self, scenario: Scenario, streams: Streams) -> ChannelState:
        """Sample the channel of one round.

        Args:
            scenario: The cell.
            streams: Streams at the round; a draw depends on (seed, round, client).

        Returns:
            The channel state, with the server's knowledge of it.
        """
        return self._faded().sample(scenario, streams)

    def mean_gain(self, scenario: Scenario, streams: Streams) -> Array:
        """Average the gain over fading, antennas * 10^(-PL/10) after maximum-ratio combining.

        Args:
            scenario: The cell.
            streams: Streams at the round.

        Returns:
            Linear power gain, (K,).
        """
        return self._faded().mean_gain(scenario, streams)

    def _faded(self) -> Faded:
        fading = Fading(fading="rayleigh", antennas=self.antennas, combining=self.combining)
        return Faded(large_scale=self.large_scale, fading=fading, motion=self.motion, csi=self.csi)
