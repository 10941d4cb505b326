"""What the server knows of a channel when it allocates."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from wirelessfl.csi import MOST, worst_gain
from wirelessfl.errors import check_choice, check_number
from wirelessfl.rng import Streams
from wirelessfl.values import Array, ChannelState

KINDS = ("perfect", "mean", "quantile", "bounded")


@dataclass(frozen=True, kw_only=True)
class Csi:
    """Channel state information; its fields stand beside the channel's own in a scenario file.

    `perfect`: the server knows this round's gain. `mean`: only the mean. `quantile`: it plans with the gain that the
    fading falls short of with probability `outage`, so that a client whose deadline binds misses it that often.
    `bounded`: it has an estimate of this round's gain that is off by at most `gain_error` of itself, uniformly, and
    plans with the least that the gain can be, so that nobody is late.
    """

    csi: Literal["perfect", "mean", "quantile", "bounded"] = "perfect"
    outage: float = 0.05
    gain_error: float = 0.1

    def __post_init__(self) -> None:
        check_choice("channel.csi", self.csi, KINDS)
        check_number("channel.outage", self.outage, above=0, at_most=MOST)
        check_number("channel.gain_error", self.gain_error, at_least=0, at_most=MOST)

    def state(self, gain: Array, rng: Streams, *, mean: Array, quantile: Callable[[float], Array]) -> ChannelState:
        """The channel of one round: its true `gain` and what the server plans with; (K,).

        `quantile` gives the gain that the fading falls short of with a given probability.
        """
        if self.csi == "perfect":
            return ChannelState.known(gain)
        if self.csi == "mean":
            return ChannelState(gain=gain, believed_gain=mean)
        if self.csi == "quantile":
            return ChannelState(gain=gain, believed_gain=quantile(self.outage))
        draws = np.array([rng.generator("csi", client).uniform(-1.0, 1.0) for client in range(len(gain))])
        return ChannelState(
            gain=gain, believed_gain=worst_gain(gain / (1.0 + self.gain_error * draws), self.gain_error)
        )
