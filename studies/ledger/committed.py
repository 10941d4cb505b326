"""Committed results of studies: one folder for each study and setting."""

import csv
import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from studies.study.study import SCALES, Setting
from wirelessfl.errors import InputError

FILES = ("command.json", "table.csv", "claims.csv")
_OPTIONS = {"--scale": "scale", "--learning-rate": "learning_rate", "--seeds": "seeds"}


@dataclass(frozen=True)
class Committed:
    """A results folder.

    Attributes:
        path: The folder.
        study: Name of the study.
        setting: Scale and changes.
        facts: Content of `command.json`: command, seeds, rounds, versions, experiments.
        claims: Rows of `claims.csv`: claim, kind, verdict, figures.
        table: Rows of `table.csv`.
        chosen: Label -> settings that a search chose, as texts by `section.field`.
    """

    path: Path
    study: str
    setting: Setting
    facts: Mapping[str, Any]
    claims: tuple[Mapping[str, str], ...]
    table: tuple[Mapping[str, str], ...]
    chosen: Mapping[str, Mapping[str, str]]

    @classmethod
    def read(cls, path: Path) -> "Committed":
        """Read a results folder.

        Args:
            path: The folder.

        Returns:
            Its content.

        Raises:
            InputError: A file is missing or damaged.
        """
        try:
            facts = json.loads((path / "command.json").read_text())
            study, setting = _setting_of(facts["command"])
            return cls(
                path=path,
                study=study,
                setting=setting,
                facts=facts,
                claims=_rows(path / "claims.csv"),
                table=_rows(path / "table.csv"),
                chosen=_chosen(path / "trials.csv"),
            )
        except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
            raise InputError(f"{path} holds no results of a study: {error}") from None

    @property
    def rank(self) -> tuple[bool, int, int]:
        """Order among the results of one study: without changes, by scale, by number of seeds."""
        unchanged = replace(self.setting, seeds=None) == Setting(self.setting.scale)
        return unchanged, SCALES.index(self.setting.scale), len(self.facts["seeds"])

    @property
    def version(self) -> str:
        """Version of wirelessfl that made the results."""
        return str(self.facts["versions"]["wirelessfl"])


def read_committed(root: Path) -> list[Committed]:
    """Read all results below a folder.

    Args:
        root: Folder of the results folders.

    Returns:
        The results, by study; of each study first the one that counts: with the study's own
            settings, at the largest scale, over most seeds.

    Raises:
        InputError: The folder holds no results, or one of them is damaged.
    """
    folders = sorted(file.parent for file in root.glob("*/command.json"))
    if not folders:
        raise InputError(f"--results {root} holds no results of studies")
    found = sorted(map(Committed.read, folders), key=lambda one: one.rank, reverse=True)
    return sorted(found, key=lambda one: one.study)


def _setting_of(command: str) -> tuple[str, Setting]:
    """Study and setting of `wirelessfl study NAME OPTIONS`."""
    name, *words = shlex.split(command)[2:]
    options = list(zip(words[::2], words[1::2], strict=True))
    given: dict[str, Any] = {_OPTIONS[key]: word for key, word in options if key in _OPTIONS}
    if "learning_rate" in given:
        given["learning_rate"] = float(given["learning_rate"])
    if "seeds" in given:
        given["seeds"] = int(given["seeds"])
    changes = tuple(word for key, word in options if key == "--set")
    return name, Setting(**given, changes=changes)


def _rows(file: Path) -> tuple[Mapping[str, str], ...]:
    with file.open(newline="") as lines:
        return tuple(csv.DictReader(lines))


def _chosen(file: Path) -> dict[str, dict[str, str]]:
    if not file.exists():
        return {}
    return {
        row["label"]: {name: value for name, value in row.items() if "." in name and value}
        for row in _rows(file)
        if row["chosen"] == "True"
    }
