"""Properties of a data set that are known before it is read: its size, files and origin."""

import os
from dataclasses import dataclass
from pathlib import Path

from wirelessfl.errors import InputError

FileNames = tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Card:
    """Properties of a data set.

    Attributes:
        name: Name of the data set.
        train: Number of training rows; None where it depends on the files.
        test: Number of test rows; None where it depends on the files.
        shape: Shape of an input, without the row axis.
        classes: Number of classes, labels being 0 .. classes - 1; 1 for numeric targets.
        places: Alternative sets of files that hold the data, by names below the folder of data
            sets, folders with a slash at the end; the first complete set is read. Empty for an
            embedded data set.
        origin: Source of the files.
        client_train: Mean number of training rows of its natural clients; None without any.
        class_names: Name of each class in the order of the labels; empty without names.
    """

    name: str
    train: int | None
    test: int | None
    shape: tuple[int, ...]
    classes: int
    places: tuple[FileNames, ...] = ()
    origin: str = ""
    client_train: int | None = None
    class_names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.class_names and len(self.class_names) != self.classes:
            raise InputError(
                f"data set {self.name!r} must name all of its {self.classes} classes, "
                f"got {len(self.class_names)} names"
            )

    def root(self, data_root: Path | None) -> Path:
        """The folder of data sets.

        Args:
            data_root: The folder; that of the environment variable WIRELESSFL_DATA if None.

        Returns:
            The folder.

        Raises:
            InputError: Neither is given.
        """
        root = data_root or os.environ.get("WIRELESSFL_DATA")
        if not root:
            raise InputError(
                f"data set {self.name!r} needs a folder of data sets: give --data-root or set "
                "WIRELESSFL_DATA"
            )
        return Path(root)

    def found(self, root: Path) -> FileNames | None:
        """The first complete set of files.

        Args:
            root: Folder of data sets.

        Returns:
            Names of the files below `root`; None where all sets are incomplete.
        """
        return next((place for place in self.places if not _missing(root, place)), None)

    def files(self, data_root: Path | None) -> dict[str, Path]:
        """The files that hold the data set.

        Args:
            data_root: Folder of data sets, see `root`.

        Returns:
            The files by their names below the folder of data sets; empty for an embedded data set.

        Raises:
            InputError: No set of files is complete.
        """
        if not self.places:
            return {}
        root, place = self.require(data_root)
        found: dict[str, Path] = {}
        for name in place:
            inside = sorted((root / name).iterdir()) if name.endswith("/") else [root / name]
            files = [file for file in inside if file.is_file() and not file.name.startswith(".")]
            found.update({str(file.relative_to(root)): file for file in files})
        return found

    def require(self, data_root: Path | None) -> tuple[Path, FileNames]:
        """The folder of data sets and the first complete set of files in it.

        Args:
            data_root: Folder of data sets, see `root`.

        Returns:
            The folder, and names of the files below it.

        Raises:
            InputError: No set is complete; the message names the missing files of the most
                complete.
        """
        root = self.root(data_root)
        place = self.found(root)
        if place is not None:
            return root, place
        nearest = min(self.places, key=lambda names: len(_missing(root, names)) / len(names))
        folder = os.path.commonpath([os.path.dirname(name.rstrip("/")) for name in nearest])
        missing = ", ".join(
            os.path.relpath(name, folder or ".") for name in _missing(root, nearest)
        )
        raise InputError(
            f"data set {self.name!r} must have its files, unpacked, in {root / folder}; "
            f"missing: {missing} (--data-root or WIRELESSFL_DATA names the folder of data sets; "
            f"{self.origin})"
        )


def fetched(name: str) -> str:
    """Source of a data set that the command line can download.

    Args:
        name: Name of the data set.

    Returns:
        Text for `Card.origin`.
    """
    return f"to download: wirelessfl data fetch {name} --data-root FOLDER"


def one_line(error: BaseException) -> str:
    """Message of an error in one line.

    Args:
        error: The error.

    Returns:
        Its message, or its type where it has none.
    """
    return " ".join(str(error).split()) or type(error).__name__


def _missing(root: Path, place: FileNames) -> list[str]:
    # os.path, not Path: a folder without access counts as empty instead of raising an error.
    exists = {True: os.path.isdir, False: os.path.isfile}
    return [name for name in place if not exists[name.endswith("/")](root / name)]
