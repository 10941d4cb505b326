"""Large-scale path loss in dB as a function of distance."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from channel_models._propagation import tr38901 as _tr38901
from channel_models._propagation.tr38901_tables import named
from wirelessfl.errors import InputError, check_choice, check_number
from wirelessfl.units import db_to_linear
from wirelessfl.values import Scenario

Array = NDArray[np.float64]
SPEED_OF_LIGHT_M_S = 299_792_458.0
# beyond any path; the gain stays within a float
MOST_DB = 300.0
MOST_SLOPE_DB = 100.0
MOST_CARRIER_HZ = 1e15
_STANDARD = "tr38901-"
_TR38901_TAKES = ("los", "bs_height_m", "ut_height_m", "extrapolate")
_TAKES = {  # besides distance and carrier
    "tr38901-umi": (*_TR38901_TAKES, "optional_nlos"),
    "tr38901-uma": (*_TR38901_TAKES, "optional_nlos", "effective_height_m"),
    "tr38901-rma": (*_TR38901_TAKES, "street_width_m", "building_height_m"),
    "tr38901-inh": _TR38901_TAKES,
    "free-space": (),
    "log-distance": (),
}
NAMES = tuple(_TAKES)


def free_space_db(distance_m: ArrayLike, carrier_hz: float) -> Array:
    """Free-space loss 20 log10(4 pi d f / c) (Friis), at least 0 dB.

    At less than a wavelength / (4 pi) the far-field formula would amplify.

    Args:
        distance_m: Distances above 0, metres, any shape.
        carrier_hz: Carrier frequency above 0, Hz.

    Returns:
        dB, of the shape of `distance_m`.
    """
    check_number("distance_m", np.ravel(distance_m), above=0)
    check_number("carrier_hz", carrier_hz, above=0)
    distance_m = np.asarray(distance_m, dtype=np.float64)
    loss_db = 20.0 * np.log10(4.0 * np.pi * distance_m * carrier_hz / SPEED_OF_LIGHT_M_S)
    return np.maximum(loss_db, 0.0)


def log_distance_db(
    distance_m: ArrayLike, intercept_db: float = 140.7, slope_db: float = 36.7
) -> Array:
    """Log-distance loss: intercept + slope log10(d / 1 km), at least 0 dB.

    The default 140.7 + 36.7 log10(d / km) is the 3GPP small-cell form of TR 36.828 used by scenario
    S of [WFL]; it reaches 0 dB at 0.15 m.

    Args:
        distance_m: Distances above 0, metres, any shape.
        intercept_db: Loss at 1 km, dB.
        slope_db: Loss per decade, dB.

    Returns:
        dB, of the shape of `distance_m`.
    """
    check_number("distance_m", np.ravel(distance_m), above=0)
    distance_m = np.asarray(distance_m, dtype=np.float64)
    return np.maximum(intercept_db + slope_db * np.log10(distance_m / 1e3), 0.0)


def path_loss_db(
    name: str,
    distance_m: ArrayLike,
    *,
    carrier_hz: float = 3.5e9,
    los: ArrayLike | None = None,
    bs_height_m: float | None = None,
    ut_height_m: ArrayLike | None = None,
    street_width_m: float | None = None,
    building_height_m: float | None = None,
    effective_height_m: ArrayLike | None = None,
    optional_nlos: bool | None = None,
    extrapolate: bool | None = None,
) -> Array:
    """Path loss of a named model.

    `tr38901-umi`, `-uma`, `-rma` and `-inh` are the street canyon, urban macro, rural macro and
    indoor office of 3GPP TR 38.901, Table 7.4.1-1; `free-space` takes the carrier, `log-distance`
    the distance alone.

    Args:
        name: Model.
        distance_m: 2-D distances, metres, any shape.
        carrier_hz: Carrier frequency, Hz.
        los: Whether the link has a line of sight (default), broadcasting; `tr38901-*`.
        bs_height_m: Height of the base station, metres; the standard's by default.
        ut_height_m: Height of the client, metres, broadcasting; the standard's by default.
        street_width_m: Street width, metres, 20 by default; `-rma`.
        building_height_m: Building height, metres, 5 by default; `-rma`.
        effective_height_m: Effective environment height, metres, 1 by default; `-uma`.
        optional_nlos: Whether to take the standard's simpler formula without a line of sight;
            `-umi`, `-uma`.
        extrapolate: Whether values outside the standard's ranges are accepted.

    Returns:
        dB, of the broadcast shape.

    Raises:
        InputError: Unknown name, an argument that the model does not take, or a value out of range.

    Example:
        >>> from channel_models import path_loss_db
        >>> loss_db = path_loss_db("tr38901-umi", [100.0, 200.0], carrier_hz=3.5e9, los=False)
        >>> loss_db.round(1).tolist()
        [104.6, 115.2]
    """
    check_choice("path loss", name, NAMES)
    asked = {
        "los": los,
        "bs_height_m": bs_height_m,
        "ut_height_m": ut_height_m,
        "street_width_m": street_width_m,
        "building_height_m": building_height_m,
        "effective_height_m": effective_height_m,
        "optional_nlos": optional_nlos,
        "extrapolate": extrapolate,
    }
    given: dict[str, Any] = {field: value for field, value in asked.items() if value is not None}
    _check_taken(name, given, _TAKES[name])
    if name == "free-space":
        return free_space_db(distance_m, carrier_hz)
    if name == "log-distance":
        return log_distance_db(distance_m)
    environment = name.removeprefix(_STANDARD)
    return _tr38901.loss_db(
        environment, distance_m, carrier_hz=carrier_hz, **{"los": True, **given}
    )


def los_probability(
    name: str,
    distance_m: ArrayLike,
    *,
    ut_height_m: ArrayLike | None = None,
    office: str | None = None,
    extrapolate: bool = False,
) -> Array:
    """Probability of a line of sight of 3GPP TR 38.901, Table 7.4.2-1.

    Args:
        name: `tr38901-umi`, `-uma`, `-rma` or `-inh`.
        distance_m: 2-D distances, metres, any shape.
        ut_height_m: Height of the client, metres, broadcasting; `-uma`.
        office: `mixed` (default) or `open`; `-inh`.
        extrapolate: Whether values outside the standard's ranges are accepted.

    Returns:
        Probabilities, of the broadcast shape.

    Raises:
        InputError: Unknown name, an argument that the model does not take, or a value out of range.
    """
    check_choice(
        "line-of-sight probability", name, [known for known in NAMES if known.startswith(_STANDARD)]
    )
    _check_taken(
        name,
        {} if office is None else {"office": office},
        ("office",) if name == "tr38901-inh" else (),
    )
    environment = name.removeprefix(_STANDARD)
    return _tr38901.los_probability(
        environment,
        distance_m,
        ut_height_m=ut_height_m,
        office=office or "mixed",
        extrapolate=extrapolate,
    )


def _check_taken(name: str, given: dict[str, Any], takes: tuple[str, ...]) -> None:
    for field, value in given.items():
        if field not in takes:
            raise InputError(f"{field} is not taken by {name}, got {value!r}")


@dataclass(frozen=True, kw_only=True)
class LargeScale:
    """Distance-dependent part of a channel; the fields are keys of section `channel`.

    Attributes:
        path_loss: Model of `path_loss_db`.
        carrier_hz: Carrier frequency, Hz.
        intercept_db: Loss of `log-distance` at 1 km, dB.
        slope_db: Loss of `log-distance` per decade, dB.
        line_of_sight: Whether `tr38901-*` has a line of sight.
    """

    path_loss: Literal[
        "tr38901-umi", "tr38901-uma", "tr38901-rma", "tr38901-inh", "free-space", "log-distance"
    ] = "log-distance"
    carrier_hz: float = 3.5e9
    intercept_db: float = 140.7
    slope_db: float = 36.7
    line_of_sight: bool = True

    def __post_init__(self) -> None:
        check_choice("channel.path_loss", self.path_loss, NAMES)
        check_number(
            "channel.carrier_hz", self.carrier_hz, above=0, at_least=1, at_most=MOST_CARRIER_HZ
        )
        check_number("channel.intercept_db", self.intercept_db, at_least=-MOST_DB, at_most=MOST_DB)
        check_number("channel.slope_db", self.slope_db, above=0, at_most=MOST_SLOPE_DB)

    def loss_db(self, distance_m: ArrayLike) -> Array:
        """Path loss at a distance.

        Args:
            distance_m: Distances, metres, any shape.

        Returns:
            dB, of that shape.
        """
        if self.path_loss == "log-distance":
            return log_distance_db(distance_m, self.intercept_db, self.slope_db)
        los = self.line_of_sight if self.path_loss.startswith(_STANDARD) else None
        return path_loss_db(self.path_loss, distance_m, carrier_hz=self.carrier_hz, los=los)

    def loss_curves_db(self, distance_m: ArrayLike) -> dict[str, Array]:
        """All path losses of the model at a distance, for figures.

        Args:
            distance_m: Distances, metres, any shape.

        Returns:
            dB by name, of that shape.
        """
        if not self.path_loss.startswith(_STANDARD):
            return {self.path_loss: self.loss_db(distance_m)}
        names = {"line of sight": True, "no line of sight": False}
        return {
            name: path_loss_db(
                self.path_loss, distance_m, carrier_hz=self.carrier_hz, los=los, extrapolate=True
            )
            for name, los in names.items()
        }

    def gain(self, scenario: Scenario) -> Array:
        """Linear power gain 10^(-PL/10) at each client's distance.

        Args:
            scenario: The cell.

        Returns:
            Gains, (K,).
        """
        return self.gain_at(scenario.per_client("distance_m"))

    def gain_at(self, distance_m: Array, field: str = "scenario.distance_m") -> Array:
        """Linear power gain 10^(-PL/10) at a distance.

        Args:
            distance_m: Distances, metres, any shape.
            field: Name of the distance in error messages.

        Returns:
            Gains, of that shape.

        Raises:
            InputError: A distance out of range; names `field`.
        """
        try:
            return db_to_linear(-self.loss_db(distance_m))
        except InputError as error:
            raise named(error, field) from None
