"""Input files of an experiment, and the size and hash that identify their content.

A field of a plug-in that names a file has the metadata `INPUT_FILE`. A dataclass that a plug-in
holds may have `input_files(data_root)`, which gives the files that training reads by name.
"""

import dataclasses
import hashlib
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from wirelessfl.errors import InputError

INPUT_FILE = "input_file"  # a field that names a file: `field(..., metadata={INPUT_FILE: True})`
SHOWN_DIGITS = 12  # of a hash in an error line


@dataclass(frozen=True)
class FileContent:
    """The content of a file.

    Attributes:
        bytes: Its size.
        sha256: Its SHA-256, in hex digits.
    """

    bytes: int
    sha256: str

    @classmethod
    def of(cls, name: str, path: str | Path) -> "FileContent":
        """Content of a file.

        Args:
            name: Field or name that stands for the file, for the message.
            path: The file.

        Returns:
            Size and hash.

        Raises:
            InputError: The file cannot be read.
        """
        try:
            about = os.stat(path)
            if not (stat.S_ISREG(about.st_mode) or stat.S_ISDIR(about.st_mode)):
                raise InputError(f"{name} {path} must be a file")
            return _content(os.fspath(path), about.st_mtime_ns, about.st_size)
        except OSError as error:
            raise InputError(f"{name} {path} cannot be read: {error.strerror or error}") from None

    @classmethod
    def from_table(cls, name: str, table: Any) -> "FileContent":
        """Content that an entry of section `inputs` records.

        Args:
            name: Name of the entry.
            table: TOML value of the entry.

        Returns:
            Size and hash.

        Raises:
            InputError: The entry is not a size and a hash.
        """
        fields = {field.name: field.type for field in dataclasses.fields(cls)}
        if not isinstance(table, dict) or {k: type(v) for k, v in table.items()} != fields:
            raise InputError(f"inputs.{name} must have bytes and sha256, got {table!r}")
        return cls(**table)

    def as_table(self) -> dict[str, Any]:
        """Entry of section `inputs`, as TOML values."""
        return dataclasses.asdict(self)

    def __str__(self) -> str:
        return f"{self.bytes} bytes and SHA-256 {self.sha256[:SHOWN_DIGITS]}"


Contents = Mapping[str, FileContent]


@lru_cache(maxsize=1024)
def _content(path: str, changed_ns: int, size: int) -> FileContent:
    """Read a file once as long as it does not change."""
    with open(path, "rb") as file:
        return FileContent(size, hashlib.file_digest(file, "sha256").hexdigest())


def data_files(value: Any, data_root: Path | None) -> dict[str, Path]:
    """Files that the dataclasses of a plug-in read from the folder of data sets.

    Args:
        value: A plug-in or a dataclass in it.
        data_root: Folder of the data sets.

    Returns:
        Paths by name.
    """
    found: dict[str, Path] = {}
    if hasattr(value, "input_files"):
        found.update(value.input_files(data_root))
    for field in dataclasses.fields(value):
        held = getattr(value, field.name)
        if dataclasses.is_dataclass(held):
            found.update(data_files(held, data_root))
    return found


def check_contents(where: object, recorded: Contents, found: Contents) -> None:
    """Refuse files whose content is not the recorded one.

    Args:
        where: Start of the message, such as a folder.
        recorded: Recorded contents by name.
        found: Present contents by name.

    Raises:
        InputError: A file differs; the message names the first one.
    """
    for name, content in recorded.items():
        if name in found and found[name] != content:
            raise InputError(
                f"{where}: {name} is not the file that it was: it must have {content}, "
                f"got {found[name]}"
            )


def check_same_files(where: object, recorded: Contents, found: Contents) -> None:
    """Refuse files other than the recorded ones; without a record any files are accepted.

    Args:
        where: Start of the message, such as a folder.
        recorded: Recorded contents by name.
        found: Present contents by name.

    Raises:
        InputError: A file differs, is missing or is new; the message names it.
    """
    check_contents(where, recorded, found)
    if recorded and recorded.keys() != found.keys():
        name = min(recorded.keys() ^ found.keys())
        raise InputError(f"{where}: {name} {'is missing' if name in recorded else 'is new'}")
