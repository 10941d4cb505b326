"""How a field of a scenario is written for people: with a unit in which its usual values are short numbers."""

import numpy as np

_SHOWN = {
    "s": ("ms", 1e3),
    "hz": ("MHz", 1e-6),
    "w": ("W", 1.0),
    "dbm": ("dBm", 1.0),
    "db": ("dB", 1.0),
    "m": ("m", 1.0),
}
_IN_GIGAHERTZ = ("cpu_hz", "carrier_hz")


def label_of(name: str) -> str:
    """`scenario.deadline_s` as `deadline (ms)`."""
    words, unit, _ = _parts(name)
    return f"{words} ({unit})" if unit else words


def value_of(name: str, value: float) -> str:
    """`scenario.deadline_s` at 0.02 as `deadline 20 ms`."""
    words, unit, factor = _parts(name)
    return f"{words} {factor * value:.4g} {unit}".rstrip()


def shown(name: str, values: np.ndarray) -> np.ndarray:
    """Values of a field in the unit of its label; any shape."""
    return np.asarray(values) * _parts(name)[2]


def _parts(name: str) -> tuple[str, str, float]:
    """A field's words, its unit and the factor from its value to that unit."""
    field = name.rpartition(".")[2]
    stem, _, suffix = field.rpartition("_")
    unit, factor = ("GHz", 1e-9) if field in _IN_GIGAHERTZ else _SHOWN.get(suffix, ("", 1.0))
    return (stem if unit else field).replace("_", " ").replace("cpu", "CPU"), unit, factor
