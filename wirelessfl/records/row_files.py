"""Files of rows outside the records: one JSON object per line, each with its round."""

import json
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from wirelessfl.errors import InputError
from wirelessfl.records import strict_json

_TAIL = 1 << 20  # bytes in which the last line is looked for


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
        except (ValueError, RecursionError):
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
    if not path.is_file() or _all_stay(path, rounds):
        return
    write(path, lines(row for row in read_rows(path) if row["round"] <= rounds).encode())


def _all_stay(path: Path, rounds: int) -> bool:
    """True where the last line is whole and of one of the first rounds, or there is none."""
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - _TAIL))
        tail = file.read()
    if not tail:
        return True
    last = tail[:-1].rpartition(b"\n")[2]
    if not tail.endswith(b"\n") or len(last) + 1 == len(tail) < size:
        return False
    try:
        return bool(json.loads(last)["round"] <= rounds)
    except (ValueError, TypeError, KeyError, RecursionError):
        return False


def lines(rows: Iterable[Mapping[str, Any]]) -> str:
    """Text of rows, one line each.

    Args:
        rows: Rows in order.

    Returns:
        JSON lines.
    """
    return "".join(strict_json.dumps(dict(row)) + "\n" for row in rows)
