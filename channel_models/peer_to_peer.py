"""Agents without a server: each multicasts to its neighbours on a graph, at the worst rate."""

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from channel_models._csi import Csi
from channel_models._geometry.drop import Drop
from channel_models._propagation.path_loss import LargeScale
from wirelessfl.errors import InputError, check_number
from wirelessfl.graph import Graph
from wirelessfl.radio.csi import outage_gain
from wirelessfl.rng import Streams
from wirelessfl.values import Array, ChannelState, Scenario


@dataclass(frozen=True, kw_only=True)
class PeerToPeer:
    """Path loss between agents times Rayleigh fading of every pair; the worst neighbour counts.

    h_i = min over neighbours j of L(d_ij) X_ij, with X_ij = X_ji ~ Exp(1) new in every round: one
    transmission must reach all neighbours. Since the least of independent exponentials is
    exponential with the sum of their rates, h_i is exponential with mean 1 / sum_j (1 / L(d_ij)).
    Agents are placed by `drop`, have one antenna each and share the band by allocation; the round
    ends with the last transmission. The distance of a pair counts as at least
    `min_peer_distance_m`.

    Attributes:
        graph: Neighbours of the agents.
        drop: Positions of the agents.
        min_peer_distance_m: Least distance of a pair, metres; from 1e-3 to 1e9.
        large_scale: Path loss.
        csi: Channel state information of the planner.
    """

    clients_interact: ClassVar[bool] = True  # a client's gain depends on the others

    graph: Graph = field(default_factory=Graph)
    drop: Drop = field(
        default_factory=lambda: Drop(drop="disc", radius_m=100.0, min_distance_m=0.0)
    )
    min_peer_distance_m: float = 1.0
    large_scale: LargeScale = field(default_factory=LargeScale)
    csi: Csi = field(default_factory=Csi)

    def __post_init__(self) -> None:
        check_number(
            "channel.min_peer_distance_m", self.min_peer_distance_m, at_least=1e-3, at_most=1e9
        )

    def sample(self, scenario: Scenario, streams: Streams) -> ChannelState:
        """Sample the channel of one round.

        Args:
            scenario: The cell.
            streams: Streams at the round; the fading of a pair depends on (seed, round, coherence
                block, pair).

        Returns:
            The channel state, with the planner's knowledge of it.

        Raises:
            InputError: Fewer than 2 clients, or a graph or positions that do not fit them.
        """
        path_gain = self._path_gain(scenario, streams)
        mean = _mean_of_least(path_gain)

        def block_gain(block: int) -> Array:
            least: Array = (path_gain * _pair_fading(streams, scenario.clients, block)).min(axis=1)
            return least

        return self.csi.state(
            block_gain(0),
            streams,
            mean=mean,
            quantile=lambda outage: outage_gain(mean, outage),
            path_gain=path_gain.min(axis=1),
            block_gain=block_gain,
        )

    def mean_gain(self, scenario: Scenario, streams: Streams) -> Array:
        """Average the gain to the worst neighbour over fading, 1 / sum_j (1 / L(d_ij)).

        Args:
            scenario: The cell.
            streams: Streams at any round.

        Returns:
            Linear power gain, (K,).
        """
        return _mean_of_least(self._path_gain(scenario, streams))

    def positions_m(self, scenario: Scenario, streams: Streams) -> Array:
        """Positions of the agents, the same in every round.

        Args:
            scenario: The cell.
            streams: Streams at any round.

        Returns:
            Metres, (K, 2).
        """
        return self.drop.positions(scenario, streams)

    def adjacency(self, scenario: Scenario, streams: Streams) -> NDArray[np.bool_]:
        """Neighbourhood of the agents, the same in every round.

        Args:
            scenario: The cell.
            streams: Streams at any round.

        Returns:
            Whether two agents are neighbours, (K, K).
        """
        try:
            return self.graph.adjacency_matrix(scenario.clients, streams.seed)
        except InputError as error:  # of a graph that is not the channel's alone
            raise InputError(f"channel.{error}") from None

    def _path_gain(self, scenario: Scenario, streams: Streams) -> Array:
        """Linear gain between neighbours without fading, inf for other pairs; (K, K), symmetric."""
        if scenario.clients < 2:
            raise InputError(
                f"scenario.clients must be at least 2 for peer-to-peer, got {scenario.clients}"
            )
        one, other = np.nonzero(np.triu(self.adjacency(scenario, streams)))
        position_m = self.positions_m(scenario, streams)
        distance_m = np.hypot(*(position_m[one] - position_m[other]).T)
        gain = np.full((scenario.clients, scenario.clients), np.inf)
        gain[one, other] = self.large_scale.gain_at(
            np.maximum(distance_m, self.min_peer_distance_m),
            "channel.radius_m: the distance between neighbours",
        )
        return np.asarray(np.minimum(gain, gain.T))


def _mean_of_least(mean: Array) -> Array:
    """Mean of the least of independent exponentials of means (..., N); inf is excluded."""
    least: Array = 1.0 / (1.0 / mean).sum(axis=-1)
    return least


def _pair_fading(streams: Streams, clients: int, block: int) -> Array:
    """Unit-mean exponential power of every pair, symmetric; (K, K), 1 on the diagonal.

    Agent i draws for its pairs with the agents before it, in their order: later agents change
    nothing.
    """
    stream = "peer fading" if block == 0 else f"peer fading {block}"
    power = np.ones((clients, clients))
    for client in range(1, clients):
        power[client, :client] = power[:client, client] = streams.generator(
            stream, client
        ).standard_exponential(client)
    return power
