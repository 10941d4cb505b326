"""One field of a scenario file and its values in a what-if analysis."""

from collections.abc import Iterable
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any

import numpy as np

from studies.views.whatif.units import shown
from wirelessfl.config.axis import Axis
from wirelessfl.config.fields import known_fields, watt_field
from wirelessfl.config.scenario_file import Tables, from_tables, merge, to_tables
from wirelessfl.errors import InputError, check_number
from wirelessfl.experiment import Experiment
from wirelessfl.units import dbm_to_watt
from wirelessfl.values import Array, Scenario

SECTIONS = ("scenario", "channel", "allocation")


@dataclass(frozen=True, eq=False)
class Vary:
    """A field and its values.

    Per-client fields take the same value for all clients.

    Attributes:
        section: Section of the scenario file.
        field: Name of the field.
        values: Its values, (P,); their indices where they are no numbers.
        choices: The values that are no numbers; empty for numbers.
    """

    section: str
    field: str
    values: Array
    choices: tuple[Any, ...] = ()

    @property
    def name(self) -> str:
        """`section.field`, as it was given."""
        return f"{self.section}.{self.field}"

    @property
    def si_field(self) -> str:
        """The field's name in the experiment; a power in dBm is held in watt."""
        return (watt_field(self.field) if self._is_power else None) or self.field

    @property
    def _is_power(self) -> bool:
        return watt_field(self.field) is not None and self.field not in known_fields(Scenario)

    @classmethod
    def parse(cls, text: str) -> "Vary":
        """Parse `section.field=VALUES`, see `wirelessfl.config.axis.Axis.parse`.

        Args:
            text: The text.

        Returns:
            The field and its values.

        Raises:
            InputError: The text has another form, or the section or a value is invalid.
        """
        axis = Axis.parse(text, SECTIONS)
        if not axis.numeric:
            indices = np.arange(len(axis.values), dtype=np.float64)
            return cls(axis.section, axis.field, indices, axis.values)
        check_number(f"--vary {axis.name}", axis.values)
        return cls(axis.section, axis.field, np.array(axis.values, dtype=np.float64))

    def column(self, values: Iterable[float]) -> list[Any]:
        """Values of this field as a user gave them: numbers, or the choices of these indices."""
        if not self.choices:
            return [float(value) for value in values]
        return [self.choices[int(value)] for value in values]

    def text(self, value: float) -> str:
        """A value in the unit of its label, or the choice of this index as text."""
        if self.choices:
            choice = self.choices[int(value)]
            return str(choice).lower() if isinstance(choice, bool) else str(choice)
        return f"{float(shown(self.name, np.asarray(value))):.5g}"

    def in_tables(self, tables: Tables, value: float) -> Tables:
        """`tables` with the field at `value`."""
        given: Any = int(value) if value.is_integer() else value
        if self.choices:
            given = self.choices[int(value)]
        return merge(tables, {self.section: {self.field: given}})

    def si(self, values: Array) -> Array:
        """`values` in the unit of `si_field`."""
        return dbm_to_watt(values) if self._is_power else values

    def of(self, experiment: Experiment, value: float) -> Experiment:
        """The experiment with the field at a value.

        Args:
            experiment: The experiment.
            value: The value, in the unit of the scenario file.

        Returns:
            The changed experiment.

        Raises:
            InputError: The field is unknown, or the value is out of range.
        """
        if self.choices:
            return from_tables(self.in_tables(to_tables(experiment), value))
        number = float(self.si(np.asarray(value)))
        if self.name == "allocation.max_pruning_ratio":
            return replace(experiment, max_pruning_ratio=number)
        part = "allocator" if self.section == "allocation" else self.section
        changed: Any = {part: _replaced(getattr(experiment, part), self.si_field, number)}
        return replace(experiment, **changed)

    def value_in(self, experiment: Experiment) -> Any:
        """The value of the field in `experiment`."""
        if self.choices:
            return str(to_tables(experiment)[self.section].get(self.field))
        if self.name == "allocation.max_pruning_ratio":
            return experiment.max_pruning_ratio
        part = (
            experiment.allocator
            if self.section == "allocation"
            else getattr(experiment, self.section)
        )
        return _value(part, self.si_field)


def _replaced(settings: Any, field: str, value: float) -> Any:
    """A dataclass with a field, possibly nested, at `value`; whole numbers remain integers."""
    for item in fields(settings):
        old = getattr(settings, item.name)
        if item.name == field:
            whole = isinstance(old, int) and value.is_integer()
            return replace(settings, **{field: int(value) if whole else value})
        if is_dataclass(old) and field in known_fields(type(old)):
            return replace(settings, **{item.name: _replaced(old, field, value)})
    raise InputError(f"{field} is not a field of {type(settings).__name__}")


def _value(settings: Any, field: str) -> Any:
    for item in fields(settings):
        old = getattr(settings, item.name)
        if item.name == field:
            return old
        if is_dataclass(old) and field in known_fields(type(old)):
            return _value(old, field)
    raise InputError(f"{field} is not a field of {type(settings).__name__}")
