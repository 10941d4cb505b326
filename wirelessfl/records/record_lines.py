"""Lines of `rounds.jsonl`: whole records, checked, or some of their fields, which is faster.

A list of more than `MOST_LISTED` clients is a string: base64 of the zlib-compressed JSON list.
"""

import base64
import binascii
import dataclasses
import json
import zlib
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from numbers import Real
from typing import Any, cast

from wirelessfl.records import strict_json
from wirelessfl.values import RoundRecord

FIELDS = tuple(field.name for field in dataclasses.fields(RoundRecord))
_ITEMS: dict[str, tuple[type, ...]] = {  # types in a list, by that of its field
    "list[int]": (int,),
    "list[bool]": (bool,),
    "list[float]": (float, int),
    "list[float | None]": (float, int, type(None)),
}
_LISTS = {
    field.name: frozenset(_ITEMS[str(field.type)])
    for field in dataclasses.fields(RoundRecord)
    if str(field.type) in _ITEMS
}
MOST_LISTED = 100  # clients whose values are a readable list
_MOST_BYTES = 1 << 30  # of a list, far above that of a million clients
_MAY_BE_NULL = ("loss", "accuracy")
_SEPARATOR = b', "'
_READER = json.JSONDecoder()


class DamagedLineError(ValueError):
    """A line that is not the record of its round; the message says why."""


def encode(record: Mapping[str, Any]) -> bytes:
    """Line of a record.

    Args:
        record: The record.

    Returns:
        The line with its end.
    """
    written = {
        name: _packed(value) if name in _LISTS and _is_long(value) else value
        for name, value in record.items()
    }
    return (strict_json.dumps(written) + "\n").encode()


@dataclass(frozen=True)
class Checksum:
    """CRC-32 of the lines of a run, a fold over its records in order.

    The last record may lose its accuracy when the run is extended, and counts without it.

    Attributes:
        before: Checksum of all lines but the last.
        last: Checksum of the last line without its accuracy.
        whole: Checksum of all lines.
    """

    before: int = 0
    last: int = 0
    whole: int = 0

    def after(self, record: Mapping[str, Any]) -> "Checksum":
        """Checksum with one more record.

        Args:
            record: The record.

        Returns:
            The new checksum.
        """
        last = zlib.crc32(encode({**record, "accuracy": None}))
        return Checksum(self.whole, last, zlib.crc32(encode(record), self.whole))

    def fits(self, found: "Checksum") -> bool:
        """True if lines are those that were written.

        Args:
            found: Checksum of the lines.
        """
        return (self.before, self.last) == (found.before, found.last)


def decode(line: bytes, number: int) -> dict[str, Any]:
    """Record of a line.

    Args:
        line: The line, without its end.
        number: Number of its round.

    Returns:
        The record.

    Raises:
        DamagedLineError: The line is not the record of this round.
    """
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        raise DamagedLineError(repr(line[:60])) from None
    whole = isinstance(record, dict) and record.keys() >= set(FIELDS)
    if not whole or not _unpack(record) or record["round"] != number or not _is_record(record):
        raise DamagedLineError(f"it must be the record of round {number}")
    return cast(dict[str, Any], record)


def decoder(fields: Collection[str]) -> Callable[[bytes, int], dict[str, Any]]:
    """Function that decodes some fields of a line.

    Records are written with their fields in one order, so that the wanted fields are found by their
    places and read as an object of their own; a line in another form is decoded as a whole.

    Args:
        fields: Names of fields; `extra` is not among them.

    Returns:
        A function of line and number of the round, as `decode`.
    """
    wanted = {"round", *fields}
    places = sorted(FIELDS.index(name) for name in wanted)[1:]

    def some(line: bytes, number: int) -> dict[str, Any]:
        parts = line.split(_SEPARATOR)
        if len(parts) < len(FIELDS) or not line.endswith(b"}"):
            return decode(line, number)
        chosen = _SEPARATOR.join([parts[0], *[parts[place] for place in places]])
        try:
            record: dict[str, Any] = _READER.decode(f"{chosen.decode('ascii')}}}")
        except (ValueError, RecursionError):
            return decode(line, number)
        if record.keys() != wanted or record["round"] != number:
            return decode(line, number)
        return record if _unpack(record) else decode(line, number)

    return some


def _is_long(value: Any) -> bool:
    return isinstance(value, list) and len(value) > MOST_LISTED


def _packed(values: list[Any]) -> str:
    """A long list as a string, with the same values to the last bit."""
    data = zlib.compress(strict_json.dumps(values).encode(), 6)
    return base64.b64encode(data).decode("ascii")


def _unpack(record: dict[str, Any]) -> bool:
    """Put the lists back in place of their strings; False where a string is none."""
    for name in record.keys() & _LISTS.keys():
        if isinstance(record[name], str):
            try:
                stream = zlib.decompressobj()
                data = stream.decompress(base64.b64decode(record[name], validate=True), _MOST_BYTES)
                if not stream.eof:
                    raise ValueError("incomplete")
                record[name] = json.loads(data)
            except (ValueError, binascii.Error, zlib.error, RecursionError):
                return False
    return True


def _is_record(record: dict[str, Any]) -> bool:
    """True if all fields have their types, and all lists one entry for each participant."""
    clients = record["clients"]
    count = len(clients) if isinstance(clients, list) else -1
    for name in FIELDS:
        value = record[name]
        if name in _LISTS:
            if not isinstance(value, list) or len(value) != count:
                return False
            if not _LISTS[name].issuperset(map(type, value)):
                return False
        elif name == "extra":
            if not isinstance(value, dict):
                return False
        elif value is None:
            if name not in _MAY_BE_NULL:
                return False
        elif not isinstance(value, Real) or isinstance(value, bool):
            return False
    return True
