"""Rural macro of 3GPP TR 38.901 as a channel."""

from dataclasses import dataclass, field

from channel_models._tr38901_channel import Dropped, Site
from channel_models._tr38901_clients import Indoor, Place


@dataclass(frozen=True, kw_only=True)
class Tr38901Rma(Dropped):
    """RMa of 3GPP TR 38.901: rural macro, 10 m to 5 km (10 km with line of sight), up to 30 GHz.

    Path loss, line of sight, shadowing and K factor are those of the standard's Tables 7.4.1-1,
    7.4.2-1 and 7.5-6; `Site` composes the gain. Values outside the standard's range are refused
    unless `extrapolate`.

    Attributes:
        bs_height_m: Height of the base station, metres.
        ut_height_m: Height of the clients, metres.
        street_width_m: Street width W, metres.
        building_height_m: Building height h, metres.
        indoor: Clients inside buildings.
        site: Settings common to all environments.
    """

    bs_height_m: float = 35.0
    ut_height_m: float = 1.5
    street_width_m: float = 20.0
    building_height_m: float = 5.0
    indoor: Indoor = field(default_factory=Indoor)
    site: Site = field(default_factory=Site)

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
