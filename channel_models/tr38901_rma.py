"""Rural macro of 3GPP TR 38.901 as a channel."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from channel_models._tr38901_channel import Site
from channel_models._tr38901_clients import Indoor, Place
from wirelessfl.rng import Streams
from wirelessfl.values import Array, ChannelState, Scenario


@dataclass(frozen=True, kw_only=True)
class Tr38901Rma:
    """RMa of 3GPP TR 38.901: villages and fields, 10 m to 5 km (10 km with a line of sight), up to 30 GHz.

    Path loss, line of sight, shadowing and K factor of the standard's Tables 7.4.1-1, 7.4.2-1 and 7.5-6; `Site`
    says how they make the gain, `Indoor` what clients in buildings lose. Raises `InputError` outside the standard's
    range unless `extrapolate`.
    """

    bs_height_m: float = 35.0
    ut_height_m: float = 1.5
    street_width_m: float = 20.0
    building_height_m: float = 5.0
    indoor: Indoor = field(default_factory=Indoor)
    site: Site = field(default_factory=Site)

    def __post_init__(self) -> None:
        self.site.check(self._place)

    def sample(self, scenario: Scenario, rng: Streams) -> ChannelState:
        """A draw for every (seed, round, client); the server knows of it what `csi` says."""
        return self.site.sample(self._place, scenario, rng)

    def mean_gain(self, scenario: Scenario, rng: Streams) -> Array:
        """Gain of this run's positions, states and shadowing in this round, averaged over fading; (K,)."""
        return self.site.mean_gain(self._place, scenario, rng)

    def positions_m(self, scenario: Scenario, rng: Streams) -> Array:
        """Where the clients are in this round, the base station at the origin; (K, 2)."""
        return self.site.links(self._place, scenario, rng).position_m

    def line_of_sight(self, scenario: Scenario, rng: Streams) -> NDArray[np.bool_]:
        """Which clients have a line of sight in this round; (K,)."""
        return self.site.links(self._place, scenario, rng).line_of_sight

    def loss_curves_db(self, distance_m: Array) -> dict[str, Array]:
        """Path loss outdoors at a distance with and without a line of sight, for a picture; any shape."""
        return self.site.loss_curves_db(self._place, distance_m)

    @property
    def _place(self) -> Place:
        return Place(
            environment="rma",
            bs_height_m=self.bs_height_m,
            ut_height_m=self.ut_height_m,
            street_width_m=self.street_width_m,
            building_height_m=self.building_height_m,
            indoor=self.indoor,
        )
