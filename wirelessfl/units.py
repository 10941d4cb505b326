"""Conversions of decibels, which occur at the edges only, to the SI units of all packages."""

import numpy as np
from numpy.typing import ArrayLike, NDArray


def db_to_linear(value_db: ArrayLike) -> NDArray[np.float64]:
    """Power ratio 10^(x/10) of a level.

    Args:
        value_db: Level x in dB; any shape.

    Returns:
        Power ratio, inf beyond the range of a float.
    """
    with np.errstate(over="ignore"):
        return np.power(10.0, np.asarray(value_db, dtype=np.float64) / 10.0)


def linear_to_db(ratio: ArrayLike) -> NDArray[np.float64]:
    """Level 10 log10(x) of a power ratio.

    Args:
        ratio: Power ratio x; any shape, above 0.

    Returns:
        Level in dB.
    """
    return 10.0 * np.log10(np.asarray(ratio, dtype=np.float64))


def dbm_to_watt(power_dbm: ArrayLike) -> NDArray[np.float64]:
    """Power 10^((x - 30)/10) of a level.

    Args:
        power_dbm: Level x in dBm; any shape.

    Returns:
        Power in W.
    """
    return db_to_linear(np.asarray(power_dbm, dtype=np.float64) - 30.0)


def watt_to_dbm(power_w: ArrayLike) -> NDArray[np.float64]:
    """Level of a power.

    Args:
        power_w: Power in W; any shape, above 0.

    Returns:
        Level in dBm.
    """
    return linear_to_db(power_w) + 30.0
