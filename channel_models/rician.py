"""Rician block fading with a receive array."""

from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from channel_models._csi import Csi
from channel_models._fading_channel import Faded
from channel_models._geometry.motion import Motion
from channel_models._propagation.fading import Fading
from channel_models._propagation.path_loss import LargeScale
from wirelessfl.errors import InputError, check_number
from wirelessfl.rng import Streams
from wirelessfl.units import db_to_linear
from wirelessfl.values import Array, ChannelState, PerClient, Scenario

# beyond any line of sight, within what noncentral chi-squared quantiles can be worked out for
MOST_DB = 60.0


@dataclass(frozen=True, kw_only=True)
class Rician:
    """Path loss times the power of independent Rician branches of a receive array.

    The mean power of a branch is 1 for every K factor. Fading is new in every round unless the
    clients move: then it is correlated (see `channel_models._fading_channel.Faded`).

    Attributes:
        large_scale: Path loss.
        k_factor_db: Power of the line of sight over that of the scattered waves, dB, one number or
            one per client; 9 dB is the mean of 3GPP TR 38.901's UMi and UMa (Table 7.5-6).
        antennas: Receive antennas.
        combining: `mrc` (maximum-ratio combining) or `selection` of the strongest branch.
        motion: Motion of the clients.
        csi: Channel state information of the server.
    """

    large_scale: LargeScale = field(default_factory=LargeScale)
    k_factor_db: PerClient = 9.0
    antennas: int = 4
    combining: Literal["mrc", "selection"] = "mrc"
    motion: Motion = field(default_factory=Motion)
    csi: Csi = field(default_factory=Csi)

    def __post_init__(self) -> None:
        if isinstance(self.k_factor_db, (list, np.ndarray)):
            object.__setattr__(self, "k_factor_db", tuple(np.asarray(self.k_factor_db).tolist()))
        check_number("channel.k_factor_db", self.k_factor_db, at_least=-MOST_DB, at_most=MOST_DB)
        self._faded()

    def sample(self, scenario: Scenario, streams: Streams) -> ChannelState:
        """Sample the channel of one round.

        Args:
            scenario: The cell.
            streams: Streams at the round; a draw depends on (seed, round, client).

        Returns:
            The channel state, with the server's knowledge of it.
        """
        return self._faded().sample(scenario, streams, self._k_factor(scenario))

    def mean_gain(self, scenario: Scenario, streams: Streams) -> Array:
        """Average the gain over fading, antennas * 10^(-PL/10) after maximum-ratio combining.

        Args:
            scenario: The cell.
            streams: Streams at the round.

        Returns:
            Linear power gain, (K,).
        """
        return self._faded().mean_gain(scenario, streams, self._k_factor(scenario))

    def _k_factor(self, scenario: Scenario) -> Array:
        """Linear K factor; (K,)."""
        if isinstance(self.k_factor_db, tuple) and len(self.k_factor_db) != scenario.clients:
            raise InputError(
                f"channel.k_factor_db must hold {scenario.clients} values (scenario.clients), "
                f"got {len(self.k_factor_db)}"
            )
        return np.broadcast_to(db_to_linear(self.k_factor_db), (scenario.clients,))

    def _faded(self) -> Faded:
        fading = Fading(fading="rician", antennas=self.antennas, combining=self.combining)
        return Faded(large_scale=self.large_scale, fading=fading, motion=self.motion, csi=self.csi)
