"""What is known of a data set before it is read: how large it is, which files hold it, where they
come from.
"""

import os
from dataclasses import dataclass
from pathlib import Path

from wirelessfl.errors import InputError

AgentContext = tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Card:
    """A data set called `name`: `train` and `test` rows, None where that depends on the files.

    Inputs have `shape` (without the rows); labels are 0 .. classes - 1; `classes` is 1 for targets
    that are numbers. `places` are the sets of files that hold it, the first that is whole is read:
    names below the folder of data sets, those of folders with a slash at the end. None means
    embedded. `origin` says where to get them. `client_train` is the mean number of training rows of
    its own clients, None where it has none.
    """

    name: str
    train: int | None
    test: int | None
    shape: tuple[int, ...]
    classes: int
    places: tuple[AgentContext, ...] = ()
    origin: str = ""
    client_train: int | None = None

    def root(self, data_root: Path | None) -> Path:
        """The folder of data sets: `data_root`, else what the environment variable WIRELESSFL_DATA
        names.
        """
        root = data_root or os.environ.get("WIRELESSFL_DATA")
        if not root:
            raise InputError(
                f"data set {self.name!r} needs a folder of data sets: give --data-root or set WIRELESSFL_DATA"
            )
        return Path(root)

    def found(self, root: Path) -> AgentContext | None:
        """The first place below `root` of which nothing is missing."""
        return next((place for place in self.places if not _missing(root, place)), None)

    def files(self, data_root: Path | None) -> dict[str, Path]:
        """The files that hold the data set, by their names below the folder of data sets."""
        if not self.places:
            return {}
        root, place = self.require(data_root)
        found: dict[str, Path] = {}
        for name in place:
            inside = sorted((root / name).iterdir()) if name.endswith("/") else [root / name]
            files = [file for file in inside if file.is_file() and not file.name.startswith(".")]
            found.update({str(file.relative_to(root)): file for file in files})
        return found

    def require(self, data_root: Path | None) -> tuple[Path, AgentContext]:
        """The folder of data sets and the place in it; `InputError` names the files of the
        likeliest that miss.
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
            f"data set {self.name!r} must have its files, unpacked, in {root / folder}; missing: {missing} "
            f"(--data-root or WIRELESSFL_DATA names the folder of data sets; {self.origin})"
        )


def fetched(name: str) -> str:
    """The origin of a data set that can be downloaded."""
    return f"to download: wirelessfl data fetch {name} --data-root FOLDER"


def said(error: BaseException) -> str:
    """What an error says, in one line."""
    return " ".join(str(error).split()) or type(error).__name__


def _missing(root: Path, place: AgentContext) -> list[str]:
    # os.path, not Path: a folder that may not be entered counts as empty.
    there = {True: os.path.isdir, False: os.path.isfile}
    return [name for name in place if not there[name.endswith("/")](root / name)]
