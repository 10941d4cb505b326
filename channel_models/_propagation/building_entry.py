"""Outdoor-to-indoor loss of 3GPP TR 38.901, clause 7.4.3: wall and interior."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from wirelessfl.errors import InputError, check_choice, check_number
from wirelessfl.text import in_full

Array = NDArray[np.float64]
MODELS = ("low", "high", "legacy")
RELEASES = (16, 19)
ENVIRONMENTS = ("umi", "uma", "rma")
INDOOR_LOSS_DB_PER_M = 0.5
LEGACY_DB = 20.0
LEGACY_HIGHEST_HZ = 6e9
DEEPEST_M = {"umi": 25.0, "uma": 25.0, "rma": 10.0}
MODELS_OF = {"umi": MODELS, "uma": MODELS, "rma": ("low",)}
PENETRATION_STD_DB = {"low": 4.4, "high": 6.5, "legacy": 0.0}


def penetration_db(model: str, carrier_hz: ArrayLike, *, release: int = 16) -> Array:
    """Mean loss through a building's wall, PL_tw of 3GPP TR 38.901 Table 7.4.3-2.

    5 - 10 log(a 10^(-L_glass/10) + b 10^(-L_concrete/10)) with L_concrete = 5 + 4 f, f in GHz:
    `low` has a, b = 0.3, 0.7 and L_glass = 2 + 0.2 f; `high` has 0.7, 0.3 and metal-coated glass of
    23 + 0.3 f (Release 16) or 25.4 + 0.11 f (Release 19); `legacy`, below 6 GHz, is 20 dB (clause
    7.4.3.2).

    Args:
        model: `low`, `high` or `legacy`.
        carrier_hz: Carrier frequencies, Hz, any shape.
        release: Release of the standard, 16 or 19.

    Returns:
        dB, of the shape of `carrier_hz`.

    Raises:
        InputError: Another model or release, or a carrier out of range.

    Example:
        >>> from channel_models._propagation.building_entry import penetration_db
        >>> float(penetration_db("low", 3.5e9).round(1))
        12.7
    """
    _check(model, carrier_hz, release)
    f = np.asarray(carrier_hz, dtype=np.float64) / 1e9
    if model == "legacy":
        return np.full_like(f, LEGACY_DB)
    if model == "low":
        share = 0.3
        glass_db = 2 + 0.2 * f
    else:
        share = 0.7
        glass_db = 23 + 0.3 * f if release == 16 else 25.4 + 0.11 * f
    concrete_db = 5 + 4 * f
    return np.asarray(
        5 - 10 * np.log10(share * 10 ** (-glass_db / 10) + (1 - share) * 10 ** (-concrete_db / 10))
    )


def draw_indoor_distance_m(model: str, environment: str, generator: np.random.Generator) -> float:
    """Draw the depth of one client in its building, a 2-D distance (clause 7.4.3.1).

    It is the smaller of two independent values, uniform up to 25 m in `umi` and `uma`, up to 10 m
    in `rma` (`low` only); `legacy` has one uniform value up to 25 m.

    Args:
        model: `low`, `high` or `legacy`.
        environment: `umi`, `uma` or `rma`.
        generator: Source of the draws.

    Returns:
        Metres.
    """
    check_choice("penetration model", model, MODELS)
    check_choice("environment", environment, ENVIRONMENTS)
    if model not in MODELS_OF[environment]:
        allowed = ", ".join(MODELS_OF[environment])
        raise InputError(
            f"penetration model must be {allowed} for tr38901-{environment}, got {model!r}"
        )
    depths_m = generator.uniform(0.0, DEEPEST_M[environment], 2)
    return float(depths_m[0] if model == "legacy" else depths_m.min())


def draw_loss_db(
    model: str,
    environment: str,
    carrier_hz: float,
    generator: np.random.Generator,
    *,
    release: int = 16,
) -> float:
    """Draw the loss of one client inside a building, in addition to the outdoor path loss.

    PL_tw + PL_in + N(0, s_P^2) with PL_in = 0.5 dB per metre of depth and s_P = 4.4 dB (`low`), 6.5
    dB (`high`) or 0 (`legacy`). Takes three values from `generator` for every model, so that models
    differ in nothing else.

    Args:
        model: `low`, `high` or `legacy`.
        environment: `umi`, `uma` or `rma`.
        carrier_hz: Carrier frequency, Hz.
        generator: Source of the draws.
        release: Release of the standard, 16 or 19.

    Returns:
        dB.

    Raises:
        InputError: Another model or release, or a carrier out of range.
    """
    depth_m = draw_indoor_distance_m(model, environment, generator)
    spread_db = PENETRATION_STD_DB[model] * generator.standard_normal()
    mean_db = float(penetration_db(model, carrier_hz, release=release))
    return mean_db + INDOOR_LOSS_DB_PER_M * depth_m + spread_db


def _check(model: str, carrier_hz: ArrayLike, release: int) -> None:
    check_choice("penetration model", model, MODELS)
    check_number("carrier_hz", np.ravel(carrier_hz), above=0)
    if release not in RELEASES:
        raise InputError(f"release must be one of {', '.join(map(str, RELEASES))}; got {release!r}")
    if model == "legacy" and np.any(np.asarray(carrier_hz) >= LEGACY_HIGHEST_HZ):
        highest = float(np.max(np.asarray(carrier_hz)))
        raise InputError(
            f"carrier_hz must be below {LEGACY_HIGHEST_HZ:g} for the legacy penetration, "
            f"got {in_full(highest)}"
        )
