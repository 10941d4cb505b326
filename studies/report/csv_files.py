"""Rows as CSV files."""

import csv
import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from wirelessfl.records.run_folder import write_atomically


def write_records(path: Path, records: Sequence[Mapping[str, Any]]) -> None:
    """Write rows of equal keys as a CSV file.

    Numbers have six significant digits; None and NaN are empty cells.

    Args:
        path: The file, written as a whole or not at all.
        records: The rows.
    """
    text = io.StringIO()
    writer = csv.DictWriter(
        text, fieldnames=list(records[0]) if records else [], lineterminator="\n"
    )
    writer.writeheader()
    for record in records:
        writer.writerow(
            {
                key: _number(item) if isinstance(item, float) else item
                for key, item in record.items()
            }
        )
    write_atomically(path, text.getvalue().encode())


def _number(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.6g}"
