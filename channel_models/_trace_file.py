"""Reading recorded gains, one clear line for everything that is wrong with a file."""

import csv
import math
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path

import numpy as np

from wirelessfl.errors import InputError
from wirelessfl.values import Array

HEADER = ["round", "client", "gain"]


def read(file: str) -> Array:
    """Linear power gains (rounds, K) of a `.csv` or `.npz` file; `InputError` names file, row and
    value.

    The path is relative to the working directory. A CSV file has one row a round and one column a
    client, or the header `round,client,gain` (rounds counted from 1, clients from 0, as in a run's
    records) and one row each, in any order. An NPZ file has an array `gain` (rounds, K).
    """
    try:
        about = Path(file).stat()
        return _read(file, about.st_mtime_ns, about.st_size)
    except OSError as error:
        raise InputError(f"channel.file {file} cannot be read: {error.strerror or error}") from None


@lru_cache(maxsize=8)
def _read(file: str, changed_ns: int, size: int) -> Array:
    """A file is read once as long as it does not change."""
    gain = _from_npz(file) if file.endswith(".npz") else _from_csv(file)
    gain.setflags(write=False)
    return gain


def _from_npz(file: str) -> Array:
    try:
        with open(file, "rb") as opened:
            arrays = np.load(opened)
            gain = arrays["gain"] if isinstance(arrays, Mapping) else None
    except KeyError:
        gain = None
    except (
        ValueError,
        EOFError,
        RuntimeError,
        zipfile.BadZipFile,
        zlib.error,
    ) as error:  # all that damage can make
        reason = (str(error).splitlines() or ["it is damaged"])[0]
        raise InputError(f"channel.file {file} is not an NPZ file: {reason}") from None
    if gain is None or gain.ndim != 2 or gain.size == 0 or gain.dtype.kind not in "fiu":
        found = "none" if gain is None else f"{gain.dtype} of shape {gain.shape}"
        raise InputError(
            f"channel.file {file} must hold numbers gain of shape (rounds, clients), got {found}"
        )
    gain = gain.astype(np.float64)
    for row, client in np.argwhere(~(np.isfinite(gain) & (gain > 0)))[:1]:
        raise _bad(
            file,
            row + 1,
            f"gain of client {client}",
            "a finite number above 0",
            f"{gain[row, client]:g}",
        )
    return gain


def _from_csv(file: str) -> Array:
    try:
        with open(file, newline="", encoding="utf-8-sig") as lines:
            reader = csv.reader(lines)
            rows = [
                (reader.line_num, [cell.strip() for cell in cells]) for cells in reader if cells
            ]
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"channel.file {file} is not a CSV file: {error}") from None
    long = bool(rows) and rows[0][1] == HEADER
    gain = _by_round_and_client(file, rows[1:]) if long else np.array(list(_by_round(file, rows)))
    if gain.size == 0:
        raise InputError(f"channel.file {file} must hold at least one round, got none")
    return gain


def _by_round(file: str, rows: list[tuple[int, list[str]]]) -> Iterator[list[float]]:
    for line, cells in rows:
        if len(cells) != len(rows[0][1]):
            raise _bad(
                file, line, "a round", f"{len(rows[0][1])} gains as the first row", f"{len(cells)}"
            )
        yield [_gain(file, line, cell) for cell in cells]


def _by_round_and_client(file: str, rows: list[tuple[int, list[str]]]) -> Array:
    found: dict[tuple[int, int], float] = {}
    for line, cells in rows:
        if len(cells) != len(HEADER):
            raise _bad(file, line, "a row", "round,client,gain", ",".join(cells))
        key = (_count(file, line, "round", cells[0], 1), _count(file, line, "client", cells[1], 0))
        if key in found:
            raise _bad(
                file,
                line,
                "round and client",
                "there once",
                f"round {key[0]}, client {key[1]} again",
            )
        found[key] = _gain(file, line, cells[2])
    rounds = max((round for round, _ in found), default=0)
    clients = max((client + 1 for _, client in found), default=0)
    every = ((round, client) for round in range(1, rounds + 1) for client in range(clients))
    if len(found) < rounds * clients:
        round, client = next(key for key in every if key not in found)
        raise InputError(
            f"channel.file {file} must hold every client in every round, got no round {round}, client {client}"
        )
    return np.array([found[key] for key in every]).reshape(rounds, clients)


def _count(file: str, line: int, name: str, text: str, at_least: int) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 10 and int(text) >= at_least):
        raise _bad(file, line, name, f"a whole number of at least {at_least}", repr(text))
    return int(text)


def _gain(file: str, line: int, text: str) -> float:
    try:
        gain = float(text)
    except ValueError:
        gain = math.nan
    if not (math.isfinite(gain) and gain > 0):
        raise _bad(file, line, "gain", "a finite number above 0", repr(text))
    return gain


def _bad(file: str, row: int, what: str, limit: str, got: str) -> InputError:
    return InputError(f"channel.file {file}: row {row}: {what} must be {limit}, got {got}")
