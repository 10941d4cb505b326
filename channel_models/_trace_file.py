"""Reading of recorded links from CSV and NPZ files, with one-line messages for invalid content."""

import csv
import math
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from channel_models._trace_units import AUTO, MOST_REFERENCE_DBM, UNITS, guess_at, unit_in
from wirelessfl.border.npz import read_npz
from wirelessfl.errors import InputError, check_choice, check_number
from wirelessfl.values import Array

SEPARATORS = {"comma": ",", "semicolon": ";", "tab": "\t", "space": None}
COMMENTS = ("#", "%")
NO_VALUE = ("", "-")
ROUND = "round"
TIME = "time_s"
CLIENT = "client"
UNNAMED = ("", "index")  # columns that number the rows
_DIGITS = 6  # of a second: what a float holds of one counted from 1970
_LEAST_COUNTED = 3  # rows from which a first column 1, 2, 3 ... is taken for row numbers

Row = tuple[int, list[str]]  # line of the file, cells


@dataclass(frozen=True, kw_only=True)
class Format:
    """Form of a recorded file; its fields are keys of section `channel` of a scenario file.

    Attributes:
        unit: Unit of the values; `auto` is the unit that the column names start with, else `gain`.
        columns: Names of the columns with values, one per client, or the one of a file with a
            column `client`; all remaining columns when not given.
        separator: Separator of the cells; `auto` is that of the first line.
        reference_power_dbm: Transmit power of the reference signal per resource element, dBm
            (ss-PBCH-BlockPower in NR); needed for `rsrp_dbm`.
    """

    unit: Literal[
        "auto",
        "gain",
        "gain_db",
        "path_loss_db",
        "rsrp_dbm",
        "snr_db",
        "rate_bps",
        "rate_kbps",
        "rate_mbps",
    ] = "auto"
    columns: tuple[str, ...] = ()
    separator: Literal["auto", "comma", "semicolon", "tab", "space"] = "auto"
    reference_power_dbm: float | None = None

    def __post_init__(self) -> None:
        check_choice("channel.unit", self.unit, (AUTO, *UNITS))
        check_choice("channel.separator", self.separator, (AUTO, *SEPARATORS))
        if self.reference_power_dbm is not None:
            check_number(
                "channel.reference_power_dbm",
                self.reference_power_dbm,
                at_least=-MOST_REFERENCE_DBM,
                at_most=MOST_REFERENCE_DBM,
            )


@dataclass(frozen=True, eq=False)
class Levels:
    """Recorded values in linear form.

    Attributes:
        unit: Unit in which they were recorded.
        level: Gain, linear SNR or rate in bit/s, 0 without a link; (rows, K).
        begins_s: Start of each row in seconds, the first at 0, (rows,); None where a row is a
            round.
    """

    unit: str
    level: Array
    begins_s: Array | None


def read(file: str, form: Format) -> Levels:
    """The recorded values of a `.csv` or `.npz` file.

    The first line of a CSV file that is no comment (`#`, `%`) may name its columns, in any order
    and case: `round` (from 1) or `time_s`, `client`, and those of the values. Without a column
    `client` every column of values is a client; without a header every column is. An NPZ file has
    an array (rows, K) under the name of its unit, and may have `time_s` (rows,).

    Args:
        file: Path of the file.
        form: Its columns, separator and unit.

    Returns:
        Linear levels (rows, K) with their unit, and when each row begins.

    Raises:
        InputError: The file cannot be read, or a value cannot be; names file, row and value.
    """
    try:
        return _read(file, *stamp(file), form)
    except OSError as error:
        raise InputError(f"channel.file {file} cannot be read: {error.strerror or error}") from None


def stamp(file: str) -> tuple[int, int]:
    """Identify a version of a file.

    Args:
        file: Path of the file.

    Returns:
        Time of change, nanoseconds, and size, bytes.
    """
    about = Path(file).stat()
    if not (stat.S_ISREG(about.st_mode) or stat.S_ISDIR(about.st_mode)):
        raise InputError(f"channel.file {file} must be a file")
    return about.st_mtime_ns, about.st_size


@lru_cache(maxsize=8)
def _read(file: str, changed_ns: int, size: int, form: Format) -> Levels:
    """Read a file once as long as it does not change."""
    found = _from_npz(file, form) if file.endswith(".npz") else _from_csv(file, form)
    found.level.setflags(write=False)
    return found


def _from_npz(file: str, form: Format) -> Levels:
    wanted = tuple(UNITS) if form.unit == AUTO else (form.unit,)
    try:
        arrays = read_npz(Path(file), (*wanted, TIME))
    except InputError:
        raise
    except ValueError as error:
        raise InputError(f"channel.file {file} is not an NPZ file: {error}") from None
    there = [name for name in wanted if name in arrays]
    values = arrays[there[0]] if len(there) == 1 else None
    time_s = arrays.get(TIME)
    if values is None or values.ndim != 2 or values.size == 0 or values.dtype.kind not in "fiu":
        found = "none" if values is None else f"{values.dtype} of shape {values.shape}"
        names = form.unit if form.unit != AUTO else "of one unit"
        raise InputError(
            f"channel.file {file} must hold numbers {names} of shape (rounds, clients), got {found}"
        )
    values = values.astype(np.float64)
    rows = list(range(1, len(values) + 1))
    for row, client in np.argwhere(~np.isfinite(values))[:1]:
        raise _bad(
            file,
            row + 1,
            f"{there[0]} of client {client}",
            "a finite number",
            f"{values[row, client]:g}",
        )
    level = _levels(file, rows, values, there[0], form)
    if time_s is None:
        return Levels(there[0], level, None)
    if time_s.shape != (len(values),) or time_s.dtype.kind not in "fiu":
        raise InputError(
            f"channel.file {file}: time_s must be {len(values)} numbers, got shape {time_s.shape}"
        )
    order, begins_s = _in_time(file, rows, time_s.astype(np.float64))
    return Levels(there[0], level[order], begins_s)


def _from_csv(file: str, form: Format) -> Levels:
    rows = _rows(file, form)
    if not rows:
        raise InputError(f"channel.file {file} must hold at least one round, got none")
    if _is_header(file, rows[0]):
        names = [name.lower() for name in rows[0][1]]
        return _with_header(file, names, rows[1:], form)
    if form.columns:
        raise _bad(
            file, rows[0][0], "the first line", "a header that names channel.columns", "numbers"
        )
    rows = _without_last_empty(rows)
    _check_lengths(file, rows, len(rows[0][1]), "the first row")
    values = _values(file, rows, range(len(rows[0][1])))
    unit = "gain" if form.unit == AUTO else form.unit
    _check_no_row_numbers(file, rows, values)
    return Levels(unit, _levels(file, [line for line, _ in rows], values, unit, form), None)


def _rows(file: str, form: Format) -> list[Row]:
    """The cells of every line that holds any, with the line's number."""
    try:
        text = Path(file).read_text(encoding="utf-8-sig")
        lines = [
            (number, _uncommented(line)) for number, line in enumerate(text.splitlines(), start=1)
        ]
        filled = [(number, line) for number, line in lines if line]
        if not filled:
            return []
        separator = (
            _detected(filled[0][1]) if form.separator == AUTO else SEPARATORS[form.separator]
        )
        return [(number, _cells(line, separator)) for number, line in filled]
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"channel.file {file} is not a CSV file: {error}") from None


def _uncommented(line: str) -> str:
    for mark in COMMENTS:
        line = line.partition(mark)[0]
    return line.strip(" \r\n")


def _detected(line: str) -> str | None:
    return next((mark for mark in ("\t", ";", ",") if mark in line), None)


def _cells(line: str, separator: str | None) -> list[str]:
    if separator is None:
        return line.split()
    return [
        cell.strip()
        for cell in next(csv.reader([line], delimiter=separator, skipinitialspace=True))
    ]


def _is_header(file: str, row: Row) -> bool:
    line, cells = row
    words = [cell for cell in cells if cell not in NO_VALUE and not _is_number(cell)]
    known = any(_is_known(cell.lower()) for cell in words)
    numbers = [cell for cell in cells if _is_number(cell)]
    if words and numbers and not known:
        raise _bad(
            file, line, "the first line", "numbers, or a header that names columns", repr(words[0])
        )
    return bool(words)


def _is_known(name: str) -> bool:
    return name in (ROUND, TIME, CLIENT) or unit_in(name) is not None


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _without_last_empty(rows: list[Row]) -> list[Row]:
    """The rows without a last column that is empty in all of them (a trailing separator)."""
    if all(len(cells) > 1 and cells[-1] == "" for _, cells in rows):
        return [(line, cells[:-1]) for line, cells in rows]
    return rows


def _check_lengths(file: str, rows: Sequence[Row], count: int, like: str) -> None:
    for line, cells in rows:
        if len(cells) != count:
            raise _bad(file, line, "a row", f"{count} cells as {like}", f"{len(cells)}")


def _check_no_row_numbers(file: str, rows: Sequence[Row], values: Array) -> None:
    first = values[:, 0]
    if (
        len(first) >= _LEAST_COUNTED
        and first[0] in (0, 1)
        and np.array_equal(first, first[0] + np.arange(len(first)))
    ):
        raise _bad(
            file,
            rows[0][0],
            "the first column",
            "a client's",
            f"{first[0]:g}, {first[1]:g}, {first[2]:g} ..., row numbers: "
            "name the columns in a header",
        )


def _with_header(file: str, names: list[str], rows: list[Row], form: Format) -> Levels:
    _check_header(file, names)
    if not rows:
        raise InputError(f"channel.file {file} must hold at least one round, got none")
    # a separator at the end of a line makes an empty cell that no name stands for
    rows = [
        (line, cells[:-1] if len(cells) == len(names) + 1 and cells[-1] == "" else cells)
        for line, cells in rows
    ]
    _check_lengths(file, rows, len(names), "the header")
    columns = _value_columns(file, names, form)
    unit = _unit_of(file, [names[column] for column in columns], form)
    lines = [line for line, _ in rows]
    values = _values(file, rows, columns)
    if CLIENT not in names and not form.columns:
        _check_no_row_numbers(file, rows, values)
    level = _levels(file, lines, values, unit, form)
    if CLIENT in names:
        return _by_client(file, names, rows, level[:, 0], unit)
    if TIME in names:
        order, begins_s = _in_time(file, lines, _column(file, rows, names.index(TIME), TIME))
        return Levels(unit, level[order], begins_s)
    if ROUND in names:
        rounds = _counts(file, rows, names.index(ROUND), ROUND, 1)
        return Levels(unit, _every(file, rows, rounds, np.zeros_like(rounds), level), None)
    return Levels(unit, level, None)


def _check_header(file: str, names: list[str]) -> None:
    for name in names:
        if name not in UNNAMED and names.count(name) > 1:
            raise InputError(f"channel.file {file} must name each column once, got {name} twice")
    if ROUND in names and TIME in names:
        raise InputError(f"channel.file {file} must have a column round or time_s, got both")
    if CLIENT in names and ROUND not in names and TIME not in names:
        raise InputError(
            f"channel.file {file} must have a column round or time_s beside client, got none"
        )


def _value_columns(file: str, names: list[str], form: Format) -> list[int]:
    """Indices of the columns with values: the declared ones, those named by a unit, or all."""
    wanted = [name.lower() for name in form.columns]
    left = [name for name in names if name not in (ROUND, TIME, CLIENT, *UNNAMED)]
    for name in wanted:
        if name not in names:
            raise InputError(
                f"channel.columns must be columns of {file} ({', '.join(left)}), got {name!r}"
            )
    found = wanted or [name for name in left if unit_in(name)] or left
    if not found or (CLIENT in names and len(found) > 1):
        several = f"of several clients, got columns {', '.join(left) or 'none'}"
        raise InputError(
            f"channel.columns must name the column with the values in {file} {several}"
        )
    return [names.index(name) for name in found]


def _unit_of(file: str, names: list[str], form: Format) -> str:
    units = {unit for name in names if (unit := unit_in(name)) is not None}
    if len(units | ({form.unit} - {AUTO})) > 1:
        got = ", ".join(sorted(units))
        wanted = "one unit" if form.unit == AUTO else f"channel.unit {form.unit}"
        raise InputError(f"channel.file {file} must have values in {wanted}, got columns in {got}")
    if form.unit != AUTO:
        return form.unit
    return next(iter(units), "gain")


def _by_client(file: str, names: list[str], rows: list[Row], level: Array, unit: str) -> Levels:
    """Rows of one client each, as a matrix over rounds or over the times of new rows."""
    client = _clients(file, rows, names.index(CLIENT))
    if ROUND in names:
        rounds = _counts(file, rows, names.index(ROUND), ROUND, 1)
        return Levels(unit, _every(file, rows, rounds, client, level[:, None]), None)
    time_s = _column(file, rows, names.index(TIME), TIME)
    begins_s, at = np.unique(np.round(time_s - time_s.min(), _DIGITS), return_inverse=True)
    held = np.full((len(begins_s), int(client.max()) + 1), np.nan)
    for (line, _), place, number, value in zip(rows, at.ravel(), client, level, strict=True):
        if not np.isnan(held[place, number]):
            got = f"{begins_s[place]:g} s after the first, client {number} again"
            raise _bad(file, line, "time_s and client", "there once", got)
        held[place, number] = value
    latest = np.maximum.accumulate(
        np.where(np.isnan(held), -1, np.arange(len(held))[:, None]), axis=0
    )
    filled = np.take_along_axis(held, np.maximum(latest, 0), axis=0)
    return Levels(unit, np.where(latest >= 0, filled, 0.0), begins_s)


def _clients(file: str, rows: list[Row], column: int) -> Array:
    """Indices of the clients: as given or, for names, in order of appearance."""
    names = [cells[column] for _, cells in rows]
    if any(_is_number(name) for name in names):
        return _counts(file, rows, column, CLIENT, 0)
    number = {name: place for place, name in enumerate(dict.fromkeys(names))}
    return np.array([number[name] for name in names])


def _every(file: str, rows: list[Row], rounds: Array, client: Array, level: Array) -> Array:
    """A matrix with a row a round from rows in any order, each round (of each client) once."""
    keys = list(zip(rounds.tolist(), client.tolist(), strict=True))
    place = {}
    for number, key in enumerate(keys):
        if key in place:
            got = f"round {key[0]}, client {key[1]} again"
            raise _bad(file, rows[number][0], "round and client", "there once", got)
        place[key] = number
    count = int(rounds.max())
    clients = int(client.max()) + 1
    every = ((round, number) for round in range(1, count + 1) for number in range(clients))
    if len(place) < count * clients:
        round, number = next(key for key in every if key not in place)
        raise InputError(
            f"channel.file {file} must hold every client in every round, "
            f"got no round {round}, client {number}"
        )
    return level[[place[key] for key in every]].reshape(count, -1)


def _in_time(file: str, lines: Sequence[int], time_s: Array) -> tuple[NDArray[np.intp], Array]:
    """The order of the rows in time, and when each begins, the first at 0."""
    if not np.isfinite(time_s).all():
        raise _bad(
            file, lines[int(np.argmin(np.isfinite(time_s)))], TIME, "a finite number", "none"
        )
    order = np.argsort(time_s, kind="stable")
    begins_s = np.round(time_s[order] - time_s[order[0]], _DIGITS)
    twice = np.flatnonzero(np.diff(begins_s) == 0)
    if len(twice):
        line = lines[int(order[twice[0] + 1])]
        raise _bad(file, line, TIME, "there once", f"{time_s[order[twice[0]]]:g} again")
    return order, begins_s


def _counts(file: str, rows: Sequence[Row], column: int, name: str, at_least: int) -> Array:
    found = []
    for line, cells in rows:
        text = cells[column]
        number = float(text) if _is_number(text) else math.nan
        if not (number.is_integer() and at_least <= number < 1e9):
            raise _bad(file, line, name, f"a whole number of at least {at_least}", repr(text))
        found.append(int(number))
    return np.array(found)


def _column(file: str, rows: Sequence[Row], column: int, name: str) -> Array:
    return np.array([_number(file, line, cells[column], name) for line, cells in rows])


def _values(file: str, rows: Sequence[Row], columns: Sequence[int]) -> Array:
    """The cells of some columns as numbers, (rows, columns); NaN where there is no value."""
    return np.array(
        [
            [
                math.nan if cells[c] in NO_VALUE else _number(file, line, cells[c], "a value")
                for c in columns
            ]
            for line, cells in rows
        ]
    )


def _number(file: str, line: int, text: str, name: str) -> float:
    number = float(text) if _is_number(text) else math.nan
    if not math.isfinite(number):
        raise _bad(file, line, name, "a finite number", repr(text))
    return number


def _levels(file: str, lines: Sequence[int], values: Array, unit: str, form: Format) -> Array:
    """Linear levels of values in a unit, 0 without a link; `InputError` for impossible values."""
    known = UNITS[unit]
    none = np.isnan(values) | ((values == 0) & known.zero_is_none)
    for row, client in np.argwhere(~none & ~((values >= known.least) & (values <= known.most)))[:1]:
        got = f"{values[row, client]:g}{guess_at(values, unit)}"
        raise _bad(file, lines[row], f"{unit} of client {client}", known.limit, got)
    if unit != "rsrp_dbm":
        return np.where(none, 0.0, known.level(values))
    reference_dbm = _reference_dbm(file, form)
    for row, client in np.argwhere(~none & (values > reference_dbm))[:1]:
        limit = f"at most channel.reference_power_dbm, {reference_dbm:g}"
        raise _bad(
            file, lines[row], f"{unit} of client {client}", limit, f"{values[row, client]:g}"
        )
    return np.where(none, 0.0, known.level(values - reference_dbm))


def _reference_dbm(file: str, form: Format) -> float:
    if form.reference_power_dbm is None:
        raise InputError(
            f"channel.reference_power_dbm must be given for rsrp_dbm in {file}: "
            "the power per resource element that it is received of, got none"
        )
    return form.reference_power_dbm


def _bad(file: str, row: int, what: str, limit: str, got: str) -> InputError:
    return InputError(f"channel.file {file}: row {row}: {what} must be {limit}, got {got}")
