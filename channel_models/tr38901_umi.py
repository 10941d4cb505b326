"""Urban micro street canyon of 3GPP TR 38.901 as a channel."""

from dataclasses import dataclass, field

from channel_models._tr38901_channel import Dropped, Site
from channel_models._tr38901_clients import Indoor, Place


@dataclass(frozen=True, kw_only=True)
class Tr38901Umi(Dropped):
    """UMi street canyon of 3GPP TR 38.901: a base station below the roofs, 10 m to 5 km.

    Path loss, line of sight, shadowing and K factor are those of the standard's Tables 7.4.1-1,
    7.4.2-1 and 7.5-6; `Site` composes the gain. Values outside the standard's range are refused
    unless `extrapolate`.

    Attributes:
        bs_height_m: Height of the base station, metres.
        ut_height_m: Height of the clients within 1.5 m to 22.5 m, metres.
        indoor: Clients inside buildings.
        site: Settings common to all environments.

    Example:
        >>> from channel_models import Tr38901Umi
        >>> from wirelessfl.rng import Streams
        >>> from wirelessfl.scenario.scenario import Scenario
        >>> Tr38901Umi().line_of_sight(Scenario(clients=3), Streams(0, 0)).shape
        (3,)
    """

    bs_height_m: float = 10.0
    ut_height_m: float = 1.5
    indoor: Indoor = field(default_factory=Indoor)
    site: Site = field(default_factory=Site)

    @property
    def _place(self) -> Place:
        return Place(
            environment="umi",
            bs_height_m=self.bs_height_m,
            ut_height_m=self.ut_height_m,
            indoor=self.indoor,
        )
