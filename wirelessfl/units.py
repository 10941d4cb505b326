"""Units, which occur at the edges only: decibels, and numbers as users write them (`25ms`, `50%`).

All packages compute in SI units.
"""

import re

import numpy as np
from numpy.typing import ArrayLike, NDArray

from wirelessfl.errors import InputError

# Ending of a field's name -> unit -> factor to the unit of the field.
UNITS = {
    "s": {"s": 1.0, "ms": 1e-3, "us": 1e-6, "min": 60.0, "h": 3600.0},
    "hz": {"Hz": 1.0, "kHz": 1e3, "MHz": 1e6, "GHz": 1e9},
    "w": {"W": 1.0, "mW": 1e-3},
    "m": {"m": 1.0, "km": 1e3, "cm": 1e-2},
    "db": {"dB": 1.0},
    "dbm": {"dBm": 1.0},
    "bps": {"bit/s": 1.0, "kbit/s": 1e3, "Mbit/s": 1e6, "Gbit/s": 1e9},
    "bits": {"bit": 1.0, "kbit": 1e3, "Mbit": 1e6, "byte": 8.0, "kB": 8e3, "MB": 8e6},
}
_QUANTITY = re.compile(r"([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*([A-Za-z/%]+)")


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


def parse_quantity(field: str, text: str) -> float | None:
    """The value of a number with a unit, in the unit of its field.

    Args:
        field: Name of the field; its ending (`_s`, `_hz`, `_w`, ...) is its unit.
        text: The text.

    Returns:
        The value; None for a text that is not a number followed by a unit.

    Raises:
        InputError: The unit does not fit the field.
    """
    found = _QUANTITY.fullmatch(text.strip())
    if found is None:
        return None
    number, unit = float(found[1]), found[2]
    ending = field.rpartition("_")[2]
    if unit == "%":
        return number / 100.0
    if unit == "dBm" and ending == "w":
        return float(dbm_to_watt(number))
    known = UNITS.get(ending, {})
    if unit not in known:
        units = ", ".join([*known, *(["dBm"] if ending == "w" else [])])
        raise InputError(f"{field} takes {units or 'numbers without a unit'}; got {text!r}")
    return float(f"{number * known[unit]:.12g}")
