"""Values of the clients as a range or a distribution, in place of a list.

| text | value of client k of K |
|---|---|
| `a:b` | evenly spaced from a (first client) to b (last client) |
| `log:a:b` | the same in the logarithm: a (b / a)^(k / (K - 1)) |
| `uniform(a, b)` | drawn uniformly from a to b |
| `log-uniform(a, b)` | exp of a uniform draw from log a to log b |
| `choice(a, b, ...)` | one of the values, each as probable |

Numbers may have a unit that fits the field: `uniform(1GHz, 3GHz)`.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from wirelessfl.arrays import Array
from wirelessfl.errors import InputError, check_number
from wirelessfl.text import in_full
from wirelessfl.units import dbm_to_watt, parse_quantity

FORMS = (
    "a number, a list of numbers, one per client, a range a:b or log:a:b, or uniform(a, b), "
    "log-uniform(a, b) or choice(a, b, ...)"
)
_CALL = re.compile(r"(uniform|log-uniform|choice)\s*\((.*)\)")
_OF_LEVELS = {":": "log:", "uniform": "log-uniform", "choice": "choice"}

# Kind -> values of K clients from the ends (or choices) and, for a distribution, a generator.
_VALUES: dict[str, Callable[[tuple[float, ...], int, np.random.Generator], Array]] = {
    ":": lambda ends, count, rng: np.linspace(ends[0], ends[1], count),
    "log:": lambda ends, count, rng: np.geomspace(ends[0], ends[1], count),
    "uniform": lambda ends, count, rng: ends[0] + (ends[1] - ends[0]) * rng.random(count),
    "log-uniform": lambda ends, count, rng: ends[0] * (ends[1] / ends[0]) ** rng.random(count),
    "choice": lambda ends, count, rng: np.asarray(ends)[
        np.floor(len(ends) * rng.random(count)).astype(np.intp)
    ],
}


@dataclass(frozen=True)
class Spread:
    """A range or distribution of the values of all clients.

    Attributes:
        kind: `:`, `log:`, `uniform`, `log-uniform` or `choice`.
        ends: Both ends, or all choices, in the unit of the field.
    """

    kind: str
    ends: tuple[float, ...]

    @classmethod
    def parse(cls, field: str, text: str) -> "Spread":
        """Parse a range or a distribution.

        Args:
            field: Name of the field, whose ending is its unit.
            text: The text, see the module.

        Returns:
            The range or distribution.

        Raises:
            InputError: The text has another form, a number or unit is invalid, the ends of a
                logarithm are not above 0, or those of a distribution are in the wrong order.
        """
        call = _CALL.fullmatch(text.strip())
        if call is not None:
            kind, items = call[1], call[2].split(",")
        else:
            parts = text.strip().split(":")
            kind = "log:" if parts[0] == "log" and len(parts) == 3 else ":"
            items = parts[1:] if kind == "log:" else parts
        if len(items) < 2 or (kind != "choice" and len(items) > 2):
            raise InputError(f"{field} must be {FORMS}, got {text!r}")
        ends = tuple(_number(field, item, text) for item in items)
        if kind.startswith("log"):
            check_number(f"{field}: ends of a logarithm", ends, above=0)
        if kind.endswith("uniform") and ends[0] > ends[1]:
            raise InputError(f"{field} must have the lower end first, got {text!r}")
        return cls(kind, ends)

    @property
    def text(self) -> str:
        """The text in its common form, with numbers in the unit of the field."""
        numbers = [in_full(end) for end in self.ends]
        if self.kind in (":", "log:"):
            return self.kind.removeprefix(":") + ":".join(numbers)
        return f"{self.kind}({', '.join(numbers)})"

    def in_watt(self, field: str) -> "Spread":
        """The powers of levels: a uniform level is a log-uniform power.

        Args:
            field: Name of the field in dBm, for the message.

        Returns:
            The range or distribution of the powers in W.

        Raises:
            InputError: The levels are spread in their logarithm.
        """
        if self.kind not in _OF_LEVELS:
            raise InputError(f"{field} is a level: give a range a:b, uniform or choice")
        powers = tuple(float(dbm_to_watt(end)) for end in self.ends)
        return replace(self, kind=_OF_LEVELS[self.kind], ends=powers)

    def values(self, clients: int, rng: np.random.Generator) -> Array:
        """Values of the clients.

        Args:
            clients: Number K of clients.
            rng: Generator of a distribution; the first values are those of fewer clients.

        Returns:
            Values in the unit of the field, within the ends; (K,).
        """
        drawn = _VALUES[self.kind](self.ends, clients, rng)
        return np.asarray(np.clip(drawn, min(self.ends), max(self.ends)), dtype=np.float64)


def _number(field: str, item: str, text: str) -> float:
    quantity = parse_quantity(field, item)
    if quantity is not None:
        return quantity
    try:
        return float(item)
    except ValueError:
        raise InputError(f"{field} must have numbers in {text!r}, got {item.strip()!r}") from None
