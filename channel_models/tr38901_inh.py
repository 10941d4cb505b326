"""Indoor office of 3GPP TR 38.901 as a channel."""

from dataclasses import dataclass, field
from typing import Literal

from channel_models._geometry.drop import Drop
from channel_models._geometry.motion import Motion
from channel_models._propagation.tr38901 import OFFICES
from channel_models._tr38901_channel import Dropped, Site
from channel_models._tr38901_clients import Place
from wirelessfl.errors import check_choice


@dataclass(frozen=True, kw_only=True)
class Tr38901Inh(Dropped):
    """InH of 3GPP TR 38.901: an indoor office, 1 m to 150 m.

    Path loss, line of sight, shadowing and K factor are those of the standard's Tables 7.4.1-1,
    7.4.2-1 and 7.5-6; `Site` composes the gain. The distances of a scenario are too long for an
    office: unless `drop` says otherwise clients are in a disc of radius 50 m, and none moves
    farther. Values outside the standard's range are refused unless `extrapolate`.

    Attributes:
        bs_height_m: Height of the base station, metres.
        ut_height_m: Height of the clients, metres.
        office: `mixed` or `open`.
        site: Settings common to all environments.
    """

    bs_height_m: float = 3.0
    ut_height_m: float = 1.0
    office: Literal["mixed", "open"] = "mixed"
    site: Site = field(
        default_factory=lambda: Site(
            drop=Drop(drop="disc", radius_m=50.0, min_distance_m=1.0),
            motion=Motion(roam_radius_m=50.0, roam_min_m=1.0),
        )
    )

    def __post_init__(self) -> None:
        check_choice("channel.office", self.office, OFFICES)
        super().__post_init__()

    @property
    def _place(self) -> Place:
        return Place(
            environment="inh",
            bs_height_m=self.bs_height_m,
            ut_height_m=self.ut_height_m,
            office=self.office,
        )
