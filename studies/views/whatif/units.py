"""Labels of scenario fields, with a unit in which usual values are short numbers."""

import numpy as np

_SHOWN = {
    "s": ("ms", 1e3),
    "hz": ("MHz", 1e-6),
    "w": ("W", 1.0),
    "dbm": ("dBm", 1.0),
    "db": ("dB", 1.0),
    "m": ("m", 1.0),
}
_FIELDS = {  # fields whose last word alone does not tell their unit, and how they are called
    "cpu_hz": ("CPU", "GHz", 1e-9),
    "carrier_hz": ("carrier", "GHz", 1e-9),
    "noise_psd_w_per_hz": ("noise PSD", "W/Hz", 1.0),
    "max_bps_hz": ("cap", "bit/s/Hz", 1.0),
    "downlink_rate_bps": ("downlink rate", "Mbit/s", 1e-6),
}


def label_of(name: str) -> str:
    """The label of a field, such as `deadline (ms)` for `scenario.deadline_s`."""
    words, unit, _ = _parts(name)
    return f"{words} ({unit})" if unit else words


def value_of(name: str, value: float) -> str:
    """A value with its label, such as `deadline 20 ms` for `scenario.deadline_s` at 0.02."""
    words, unit, factor = _parts(name)
    return f"{words} {factor * value:.4g} {unit}".rstrip()


def unit_of(name: str) -> str:
    """The unit of a field's label, such as `ms` for `scenario.deadline_s`; empty without one."""
    return _parts(name)[1]


def shown(name: str, values: np.ndarray) -> np.ndarray:
    """Values of a field in the unit of its label; any shape."""
    return np.asarray(values) * _parts(name)[2]


def _parts(name: str) -> tuple[str, str, float]:
    """A field's words, its unit and the factor from its value to that unit."""
    field = name.rpartition(".")[2]
    stem, _, suffix = field.rpartition("_")
    unit, factor = _SHOWN.get(suffix, ("", 1.0))
    return _FIELDS.get(field, ((stem if unit else field).replace("_", " "), unit, factor))
