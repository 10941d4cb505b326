"""Constants and validity ranges of the environments of 3GPP TR 38.901."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from wirelessfl.errors import InputError, check_number
from wirelessfl.text import in_full

Array = NDArray[np.float64]
LOWEST_CARRIER_HZ = 0.5e9
HIGHEST_M = 1e5  # of anything, extrapolated or not


@dataclass(frozen=True, kw_only=True)
class Environment:
    """Constants of one column of Tables 7.4.1-1 and 7.5-6; pairs are (line of sight, none).

    Attributes:
        bs_height_m: Default height of the base station, metres.
        ut_height_m: Default height of the client, metres.
        nearest_m: Least distance, metres.
        farthest_m: Largest distances, metres.
        bs_heights_m: Range of h_BS, metres.
        ut_heights_m: Range of h_UT, metres.
        highest_carrier_hz: Highest carrier, Hz.
        shadow_std_db: Shadowing deviations, dB.
        optional_nlos: Slope, dB per decade, and shadowing, dB, of the optional model; None without.
        correlation_distance_m: Correlation distances of shadowing, metres.
        indoor_correlation_distance_m: The same for clients in buildings, metres.
        k_factor_db: Mean and deviation of the Rician K factor, dB.
    """

    bs_height_m: float
    ut_height_m: float
    nearest_m: float
    farthest_m: tuple[float, float]
    bs_heights_m: tuple[float, float] = (0.0, np.inf)
    ut_heights_m: tuple[float, float] = (0.0, np.inf)
    highest_carrier_hz: float = 100e9
    shadow_std_db: tuple[float, float]
    optional_nlos: tuple[float, float] | None = None  # slope in dB a decade, its shadowing in dB
    correlation_distance_m: tuple[float, float]
    indoor_correlation_distance_m: float
    k_factor_db: tuple[float, float]  # mean, standard deviation


TABLE = {
    "umi": Environment(
        bs_height_m=10.0,
        ut_height_m=1.5,
        nearest_m=10.0,
        farthest_m=(5e3, 5e3),
        ut_heights_m=(1.5, 22.5),
        shadow_std_db=(4.0, 7.82),
        optional_nlos=(31.9, 8.2),
        correlation_distance_m=(10.0, 13.0),
        indoor_correlation_distance_m=7.0,
        k_factor_db=(9.0, 5.0),
    ),
    "uma": Environment(
        bs_height_m=25.0,
        ut_height_m=1.5,
        nearest_m=10.0,
        farthest_m=(5e3, 5e3),
        ut_heights_m=(1.5, 22.5),
        shadow_std_db=(4.0, 6.0),
        optional_nlos=(30.0, 7.8),
        correlation_distance_m=(37.0, 50.0),
        indoor_correlation_distance_m=7.0,
        k_factor_db=(9.0, 3.5),
    ),
    "rma": Environment(
        bs_height_m=35.0,
        ut_height_m=1.5,
        nearest_m=10.0,
        farthest_m=(10e3, 5e3),
        bs_heights_m=(10.0, 150.0),
        ut_heights_m=(1.0, 10.0),
        highest_carrier_hz=30e9,
        shadow_std_db=(4.0, 8.0),
        correlation_distance_m=(37.0, 120.0),
        indoor_correlation_distance_m=120.0,
        k_factor_db=(7.0, 4.0),
    ),
    "inh": Environment(
        bs_height_m=3.0,
        ut_height_m=1.0,
        nearest_m=1.0,
        farthest_m=(150.0, 150.0),
        shadow_std_db=(3.0, 8.03),
        correlation_distance_m=(10.0, 6.0),
        indoor_correlation_distance_m=6.0,
        k_factor_db=(7.0, 4.0),
    ),
}


def check_within(
    field: str, value: ArrayLike, low: ArrayLike, high: ArrayLike, environment: str
) -> None:
    """Check values against a range of the standard.

    Args:
        field: Name of the value in the message.
        value: Values, any shape.
        low: Lower bounds, broadcasting.
        high: Upper bounds, broadcasting.
        environment: Name of the environment in the message.

    Raises:
        InputError: The first value outside the range.
    """
    values, lows, highs = (
        np.ravel(part) for part in broadcast(**{field: value, "lower": low, "upper": high})
    )
    outside = np.flatnonzero((values < lows) | (values > highs))
    if outside.size:
        first = outside[0]
        bounds = (
            f"within {lows[first]:g} and {highs[first]:g}"
            if highs[first] < np.inf
            else f"at least {lows[first]:g}"
        )
        raise InputError(
            f"{field} must be {bounds} for tr38901-{environment}, got {in_full(values[first])}"
        )


def floats(field: str, value: ArrayLike) -> Array:
    """Convert numbers to an array.

    Args:
        field: Name of the value in the message.
        value: Numbers, any shape.

    Returns:
        Float64 values of that shape.

    Raises:
        InputError: Anything else.
    """
    check_number(field, np.ravel(value).tolist())
    return np.asarray(value, dtype=np.float64)


def broadcast(**arrays: ArrayLike) -> tuple[NDArray[Any], ...]:
    """Broadcast arrays to their common shape.

    Args:
        **arrays: Arrays by name.

    Returns:
        The arrays in that shape.

    Raises:
        InputError: No common shape; names the arrays.
    """
    found = {name: np.asarray(value) for name, value in arrays.items()}
    try:
        return np.broadcast_arrays(*found.values())
    except ValueError:
        shapes = ", ".join(f"{name} {value.shape}" for name, value in found.items() if value.ndim)
        raise InputError(f"shapes must broadcast, got {shapes}") from None


def check_numbers(
    environment: str,
    distance_m: Array,
    carrier_hz: float,
    h_bs: float,
    h_ut: Array,
    h_e: Array,
    w: float,
    h: float,
) -> None:
    """Check that the formulas of an environment have a value.

    Args:
        environment: `umi`, `uma`, `rma` or `inh`.
        distance_m: 2-D distances, metres.
        carrier_hz: Carrier frequency, Hz.
        h_bs: Height of the base station, metres.
        h_ut: Heights of the clients, metres.
        h_e: Effective heights, metres.
        w: Street width, metres.
        h: Building height, metres.

    Raises:
        InputError: A value for which the formula is not defined.
    """
    check_number("distance_m", np.ravel(distance_m), at_least=0)
    check_number("carrier_hz", carrier_hz, above=0)
    check_number("bs_height_m", h_bs, above=0, at_most=HIGHEST_M)
    check_number("ut_height_m", np.ravel(h_ut), above=0, at_most=HIGHEST_M)
    check_number("street_width_m", w, above=0, at_most=HIGHEST_M)
    check_number("building_height_m", h, above=0, at_most=HIGHEST_M)
    if environment in ("umi", "uma"):
        check_number("effective_height_m", np.ravel(h_e), at_least=0)
        check_number("bs_height_m less effective_height_m", np.ravel(h_bs - h_e), above=0)
        check_number("ut_height_m less effective_height_m", np.ravel(h_ut - h_e), above=0)


def check_range(
    environment: str,
    distance_m: ArrayLike,
    los: ArrayLike,
    carrier_hz: float,
    h_bs: float,
    h_ut: Array,
    w: float,
    h: float,
) -> None:
    """Check values against the ranges that the standard has measured.

    Args:
        environment: `umi`, `uma`, `rma` or `inh`.
        distance_m: 2-D distances, metres.
        los: Whether the links have a line of sight.
        carrier_hz: Carrier frequency, Hz.
        h_bs: Height of the base station, metres.
        h_ut: Heights of the clients, metres.
        w: Street width, metres.
        h: Building height, metres.

    Raises:
        InputError: A value outside the range.
    """
    entry = TABLE[environment]
    check_within(
        "distance_m", distance_m, entry.nearest_m, np.where(los, *entry.farthest_m), environment
    )
    check_within("carrier_hz", carrier_hz, LOWEST_CARRIER_HZ, entry.highest_carrier_hz, environment)
    check_within("bs_height_m", h_bs, *entry.bs_heights_m, environment)
    check_within("ut_height_m", h_ut, *entry.ut_heights_m, environment)
    if environment == "rma":
        check_within("street_width_m", w, 5, 50, environment)
        check_within("building_height_m", h, 5, 50, environment)


def named(error: InputError, distance: str) -> InputError:
    """Rename the field of a formula's error to the field of a channel.

    Args:
        error: Error of a formula.
        distance: Name of the distance.

    Returns:
        The error with the channel's names.
    """
    text = str(error).replace("penetration model", "penetration")
    return InputError(
        f"{distance}{text.removeprefix('distance_m')}"
        if text.startswith("distance_m ")
        else f"channel.{text}"
    )
