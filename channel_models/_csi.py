"""Channel state information of the server at allocation time."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from wirelessfl.errors import check_choice, check_number
from wirelessfl.radio.csi import MOST, share_of_outage, worst_gain
from wirelessfl.rng import Streams
from wirelessfl.units import db_to_linear
from wirelessfl.values import Array, ChannelState

OUTAGES = ("client", "round")
KINDS = ("perfect", "mean", "quantile", "bounded", "estimate")
MOST_DB = 100.0  # beyond any estimate, within any float


@dataclass(frozen=True, kw_only=True)
class Csi:
    """Channel state information (CSI) of the server; the fields are keys of section `channel`.

    - `perfect`: the gain of the round.
    - `mean`: its mean only.
    - `quantile`: the gain that the fading falls short of with probability `outage`, so that a
      client whose deadline binds misses it that often.
    - `bounded`: the smallest gain compatible with an estimate that is off by at most `gain_error`
      of itself, uniformly, so that no client is late.
    - `estimate`: an estimate, 10^(N(0, `estimate_error_db`)/10) times the gain: unbiased in dB, too
      large half of the time.

    Attributes:
        csi: Kind of information.
        outage: Probability of `quantile`, within (0, 1).
        outage_of: Event of this probability. client: the gain of a client falls short; round: that
            of any of the K clients does, 1 - (1 - `outage`)^(1/K) for each where they fade
            independently.
        gain_error: Relative error of `bounded`, within [0, 1).
        estimate_error_db: Standard deviation of `estimate`, dB.
    """

    csi: Literal["perfect", "mean", "quantile", "bounded", "estimate"] = "perfect"
    outage: float = 0.05
    outage_of: Literal["client", "round"] = "client"
    gain_error: float = 0.1
    estimate_error_db: float = 2.0

    def __post_init__(self) -> None:
        check_choice("channel.csi", self.csi, KINDS)
        check_number("channel.outage", self.outage, above=0, at_most=MOST)
        check_choice("channel.outage_of", self.outage_of, OUTAGES)
        check_number("channel.gain_error", self.gain_error, at_least=0, at_most=MOST)
        check_number(
            "channel.estimate_error_db", self.estimate_error_db, at_least=0, at_most=MOST_DB
        )

    def state(
        self,
        gain: Array,
        streams: Streams,
        *,
        mean: Array,
        quantile: Callable[[float], Array],
        path_gain: Array | None = None,
        block_gain: Callable[[int], Array] | None = None,
    ) -> ChannelState:
        """Describe the channel of one round and the server's knowledge of it.

        Args:
            gain: True linear power gain, (K,).
            streams: Streams at the round.
            mean: Mean gain, (K,).
            quantile: Gain that the fading falls short of with a given probability, (K,).
            path_gain: Gain without fading, passed through, (K,).
            block_gain: Gain (K,) of a coherence block, passed through.

        Returns:
            The channel state.
        """
        believed = self._believed(gain, streams, mean, quantile)
        return ChannelState(
            gain=gain, believed_gain=believed, path_gain=path_gain, block_gain=block_gain
        )

    def _believed(
        self, gain: Array, streams: Streams, mean: Array, quantile: Callable[[float], Array]
    ) -> Array:
        if self.csi == "perfect":
            return gain
        if self.csi == "mean":
            return mean
        if self.csi == "quantile":
            return quantile(
                self.outage
                if self.outage_of == "client"
                else share_of_outage(self.outage, len(gain))
            )
        generators = [streams.generator("csi", client) for client in range(len(gain))]
        if self.csi == "estimate":
            normal = np.array([generator.standard_normal() for generator in generators])
            return gain * db_to_linear(self.estimate_error_db * normal)
        draws = np.array([generator.uniform(-1.0, 1.0) for generator in generators])
        return worst_gain(gain / (1.0 + self.gain_error * draws), self.gain_error)
