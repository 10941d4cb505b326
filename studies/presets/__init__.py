"""Presets: scenario files of the distribution, found by name."""

import itertools
from pathlib import Path
from typing import Any

from wirelessfl.config.scenario_file import read_tables
from wirelessfl.errors import InputError, closest


def preset_files() -> dict[str, Path]:
    """The scenario files of the distribution by name."""
    return {file.stem: file for file in sorted(Path(__file__).parent.glob("*.toml"))}


def scenario_tables(scenario: str | Path) -> dict[str, dict[str, Any]]:
    """The tables of a preset or of a TOML file.

    Args:
        scenario: Name of a preset, or path of a TOML file.

    Returns:
        Section -> field -> value.

    Raises:
        InputError: There is neither such a preset nor such a file, or it is no scenario file.
    """
    presets = preset_files()
    name = str(scenario)
    if name in presets:
        return read_tables(presets[name])
    if name.endswith(".toml") or Path(name).exists():
        return read_tables(Path(name))
    raise InputError(
        f"SCENARIO must be a TOML file or one of {', '.join(presets)}; got {name!r}"
        f"{closest(name, presets)}"
    )


def preset_description(name: str) -> str:
    """The comment at the top of a preset, in one line."""
    lines = preset_files()[name].read_text(encoding="utf-8").splitlines()
    comment = itertools.takewhile(lambda line: line.startswith("#"), lines)
    return " ".join(line.removeprefix("#").strip() for line in comment)
