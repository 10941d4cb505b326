"""Files of rows outside the records: one JSON object per line, each with its round."""

import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from wirelessfl.errors import InputError
from wirelessfl.records import strict_json


def read_rows(path: Path) -> list[dict[str, Any]]:
    """Rows of a file.

    Args:
        path: The file.

    Returns:
        The rows in order; a last line that was incomplete when the run was killed does not count,
        and a missing file has none.

    Raises:
        InputError: A line is damaged.
    """
    if not path.is_file():
        return []
    found = []
    for number, line in enumerate(path.read_bytes().splitlines(keepends=True), start=1):
        if not line.endswith(b"\n"):  # torn
            break
        try:
            row = json.loads(line)
        except ValueError:
            row = None
        if not isinstance(row, dict) or not isinstance(row.get("round"), int):
            raise InputError(f"{path} line {number} is damaged: it must be a row with its round")
        found.append(row)
    return found


def append_rows(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Append rows to a file, which is made when missing.

    Args:
        path: The file.
        rows: Rows in the order of their rounds.
    """
    text = lines(rows)
    if text:
        with path.open("a", encoding="utf-8") as file:
            file.write(text)


def keep_rows(path: Path, rounds: int, write: Callable[[Path, bytes], None]) -> None:
    """Keep the rows of the first rounds; the file stays untouched if all of its rows stay.

    Args:
        path: The file.
        rounds: Number of rounds whose rows stay.
        write: Writes a file as a whole.
    """
    if not path.is_file():
        return
    kept = lines(row for row in read_rows(path) if row["round"] <= rounds).encode()
    if kept != path.read_bytes():
        write(path, kept)


def lines(rows: Iterable[Mapping[str, Any]]) -> str:
    """Text of rows, one line each.

    Args:
        rows: Rows in order.

    Returns:
        JSON lines.
    """
    return "".join(strict_json.dumps(dict(row)) + "\n" for row in rows)
