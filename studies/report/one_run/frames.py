"""Records of a run as columns of a data frame: one row per round, or per round and client."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from studies.report.one_run.recorded import Recorded
from wirelessfl.errors import InputError

TOTALS = ("uplink_bits", "downlink_bits", "flops", "energy_j", "retransmissions", "lost")
MEANS = ("pruning_ratio", "delivered")
Column = list[Any]


def data_frame(columns: Mapping[str, Column] | list[dict[str, Any]]) -> Any:
    """A pandas data frame.

    Args:
        columns: Columns by name, or rows.

    Returns:
        The data frame.

    Raises:
        InputError: pandas is not installed.
    """
    try:
        import pandas
    except ImportError:
        raise InputError(
            'to_pandas needs pandas, which is not installed: pip install "wirelessfl[notebook]"'
        ) from None
    return pandas.DataFrame(columns)


def round_columns(run: Recorded) -> dict[str, Column]:
    """Columns with one row per round: numbers, totals over clients, means over clients.

    Args:
        run: A run.

    Returns:
        Columns by name; missing values are NaN.
    """
    columns: dict[str, Column] = {}
    for record in run.records:
        found = {name: value for name, value in record.items() if not isinstance(value, list)}
        extra = found.pop("extra", {})
        found["participants"] = len(record["clients"])
        found |= {name: sum(_numbers(record[name])) for name in TOTALS}
        found |= {name: float(np.mean(record[name])) for name in MEANS}
        found |= {f"extra.{name}": value for name, value in extra.items()}
        _append(columns, found)
    return columns


def client_columns(run: Recorded) -> dict[str, Column]:
    """Columns with one row per round and participating client.

    Args:
        run: A run.

    Returns:
        Columns by name, `accuracy` that of the client; missing values are NaN.
    """
    rows = [] if run.folder is None else run.folder.rows("accuracy")
    accuracy = {row["round"]: row["accuracy"] for row in rows}
    columns: dict[str, Column] = {}
    for record in run.records:
        lists = {name: value for name, value in record.items() if isinstance(value, list)}
        scores = accuracy.get(record["round"])
        for index, client in enumerate(lists.pop("clients")):
            found = {"round": record["round"], "clock_s": record["clock_s"], "client": client}
            found |= {name: values[index] for name, values in lists.items()}
            found["accuracy"] = None if scores is None else scores[client]
            _append(columns, found)
    return columns


LAYOUTS: Mapping[str, Callable[[Recorded], dict[str, Column]]] = {
    "round": round_columns,
    "client": client_columns,
}


def _append(columns: dict[str, Column], row: Mapping[str, Any]) -> None:
    """Append a row; a value that is None is NaN, and a column that starts later begins with NaN."""
    length = max(map(len, columns.values()), default=0)
    for name in row:
        if name not in columns:
            columns[name] = [float("nan")] * length
    for name, column in columns.items():
        value = row.get(name)
        column.append(float("nan") if value is None else value)


def _numbers(values: list[Any]) -> list[float]:
    return [float("nan") if value is None else value for value in values]
