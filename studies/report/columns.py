"""The records of a run as columns.

Small columns are kept in memory; per-client fields whose values differ are read again from the
records.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Records = Iterable[Mapping[str, Any]]  # in order; can be iterated more than once


@dataclass(frozen=True)
class Columns:
    """The small columns of a run's records.

    Attributes:
        rounds: Number of records.
        numbers: One value per round, by field; None in rounds without the field.
        same: Per-client fields whose values are equal for all clients in every round: their value
            per round and the number of clients.
        names: All fields in the order of the records.
    """

    rounds: int
    numbers: Mapping[str, list[Any]]
    same: Mapping[str, tuple[list[Any], int]]
    names: tuple[str, ...]

    @classmethod
    def of(cls, records: Records) -> "Columns":
        """Collect the small columns of the records in one pass."""
        rounds = 0
        numbers = dict[str, list[Any]]()
        same = dict[str, tuple[list[Any], int]]()
        other = set[str]()
        names = dict[str, None]()
        for record in records:
            rounds += 1
            for name, value in flat(record):
                names.setdefault(name)
                if name in other:
                    continue
                if not isinstance(value, list):
                    column = numbers.setdefault(name, [])
                    column += [None] * (rounds - 1 - len(column))
                    column.append(value)
                elif _uniform(value) and _clients(same, name, value) == len(value):
                    same[name][0].append(value[0])
                else:
                    other.add(name)
                    same.pop(name, None)
        for column in numbers.values():
            column += [None] * (rounds - len(column))
        same = {name: found for name, found in same.items() if len(found[0]) == rounds}
        return cls(rounds, numbers, same, tuple(names))

    def get(self, field: str) -> NDArray[np.float64] | None:
        """A field as an array.

        Args:
            field: A field of the records; a method's own quantity is `extra.name`.

        Returns:
            (rounds,) or (rounds, K), NaN where the field is null or missing; None when it is not a
            small column.
        """
        if field in self.numbers:
            return np.array(self.numbers[field], dtype=np.float64)
        if field in self.same:
            values, clients = self.same[field]
            return np.repeat(np.array(values, dtype=np.float64)[:, None], clients, axis=1)
        return None


def _uniform(values: list[Any]) -> bool:
    return bool(values) and values.count(values[0]) == len(values)


def _clients(same: dict[str, tuple[list[Any], int]], name: str, values: list[Any]) -> int:
    """Number of clients of a column, which its first record fixes."""
    return same.setdefault(name, ([], len(values)))[1]


def read_column(records: Records, field: str) -> NDArray[np.float64]:
    """A field of every record.

    Args:
        records: The records in order.
        field: A field of the records; a method's own quantity is `extra.name`.

    Returns:
        (rounds,) or (rounds, K), NaN where the field is null or missing.
    """
    return np.array([dict(flat(record)).get(field) for record in records], dtype=np.float64)


def flat(record: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """The fields of a record with their values; a method's own quantities as `extra.name`."""
    for name, value in record.items():
        if name != "extra":
            yield name, value
    for name, value in record.get("extra", {}).items():
        yield f"extra.{name}", value
