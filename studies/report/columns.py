"""The records of a run as columns: what is small is kept, per-client fields in which clients differ
are read again.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Records = Iterable[Mapping[str, Any]]  # in order, as often as they are asked for


@dataclass(frozen=True)
class Columns:
    """`numbers`: one number a round. `same`: per-client fields, K clients, that are alike for all
    in every round.
    """

    rounds: int
    numbers: Mapping[str, list[Any]]
    same: Mapping[str, tuple[list[Any], int]]

    @classmethod
    def of(cls, records: Records) -> "Columns":
        """The small columns of the records, in one pass."""
        rounds = 0
        numbers = dict[str, list[Any]]()
        same = dict[str, tuple[list[Any], int]]()
        other = set[str]()
        for record in records:
            rounds += 1
            for name, value in flat(record):
                if name in other:
                    continue
                if not isinstance(value, list):
                    numbers.setdefault(name, []).append(value)
                elif (
                    value
                    and value.count(value[0])
                    == len(value)
                    == same.setdefault(name, ([], len(value)))[1]
                ):
                    same[name][0].append(value[0])
                else:
                    other.add(name)
                    same.pop(name, None)
        return cls(rounds, numbers, same)

    def get(self, field: str) -> NDArray[np.float64] | None:
        """A field as (rounds,) or (rounds, K), NaN where it is null; None when it is not one of the
        small ones.
        """
        if field in self.numbers:
            return np.array(self.numbers[field], dtype=np.float64)
        if field in self.same:
            values, clients = self.same[field]
            return np.repeat(np.array(values, dtype=np.float64)[:, None], clients, axis=1)
        return None


def read_column(records: Records, field: str) -> NDArray[np.float64]:
    """A field of every record: (rounds,) or (rounds, K); NaN where it is null."""
    return np.array([dict(flat(record))[field] for record in records], dtype=np.float64)


def flat(record: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """The fields of a record, a method's own quantities as `extra.name`."""
    for name, value in record.items():
        if name != "extra":
            yield name, value
    for name, value in record.get("extra", {}).items():
        yield f"extra.{name}", value
