"""Controls of the page: the fields of a scenario that a user can change, with unit and range."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from math import floor, log10
from typing import Any, get_args

import numpy as np

from channel_models import Csi
from studies.views.whatif.units import label_of, shown, unit_of
from wirelessfl import plugins
from wirelessfl.config.fields import known_fields, watt_field
from wirelessfl.config.scenario_file import SELECTORS, plugin_class, to_tables
from wirelessfl.experiment import Experiment
from wirelessfl.scenario.scenario import DEADLINE_POLICIES
from wirelessfl.units import watt_to_dbm

# Fields that hold numbers, with the smallest value that a slider offers; None: a part of the value.
NUMBERS: Mapping[str, float | None] = {
    "scenario.deadline_s": None,
    "scenario.bandwidth_hz": None,
    "scenario.transmit_power_dbm": None,
    "scenario.clients": 1.0,
    "channel.antennas": 1.0,
    "allocation.max_pruning_ratio": 0.0,
    "run.seed": 0.0,
}
CHOICES = ("channel.model", "channel.csi", "allocation.method", "scenario.deadline_policy")
FIELDS = (
    "scenario.deadline_s",
    "scenario.bandwidth_hz",
    "scenario.transmit_power_dbm",
    "scenario.clients",
    "channel.antennas",
    "allocation.max_pruning_ratio",
    "allocation.method",
    "channel.model",
    "channel.csi",
    "scenario.deadline_policy",
    "run.seed",
)
LABELS = {  # of fields whose name alone is not clear on the page
    "scenario.clients": "clients",
    "channel.antennas": "antennas at the base station",
    "channel.model": "channel model",
    "channel.csi": "channel knowledge (CSI)",
    "allocation.method": "method",
    "run.seed": "seed of the channel draw",
}
WHOLE = ("scenario.clients", "channel.antennas", "run.seed")
MOST_CLIENTS = 30  # slider's end for whole numbers unless the value is larger
DECIBELS = 15.0  # half the range of a slider of levels
STEPS = 200  # of a slider, at least


@dataclass(frozen=True)
class Control:
    """One control.

    Attributes:
        name: The field, `section.field`.
        label: Its label with the unit.
        unit: Unit of `value`, `low`, `high` and `step`; empty where there is none.
        value: Value as shown; empty where clients have values of their own.
        choices: Values to choose from; empty for numbers.
        low: Smallest value of the slider.
        high: Largest value of the slider.
        step: Step of the slider.
    """

    name: str
    label: str
    unit: str
    value: str
    choices: tuple[str, ...] = ()
    low: float = 0.0
    high: float = 0.0
    step: float = 0.0

    def as_dict(self) -> dict[str, Any]:
        """The control as plain values."""
        return asdict(self)


def controls(base: Experiment, experiment: Experiment) -> list[Control]:
    """The controls of an experiment.

    Args:
        base: The experiment without changes, which decides the ranges of the sliders.
        experiment: The experiment with its changes.

    Returns:
        The controls in the order of the page; fields that the channel model lacks are omitted.
    """
    before, now = to_tables(base), to_tables(experiment)
    found = []
    for name in FIELDS:
        section, _, field = name.partition(".")
        if _resolved(now, name) is None and not _is_level(name):
            continue
        label = LABELS.get(name) or label_of(name)
        if name in CHOICES:
            value = str(now[section][field])
            found.append(Control(name, label, "", value, _choices(name)))
            continue
        number = _shown(now, name)
        start = _shown(before, name)
        low, high, step = _range(name, start if start is not None else number)
        text = "" if number is None else f"{number:.10g}"
        found.append(Control(name, label, unit_of(name), text, (), low, high, step))
    return found


def applies(name: str, tables: Mapping[str, Mapping[str, Any]]) -> bool:
    """True if the plug-in of the tables has this field; `scenario` and `run` have all of theirs."""
    section, _, field = name.partition(".")
    if section != "channel" or field == SELECTORS[section][0]:
        return True
    table = tables.get(section, {})
    return field in known_fields(plugin_class(section, table.get("model", "rayleigh")))


def front_deadlines(base: Experiment) -> tuple[float, float]:
    """Ends of the deadlines on the front in s: those of the slider."""
    low, high, _ = _range("scenario.deadline_s", 1e3 * base.scenario.deadline_s)
    return low / 1e3, high / 1e3


def _choices(name: str) -> tuple[str, ...]:
    section, _, field = name.partition(".")
    if section in SELECTORS:
        key, kind = SELECTORS[section]
        if field == key:
            return tuple(plugins.names(kind))
    if name == "channel.csi":
        return get_args(known_fields(Csi)["csi"])
    return DEADLINE_POLICIES


def _is_level(name: str) -> bool:
    return name.endswith("_dbm")


def _resolved(tables: Mapping[str, Mapping[str, Any]], name: str) -> Any:
    section, _, field = name.partition(".")
    return tables[section].get(field)


def _shown(tables: Mapping[str, Mapping[str, Any]], name: str) -> float | None:
    """The value in the unit of the label; None unless it is one number."""
    section, _, field = name.partition(".")
    held = watt_field(field) if _is_level(name) else field
    value = tables[section].get(held or field)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(watt_to_dbm(value)) if _is_level(name) else float(shown(name, np.asarray(value)))


def _range(name: str, value: float | None) -> tuple[float, float, float]:
    """Ends and step of a slider around a value."""
    if name in WHOLE:
        least = NUMBERS[name] or 0.0
        return least, max(float(MOST_CLIENTS), 2.0 * (value or 0.0)), 1.0
    if _is_level(name):
        middle = 0.0 if value is None else round(value)
        return middle - DECIBELS, middle + DECIBELS, 0.5
    if name == "allocation.max_pruning_ratio":
        return 0.0, 1.0, 0.01
    middle = value or 1.0
    step = _nice(3.0 * middle / STEPS)
    low = max(step, step * floor(middle / 4.0 / step))
    return _rounded(low), _rounded(step * floor(3.0 * middle / step)), step


def _nice(step: float) -> float:
    """The largest of 1, 2, 5 times a power of ten up to `step`."""
    power = 10.0 ** floor(log10(step))
    return _rounded(max(power * factor for factor in (1, 2, 5) if power * factor <= step * 1.0001))


def _rounded(value: float) -> float:
    return float(f"{value:.10g}")
