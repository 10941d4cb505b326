"""Large-scale path loss in dB over distance in metres."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from wirelessfl.errors import check_choice, check_number
from wirelessfl.units import db_to_linear
from wirelessfl.values import Scenario

Array = NDArray[np.float64]
SPEED_OF_LIGHT_M_S = 299_792_458.0
NAMES = ("free-space", "log-distance")


def free_space_db(distance_m: ArrayLike, carrier_hz: float) -> Array:
    """Free-space loss 20 log10(4 pi d f / c) (Friis); any shape, metres and hertz above 0."""
    check_number("distance_m", np.ravel(distance_m), above=0)
    check_number("carrier_hz", carrier_hz, above=0)
    return 20.0 * np.log10(4.0 * np.pi * np.asarray(distance_m, dtype=np.float64) * carrier_hz / SPEED_OF_LIGHT_M_S)


def log_distance_db(distance_m: ArrayLike, intercept_db: float = 140.7, slope_db: float = 36.7) -> Array:
    """Log-distance loss intercept + slope log10(d / 1 km); any shape, metres above 0.

    The default 140.7 + 36.7 log10(d / km) is the 3GPP small-cell form of TR 36.828 used by [WFL]'s scenario S.
    """
    check_number("distance_m", np.ravel(distance_m), above=0)
    return intercept_db + slope_db * np.log10(np.asarray(distance_m, dtype=np.float64) / 1e3)


def path_loss_db(name: str, distance_m: ArrayLike, *, carrier_hz: float = 3.5e9) -> Array:
    """Path loss in dB of the model `name` (`free-space`, `log-distance`) at a distance in metres; any shape.

    Raises `InputError` for an unknown name, a distance or a carrier not above 0.
    """
    check_choice("path loss", name, NAMES)
    return free_space_db(distance_m, carrier_hz) if name == "free-space" else log_distance_db(distance_m)


@dataclass(frozen=True, kw_only=True)
class LargeScale:
    """The distance-dependent part of a channel; its fields stand beside the channel's own in a scenario file."""

    path_loss: Literal["free-space", "log-distance"] = "log-distance"
    carrier_hz: float = 3.5e9
    intercept_db: float = 140.7
    slope_db: float = 36.7

    def __post_init__(self) -> None:
        check_choice("channel.path_loss", self.path_loss, NAMES)
        check_number("channel.carrier_hz", self.carrier_hz, above=0)
        check_number("channel.intercept_db", self.intercept_db)
        check_number("channel.slope_db", self.slope_db, above=0)

    def gain(self, scenario: Scenario) -> Array:
        """Linear power gain 10^(-PL/10) at each client's distance; (K,)."""
        distance_m = scenario.per_client("distance_m")
        if self.path_loss == "free-space":
            loss_db = free_space_db(distance_m, self.carrier_hz)
        else:
            loss_db = log_distance_db(distance_m, self.intercept_db, self.slope_db)
        return db_to_linear(-loss_db)
