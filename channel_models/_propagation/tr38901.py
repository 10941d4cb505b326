"""Large-scale statistics of 3GPP TR 38.901 (clauses 7.4 and 7.5).

Path loss, line of sight, shadowing and Rician K. `distance_m` is the 2-D distance d between base
station and client throughout; d3 = sqrt(d^2 + (h_BS - h_UT)^2), f is the carrier in GHz and log the
decimal logarithm.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from channel_models._propagation.tr38901_tables import (
    TABLE,
    broadcast,
    check_numbers,
    check_range,
    check_within,
    floats,
)
from wirelessfl.errors import InputError, check_choice, check_number

Array = NDArray[np.float64]
ENVIRONMENTS = ("umi", "uma", "rma", "inh")
OFFICES = ("mixed", "open")
SPEED_OF_LIGHT_M_S = 3.0e8  # the standard's rounding, in its break points
RMA_SHADOW_STD_BEYOND_DB = 6.0
K_FACTOR_DB = {
    name: entry.k_factor_db for name, entry in TABLE.items()
}  # mean, standard deviation; LOS only


def loss_db(
    environment: str,
    distance_m: ArrayLike,
    *,
    carrier_hz: float,
    los: ArrayLike,
    bs_height_m: float | None = None,
    ut_height_m: ArrayLike | None = None,
    street_width_m: float = 20.0,
    building_height_m: float = 5.0,
    effective_height_m: ArrayLike = 1.0,
    optional_nlos: bool = False,
    extrapolate: bool = False,
) -> Array:
    """Path loss without shadowing, 3GPP TR 38.901 Table 7.4.1-1.

    With a line of sight two slopes that meet at the break point, 4 (h_BS - h_E)(h_UT - h_E) f/c in
    `umi` and `uma` and 2 pi h_BS h_UT f/c in `rma`, c = 3.0e8 m/s; without one max(PL_LOS, PL'), or
    with `optional_nlos` (`umi`, `uma`) the simpler 32.4 + 20 log f + n log d3, n = 31.9 or 30.

    **Differs:** the range of 1 to 150 m of the office is applied to the 2-D distance, in the
    standard to d3. `umi` and `uma` accept any h_BS, where the standard lists 10 m and 25 m alone.

    Args:
        environment: `umi`, `uma`, `rma` or `inh`.
        distance_m: 2-D distances, metres, any shape.
        carrier_hz: Carrier frequency, Hz.
        los: Whether the link has a line of sight, broadcasting.
        bs_height_m: h_BS, metres; the standard's by default.
        ut_height_m: h_UT, metres, broadcasting; the standard's by default.
        street_width_m: Street width W of `rma`, metres.
        building_height_m: Building height h of `rma`, metres.
        effective_height_m: h_E, metres, broadcasting; 1 except for high clients in `uma`
            (`draw_effective_height_m`).
        optional_nlos: Whether to take the simpler formula without a line of sight.
        extrapolate: Whether values outside the standard's ranges are accepted.

    Returns:
        dB, of the broadcast shape.

    Raises:
        InputError: A value outside the standard's range, unless `extrapolate`; always where the
            formula has no value.
    """
    check_choice("environment", environment, ENVIRONMENTS)
    entry = TABLE[environment]
    h_bs = entry.bs_height_m if bs_height_m is None else bs_height_m
    h_ut = floats("ut_height_m", entry.ut_height_m if ut_height_m is None else ut_height_m)
    d = floats("distance_m", distance_m)
    h_e = floats("effective_height_m", effective_height_m)
    sight = np.asarray(los)
    if sight.dtype != np.bool_:
        raise InputError(f"los must be True or False, got {los!r}")
    check_numbers(environment, d, carrier_hz, h_bs, h_ut, h_e, street_width_m, building_height_m)
    if not extrapolate:
        check_range(
            environment, d, sight, carrier_hz, h_bs, h_ut, street_width_m, building_height_m
        )
    d, sight, h_ut, h_e = broadcast(
        distance_m=d, los=sight, ut_height_m=h_ut, effective_height_m=h_e
    )
    d3 = np.sqrt(d**2 + (h_bs - h_ut) ** 2)
    if not np.all(d3 > 0):
        raise InputError(
            "distance_m must be above 0 where client and base station have the same height, got 0"
        )
    f = carrier_hz / 1e9
    if environment == "inh":
        with_sight, without = _inh_db(d3, f)
    elif environment == "rma":
        with_sight, without = _rma_db(d, d3, f, h_bs, h_ut, street_width_m, building_height_m)
    else:
        with_sight, without = _urban_db(environment, d, d3, f, h_bs, h_ut, h_e)
    without = np.maximum(with_sight, without)
    if optional_nlos:
        without = 32.4 + 20 * np.log10(f) + _optional_nlos(environment)[0] * np.log10(d3)
    return np.asarray(np.where(sight, with_sight, without))


def _optional_nlos(environment: str) -> tuple[float, float]:
    """Slope, dB per decade, and shadowing, dB, of the optional model."""
    found = TABLE[environment].optional_nlos
    if found is None:
        raise InputError(f"optional_nlos must be False for tr38901-{environment}, got True")
    return found


def _rma_break_m(carrier_hz: float, h_bs: float, h_ut: Array) -> Array:
    return np.asarray(2 * np.pi * h_bs * h_ut * carrier_hz / SPEED_OF_LIGHT_M_S)


def _urban_db(
    environment: str, d: Array, d3: Array, f: float, h_bs: float, h_ut: Array, h_e: Array
) -> tuple[Array, Array]:
    """PL_LOS and PL' of `umi` and `uma`."""
    intercept, slope, turn = (32.4, 21, 9.5) if environment == "umi" else (28.0, 22, 9)
    break_m = 4 * (h_bs - h_e) * (h_ut - h_e) * f * 1e9 / SPEED_OF_LIGHT_M_S
    far = 40 * np.log10(d3) - turn * np.log10(break_m**2 + (h_bs - h_ut) ** 2)
    with_sight = intercept + 20 * np.log10(f) + np.where(d <= break_m, slope * np.log10(d3), far)
    if environment == "umi":
        return with_sight, 22.4 + 35.3 * np.log10(d3) + 21.3 * np.log10(f) - 0.3 * (h_ut - 1.5)
    return with_sight, 13.54 + 39.08 * np.log10(d3) + 20 * np.log10(f) - 0.6 * (h_ut - 1.5)


def _rma_db(
    d: Array, d3: Array, f: float, h_bs: float, h_ut: Array, w: float, h: float
) -> tuple[Array, Array]:
    """Losses PL_LOS and PL' of `rma`.

    PL_LOS is PL1 up to the break point and PL1(break point) + 40 log(d3 / break point) beyond.
    """

    def near(x: Array) -> Array:
        bend = (
            min(0.03 * h**1.72, 10) * np.log10(x)
            - min(0.044 * h**1.72, 14.77)
            + 0.002 * np.log10(h) * x
        )
        return np.asarray(20 * np.log10(40 * np.pi * x * f / 3) + bend)

    break_m = _rma_break_m(f * 1e9, h_bs, h_ut)
    without = (
        161.04
        - 7.1 * np.log10(w)
        + 7.5 * np.log10(h)
        - (24.37 - 3.7 * (h / h_bs) ** 2) * np.log10(h_bs)
        + (43.42 - 3.1 * np.log10(h_bs)) * (np.log10(d3) - 3)
        + 20 * np.log10(f)
        - (3.2 * np.log10(11.75 * h_ut) ** 2 - 4.97)
    )
    return np.where(d <= break_m, near(d3), near(break_m) + 40 * np.log10(d3 / break_m)), without


def _inh_db(d3: Array, f: float) -> tuple[Array, Array]:
    """PL_LOS and PL' of the office."""
    return (
        32.4 + 17.3 * np.log10(d3) + 20 * np.log10(f),
        17.3 + 38.3 * np.log10(d3) + 24.9 * np.log10(f),
    )


def los_probability(
    environment: str,
    distance_m: ArrayLike,
    *,
    ut_height_m: ArrayLike | None = None,
    office: str = "mixed",
    extrapolate: bool = False,
) -> Array:
    """Probability of a line of sight, 3GPP TR 38.901 Table 7.4.2-1.

    It falls with distance, except for a step of 0.003 that the standard has in the open office at
    49 m.

    Args:
        environment: `umi`, `uma`, `rma` or `inh`.
        distance_m: 2-D distances of at least 0, metres, any shape.
        ut_height_m: h_UT, metres, broadcasting; matters in `uma`.
        office: `mixed` or `open`; matters in `inh`.
        extrapolate: Whether values outside the standard's ranges are accepted.

    Returns:
        Probabilities, of the broadcast shape.

    Raises:
        InputError: A distance below 0, or h_UT out of the standard's range unless `extrapolate`.
    """
    check_choice("environment", environment, ENVIRONMENTS)
    check_choice("office", office, OFFICES)
    d = floats("distance_m", distance_m)
    check_number("distance_m", np.ravel(d), at_least=0)
    entry = TABLE[environment]
    h_ut = floats("ut_height_m", entry.ut_height_m if ut_height_m is None else ut_height_m)
    if not extrapolate:
        check_within("ut_height_m", h_ut, *entry.ut_heights_m, environment)
    if environment == "rma":
        return np.exp(-np.maximum(d - 10, 0) / 1000)
    if environment == "inh":
        if office == "mixed":
            return np.where(
                d < 6.5, np.exp(-np.maximum(d - 1.2, 0) / 4.7), 0.32 * np.exp(-(d - 6.5) / 32.6)
            )
        return np.where(
            d <= 49, np.exp(-np.maximum(d - 5, 0) / 70.8), 0.54 * np.exp(-(d - 49) / 211.7)
        )
    d, h_ut = broadcast(distance_m=d, ut_height_m=h_ut)
    decay = 36.0 if environment == "umi" else 63.0
    ratio = 18 / np.maximum(d, 18)  # 1 up to 18 m, where the probability is 1
    low = ratio + np.exp(-np.maximum(d, 18) / decay) * (1 - ratio)
    return low if environment == "umi" else np.minimum(low * (1 + _height_term(d, h_ut)), 1.0)


def _height_term(d: Array, h_ut: Array) -> Array:
    """C(d, h_UT) of Table 7.4.1-1, note 1: 0 up to 13 m of height or 18 m of distance."""
    reach = np.where(d > 18, 1.25 * (d / 100) ** 3 * np.exp(-d / 150), 0.0)
    return np.asarray((np.maximum(h_ut - 13, 0) / 10) ** 1.5 * reach)


def draw_effective_height_m(
    distance_m: ArrayLike, ut_height_m: ArrayLike, generator: np.random.Generator
) -> Array:
    """Draw the effective height h_E of `uma`, 3GPP TR 38.901 Table 7.4.1-1, note 1.

    1 m with probability 1/(1 + C), otherwise one of 12, 15, .. h_UT - 1.5 m with equal probability;
    1 m where h_UT < 13.5 m leaves no choice.

    Args:
        distance_m: 2-D distances, metres, any shape.
        ut_height_m: h_UT, metres, broadcasting.
        generator: Source of two values per link, in order of the links.

    Returns:
        Metres, of the broadcast shape.
    """
    d, h_ut = np.broadcast_arrays(
        np.asarray(distance_m, dtype=np.float64), np.asarray(ut_height_m, dtype=np.float64)
    )
    ground, step = np.moveaxis(generator.random((*d.shape, 2)), -1, 0)
    choices = np.floor((h_ut - 1.5 - 12) / 3) + 1
    low = (ground * (1 + _height_term(d, h_ut)) < 1) | (choices < 1)
    return np.where(low, 1.0, 12 + 3 * np.floor(step * choices))


def shadow_std_db(
    environment: str,
    distance_m: ArrayLike,
    *,
    los: ArrayLike,
    carrier_hz: float,
    bs_height_m: float | None = None,
    ut_height_m: ArrayLike | None = None,
    optional_nlos: bool = False,
) -> Array:
    """Standard deviation of the log-normal shadowing, 3GPP TR 38.901 Table 7.4.1-1.

    Distance, carrier and heights matter in `rma` alone, where a line of sight has 4 dB up to the
    break point and 6 dB beyond it.

    Args:
        environment: `umi`, `uma`, `rma` or `inh`.
        distance_m: 2-D distances, metres, any shape.
        los: Whether the link has a line of sight, broadcasting.
        carrier_hz: Carrier frequency, Hz.
        bs_height_m: h_BS, metres; the standard's by default.
        ut_height_m: h_UT, metres, broadcasting; the standard's by default.
        optional_nlos: Whether the simpler formula without a line of sight is used.

    Returns:
        dB, of the broadcast shape.
    """
    check_choice("environment", environment, ENVIRONMENTS)
    entry = TABLE[environment]
    h_bs = entry.bs_height_m if bs_height_m is None else bs_height_m
    h_ut = floats("ut_height_m", entry.ut_height_m if ut_height_m is None else ut_height_m)
    d, sight, h_ut = np.broadcast_arrays(
        np.asarray(distance_m, dtype=np.float64), np.asarray(los, dtype=np.bool_), h_ut
    )
    with_sight, without = entry.shadow_std_db
    if optional_nlos:
        _, without = _optional_nlos(environment)
    beyond = (environment == "rma") & (d > _rma_break_m(carrier_hz, h_bs, h_ut))
    return np.where(sight, np.where(beyond, RMA_SHADOW_STD_BEYOND_DB, with_sight), without)


def correlation_distance_m(environment: str, *, los: ArrayLike, indoor: ArrayLike = False) -> Array:
    """Distance d_corr over which shadowing decorrelates as exp(-d/d_corr), Table 7.5-6.

    Args:
        environment: `umi`, `uma`, `rma` or `inh`.
        los: Whether the link has a line of sight, any shape.
        indoor: Whether the client is in a building that a base station outside serves,
            broadcasting; an office has no such clients.

    Returns:
        Metres, of the broadcast shape.
    """
    check_choice("environment", environment, ENVIRONMENTS)
    entry = TABLE[environment]
    outdoor = np.where(np.asarray(los, dtype=np.bool_), *entry.correlation_distance_m)
    return np.where(
        np.asarray(indoor, dtype=np.bool_), entry.indoor_correlation_distance_m, outdoor
    )
