"""3GPP tapped-delay-line fading by Sionna, an optional extra: `pip install wirelessfl[sionna]`."""

from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, ClassVar, Literal

import numpy as np

from channel_models._csi import Csi
from channel_models._propagation.fading import check_antennas
from channel_models._propagation.path_loss import LargeScale
from wirelessfl.errors import InputError, check_choice, check_number
from wirelessfl.rng import Streams
from wirelessfl.values import Array, ChannelState, Scenario

PROFILES = ("A", "B", "C", "D", "E")
KNOWN_CSI = ("perfect", "mean", "bounded", "estimate")


@dataclass(frozen=True, kw_only=True)
class SionnaTdl:
    """Path loss times the band-average power of TDL fading (3GPP TR 38.901, clause 7.7.2).

    With taps a_mp at delays tau_p the power over the branches m, averaged over the scenario's band
    B, is sum_m sum_pq a_mp a_mq* sinc(B (tau_p - tau_q)): it fades less, the wider the band and the
    longer the delay spread. Fading is new in every round and changes over coherence blocks with the
    Doppler shift of `ue_speed_m_s`. Sionna generates the taps (sum of sinusoids, power 1 per
    branch). The quantile has no closed form, so `csi` must not be `quantile`.

    Attributes:
        large_scale: Path loss.
        profile: Delay profile, TDL-A to TDL-E.
        delay_spread_s: RMS delay spread, seconds.
        ue_speed_m_s: Speed of the clients for the Doppler shift, m/s.
        antennas: Receive antennas, maximum-ratio combined.
        csi: Channel state information of the server.
    """

    needs: ClassVar[str] = "sionna"

    large_scale: LargeScale = field(default_factory=LargeScale)
    profile: Literal["A", "B", "C", "D", "E"] = "C"
    delay_spread_s: float = 100e-9  # "nominal" in Table 7.7.3-1
    ue_speed_m_s: float = 0.0
    antennas: int = 4
    csi: Csi = field(default_factory=Csi)

    def __post_init__(self) -> None:
        check_choice("channel.profile", self.profile, PROFILES)
        check_number("channel.delay_spread_s", self.delay_spread_s, above=0)
        check_number("channel.ue_speed_m_s", self.ue_speed_m_s, at_least=0)
        check_antennas(self.antennas)
        check_choice("channel.csi of sionna-tdl", self.csi.csi, KNOWN_CSI)

    def sample(self, scenario: Scenario, streams: Streams) -> ChannelState:
        """Sample the channel of one round.

        Args:
            scenario: The cell.
            streams: Streams at the round; a draw depends on (seed, round, client).

        Returns:
            The channel state, with the server's knowledge of it.

        Raises:
            InputError: The extra `sionna` is not installed.
        """
        path_gain = self.large_scale.gain(scenario)
        mean = self.mean_gain(scenario, streams)

        def block_gain(block: int) -> Array:
            later_s = block * (scenario.medium.coherence_s or 0.0)
            power = [
                self._power(scenario.bandwidth_hz, streams, client, later_s)
                for client in range(scenario.clients)
            ]
            return np.asarray(path_gain * np.array(power))

        return self.csi.state(
            block_gain(0),
            streams,
            mean=mean,
            quantile=lambda outage: mean,
            path_gain=path_gain,
            block_gain=block_gain,
        )

    def mean_gain(self, scenario: Scenario, streams: Streams) -> Array:
        """Average the gain over fading, antennas * 10^(-PL/10).

        Args:
            scenario: The cell.
            streams: Streams at the round.

        Returns:
            Linear power gain, (K,).
        """
        return self.antennas * self.large_scale.gain(scenario)

    def _power(self, bandwidth_hz: float, streams: Streams, client: int, later_s: float) -> float:
        """Band-average power of a client's branches, `later_s` into the round."""
        taps = _taps(
            self.profile,
            self.delay_spread_s,
            self.large_scale.carrier_hz,
            self.ue_speed_m_s,
            self.antennas,
        )
        taps.torch_rng.manual_seed(streams.seed_for("tdl", client))
        # One model serves every client: it is the seed that makes the draw, and it draws alike for
        # every time.
        amplitudes, delays = taps(1, 2, 1.0 / later_s if later_s > 0 else 1.0)
        a = amplitudes[0, 0, :, 0, 0, :, 1 if later_s > 0 else 0].numpy()
        delay_s = delays[0, 0, 0].numpy()
        alike = np.sinc(bandwidth_hz * (delay_s[:, None] - delay_s))
        return float(np.einsum("mp,pq,mq->", a, alike, a.conj()).real)


@lru_cache(maxsize=4)
def _taps(
    profile: str, delay_spread_s: float, carrier_hz: float, speed_m_s: float, antennas: int
) -> Any:
    """Sionna's model; `InputError` when the extra is not installed."""
    try:
        from sionna.phy.channel.tr38901 import TDL
    except ImportError:
        raise InputError(
            "channel.model sionna-tdl needs the extra: pip install wirelessfl[sionna]"
        ) from None
    return TDL(
        profile,
        delay_spread_s,
        carrier_hz,
        min_speed=speed_m_s,
        num_rx_ant=antennas,
        precision="double",
        device="cpu",
    )
