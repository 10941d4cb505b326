"""Clients dropped around a base station of 3GPP TR 38.901: the shared part of its environments."""

from dataclasses import dataclass, field, replace
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from channel_models._csi import Csi
from channel_models._geometry.drop import Drop
from channel_models._geometry.motion import Motion
from channel_models._geometry.sector import Sector
from channel_models._propagation.building_entry import draw_indoor_distance_m, penetration_db
from channel_models._propagation.fading import Fading
from channel_models._propagation.path_loss import MOST_CARRIER_HZ, SPEED_OF_LIGHT_M_S
from channel_models._propagation.shadowing import over_distance
from channel_models._propagation.tr38901 import (
    correlation_distance_m,
    los_probability,
    loss_db,
    shadow_std_db,
)
from channel_models._propagation.tr38901_tables import TABLE, named
from channel_models._tr38901_clients import Place, effective_height_m, kept_for_the_run
from wirelessfl.errors import InputError, check_choice, check_number
from wirelessfl.rng import Streams
from wirelessfl.units import db_to_linear
from wirelessfl.values import Array, ChannelState, Scenario

SIGHTS = ("drawn", "always", "never")
SIGHT_CORRELATION_M = {"umi": 50.0, "uma": 50.0, "rma": 60.0, "inh": 10.0}  # Table 7.6.3.1-2
# what a client's distance comes from, where it is not drawn
WHERE_FROM = {"scenario": "scenario.distance_m", "given": "channel.positions_m: the distance"}


@dataclass(frozen=True, kw_only=True, eq=False)
class Links:
    """Large scale of the links of one round.

    Attributes:
        position_m: Positions, metres, (K, 2).
        line_of_sight: Whether the link has a line of sight, (K,).
        path_gain: Linear gain without fading, (K,).
        k_factor: Linear Rician K factor, (K,).
    """

    position_m: Array
    line_of_sight: NDArray[np.bool_]
    path_gain: Array
    k_factor: Array


@dataclass(frozen=True, kw_only=True)
class Site:
    """Settings common to all environments; the fields are keys of section `channel`.

    Gain = 10^(-(PL + SF + O2I - A)/10) x fading: path loss PL at the client's position, shadowing
    SF, loss O2I into a building, antenna gain A of its sector. A client keeps its draws. Its line
    of sight exists when Phi(x) is at most the probability at its present distance, x a standard
    normal process over the distance moved (clause 7.6.3.3), so that its frequency is that
    probability in every round; `sight` may fix it. Shadowing is sigma times such a process, one
    with and one without a line of sight. Fading has the Rician K factor of the client (dB, normal;
    clause 7.5) with a line of sight outdoors and is Rayleigh otherwise; it is new in every round
    and coherence block for static clients, and a field over the positions of moving clients.

    **Differs:** clients are independent of each other at any distance, and so are shadowing and K
    factor, which the standard correlates. A client indoors has the shadowing deviation of Table
    7.4.1-1 for its state, and no client is in a car. The large scale is that of the start of a
    round, within which only fading changes.

    Attributes:
        carrier_hz: Carrier frequency, Hz.
        sight: Line of sight: drawn, always or never.
        shadowing: Whether links are shadowed.
        extrapolate: Whether values outside the standard's ranges are accepted.
        drop: Positions at the start of the run.
        motion: Motion of the clients.
        sector: Sectors of the base station.
        fading: Small-scale fading.
        csi: Channel state information of the server.
    """

    carrier_hz: float = 3.5e9
    sight: Literal["drawn", "always", "never"] = "drawn"
    shadowing: bool = True
    extrapolate: bool = False
    drop: Drop = field(default_factory=Drop)
    motion: Motion = field(default_factory=Motion)
    sector: Sector = field(default_factory=Sector)
    fading: Fading = field(default_factory=lambda: Fading(fading="rician", antennas=4))
    csi: Csi = field(default_factory=Csi)

    def __post_init__(self) -> None:
        check_number(
            "channel.carrier_hz", self.carrier_hz, above=0, at_least=1, at_most=MOST_CARRIER_HZ
        )
        check_choice("channel.sight", self.sight, SIGHTS)

    def check(self, place: Place) -> None:
        """Check the settings against an environment, before any draw.

        Args:
            place: The environment.

        Raises:
            InputError: A value outside the standard's range.
        """
        distances_m = {"distance_m": TABLE[place.environment].nearest_m}
        if self.drop.drop in ("disc", "hexagon"):
            distances_m |= {
                "min_distance_m": self.drop.min_distance_m,
                "radius_m": self.drop.radius_m,
            }
        if self.motion.motion != "still":
            distances_m |= {
                "roam_min_m": self.motion.roam_min_m,
                "roam_radius_m": self.motion.roam_radius_m,
            }
        for name, distance_m in distances_m.items():
            try:
                self._loss_db(
                    place, np.array([distance_m]), np.array([self.sight == "always"]), 1.0
                )
                if place.indoor.indoor_share > 0:
                    draw_indoor_distance_m(
                        place.indoor.penetration, place.environment, Streams(0).generator("check")
                    )
                    penetration_db(
                        place.indoor.penetration, self.carrier_hz, release=place.indoor.release
                    )
            except InputError as error:
                raise named(error, f"channel.{name}") from None

    def sample(self, place: Place, scenario: Scenario, streams: Streams) -> ChannelState:
        """Sample the channel of one round and of its coherence blocks.

        Args:
            place: The environment.
            scenario: The cell.
            streams: Streams at the round.

        Returns:
            The channel state, with the server's knowledge of it.
        """
        links = self.links(place, scenario, streams)
        k_factor = links.k_factor
        path_gain = links.path_gain

        def block_gain(block: int) -> Array:
            power = self.fading.power(
                streams,
                scenario.clients,
                k_factor=k_factor,
                position_wavelengths=self._wavelengths(scenario, streams, block),
                block=block,
            )
            return path_gain * power

        return self.csi.state(
            block_gain(0),
            streams,
            mean=path_gain * self.fading.mean_power(k_factor),
            quantile=lambda outage: path_gain * self.fading.quantile(outage, k_factor),
            path_gain=path_gain,
            block_gain=block_gain,
        )

    def mean_gain(self, place: Place, scenario: Scenario, streams: Streams) -> Array:
        """Average the gain of the round over fading alone.

        Args:
            place: The environment.
            scenario: The cell.
            streams: Streams at the round.

        Returns:
            Linear power gain, (K,).
        """
        links = self.links(place, scenario, streams)
        return links.path_gain * self.fading.mean_power(links.k_factor)

    def links(self, place: Place, scenario: Scenario, streams: Streams) -> Links:
        """Large scale of a round.

        Args:
            place: The environment.
            scenario: The cell.
            streams: Streams at the round.

        Returns:
            Positions, lines of sight, path gains and K factors.
        """
        start_m = self.drop.positions(scenario, streams)
        position_m = self.motion.positions(start_m, scenario, streams)
        # to the micrometre, so that rounding takes no client out of the standard's range
        # of it
        distance_m = np.asarray(
            np.round(np.hypot(position_m[:, 0], position_m[:, 1]), 6), dtype=np.float64
        )
        clients = kept_for_the_run(place, self.carrier_hz, streams.seed, scenario.clients)
        sight, with_sight, without = over_distance(
            "large scale",
            _correlation_m(place.environment, clients.indoors),
            start_m,
            self.motion,
            scenario,
            streams,
        )
        los = self._line_of_sight(place, np.maximum(distance_m - clients.depth_m, 0.0), sight)
        try:
            loss = self._loss_db(
                place, distance_m, los, effective_height_m(place, start_m, streams.seed)
            )
        except InputError as error:
            raise named(error, WHERE_FROM.get(self.drop.drop, "channel.radius_m")) from None
        loss = loss + clients.loss_db - self.sector.gain_db(position_m)
        if self.shadowing:
            std_db = shadow_std_db(
                place.environment,
                distance_m,
                los=los,
                carrier_hz=self.carrier_hz,
                bs_height_m=place.bs_height_m,
                ut_height_m=place.ut_height_m,
            )
            loss = loss + std_db * np.where(los, with_sight, without)
        return Links(
            position_m=position_m,
            line_of_sight=los,
            path_gain=db_to_linear(-loss),
            k_factor=np.where(los & ~clients.indoors, clients.k_factor, 0.0),
        )

    def loss_curves_db(self, place: Place, distance_m: Array) -> dict[str, Array]:
        """Path loss outdoors with and without a line of sight, within the standard's range or not.

        Args:
            place: The environment.
            distance_m: 2-D distances, metres, any shape.

        Returns:
            Losses in dB by name, of that shape.
        """
        anywhere = replace(self, extrapolate=True)
        names = {"line of sight": True, "no line of sight": False}
        return {
            name: anywhere._loss_db(place, distance_m, np.array(los), 1.0)
            for name, los in names.items()
        }

    def _line_of_sight(self, place: Place, outdoor_m: Array, normal: Array) -> NDArray[np.bool_]:
        if self.sight != "drawn":
            return np.full(len(normal), self.sight == "always")
        from scipy.special import ndtr  # slow to import, and most channels never ask

        probability = los_probability(
            place.environment, outdoor_m, ut_height_m=place.ut_height_m, office=place.office
        )
        los: NDArray[np.bool_] = ndtr(normal) <= probability
        return los

    def _loss_db(
        self,
        place: Place,
        distance_m: Array,
        los: NDArray[np.bool_],
        effective_height_m: Array | float,
    ) -> Array:
        return loss_db(
            place.environment,
            distance_m,
            carrier_hz=self.carrier_hz,
            los=los,
            bs_height_m=place.bs_height_m,
            ut_height_m=place.ut_height_m,
            street_width_m=place.street_width_m,
            building_height_m=place.building_height_m,
            effective_height_m=effective_height_m,
            extrapolate=self.extrapolate,
        )

    def _wavelengths(self, scenario: Scenario, streams: Streams, block: int) -> Array | None:
        """Positions in a coherence block, (K, 2) wavelengths; None for clients that stand still."""
        if self.motion.motion == "still":
            return None
        later_s = block * (scenario.medium.coherence_s or 0.0)
        place_m = self.motion.positions(
            self.drop.positions(scenario, streams), scenario, streams, later_s=later_s
        )
        return place_m * (self.carrier_hz / SPEED_OF_LIGHT_M_S)


def _correlation_m(environment: str, indoors: NDArray[np.bool_]) -> Array:
    """Correlation distances of line of sight and of shadowing with and without it; (3, K)."""
    return np.stack(
        [
            np.full(len(indoors), SIGHT_CORRELATION_M[environment]),
            correlation_distance_m(environment, los=True, indoor=indoors),
            correlation_distance_m(environment, los=False, indoor=indoors),
        ]
    )


class Dropped(Protocol):
    """A channel of TR 38.901, defined by its `site` and its environment.

    Plug-ins derive from it and declare their fields, `site` among them, and `_place`.

    Attributes:
        site: Settings common to all environments.
    """

    site: Site

    def __post_init__(self) -> None:
        self.site.check(self._place)

    @property
    def _place(self) -> Place: ...

    def sample(self, scenario: Scenario, streams: Streams) -> ChannelState:
        """Sample the channel of one round.

        Args:
            scenario: The cell.
            streams: Streams at the round; a draw depends on (seed, round, client).

        Returns:
            The channel state, with the server's knowledge of it.

        Raises:
            InputError: A position outside the standard's range, unless `extrapolate`.
        """
        return self.site.sample(self._place, scenario, streams)

    def mean_gain(self, scenario: Scenario, streams: Streams) -> Array:
        """Average the gain over fading, at this run's positions, states and shadowing of the round.

        Args:
            scenario: The cell.
            streams: Streams at the round.

        Returns:
            Linear power gain, (K,).
        """
        return self.site.mean_gain(self._place, scenario, streams)

    def positions_m(self, scenario: Scenario, streams: Streams) -> Array:
        """Positions in a round, with the base station at the origin.

        Args:
            scenario: The cell.
            streams: Streams at the round.

        Returns:
            Metres, (K, 2).
        """
        return self.site.links(self._place, scenario, streams).position_m

    def line_of_sight(self, scenario: Scenario, streams: Streams) -> NDArray[np.bool_]:
        """Lines of sight in a round.

        Args:
            scenario: The cell.
            streams: Streams at the round.

        Returns:
            True for clients with a line of sight, (K,).
        """
        return self.site.links(self._place, scenario, streams).line_of_sight

    def loss_curves_db(self, distance_m: Array) -> dict[str, Array]:
        """Path loss outdoors with and without a line of sight, for figures.

        Args:
            distance_m: 2-D distances, metres, any shape.

        Returns:
            Losses in dB by name, of that shape.
        """
        return self.site.loss_curves_db(self._place, distance_m)
