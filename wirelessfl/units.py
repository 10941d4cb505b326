"""Decibels at the edges, SI inside: the only conversions the toolkit needs."""

import numpy as np
from numpy.typing import ArrayLike, NDArray


def db_to_linear(value_db: ArrayLike) -> NDArray[np.float64]:
    """Power ratio of a level in dB: 10^(x/10); any shape, inf beyond what a float holds."""
    with np.errstate(over="ignore"):
        return np.power(10.0, np.asarray(value_db, dtype=np.float64) / 10.0)


def linear_to_db(ratio: ArrayLike) -> NDArray[np.float64]:
    """Level in dB of a power ratio: 10 log10(x); any shape, ratio > 0."""
    return 10.0 * np.log10(np.asarray(ratio, dtype=np.float64))


def dbm_to_watt(power_dbm: ArrayLike) -> NDArray[np.float64]:
    """Power in watt of a level in dBm: 10^((x - 30)/10); any shape."""
    return db_to_linear(np.asarray(power_dbm, dtype=np.float64) - 30.0)


def watt_to_dbm(power_w: ArrayLike) -> NDArray[np.float64]:
    """Level in dBm of a power in watt; any shape, power > 0."""
    return linear_to_db(power_w) + 30.0
