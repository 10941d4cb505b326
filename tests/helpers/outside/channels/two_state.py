"""An external channel: good or bad, at random, in every round."""

from dataclasses import dataclass

import numpy as np

from wirelessfl.errors import check_number
from wirelessfl.rng import Streams
from wirelessfl.values import Array, ChannelState, Scenario


@dataclass(frozen=True, kw_only=True)
class TwoState:
    """`good_gain` in half of the rounds, a tenth of it in the others."""

    good_gain: float = 1e-11
    antennas: int = 1

    def __post_init__(self) -> None:
        check_number("channel.good_gain", self.good_gain, above=0)

    def sample(self, scenario: Scenario, streams: Streams) -> ChannelState:
        good = [
            streams.generator("state", client).random() < 0.5 for client in range(scenario.clients)
        ]
        return ChannelState.perfect_csi(self.good_gain * np.where(good, 1.0, 0.1))

    def mean_gain(self, scenario: Scenario, streams: Streams) -> Array:
        return np.full(scenario.clients, 0.55 * self.good_gain)
