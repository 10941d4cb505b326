"""The command line, called in this process or as a process of its own."""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from studies.cli import main

COMMAND = (sys.executable, "-c", "from studies.cli import main; main()")


def strict_json(text: str) -> Any:
    """The value of a JSON text; a test fails on `NaN` and `Infinity`, which JSON does not have."""
    return json.loads(text, parse_constant=lambda word: pytest.fail(f"{word} is not JSON"))


@dataclass(frozen=True)
class Ended:
    """The outcome of a command."""

    status: int
    out: str
    err: str

    def json(self) -> Any:
        return strict_json(self.out)


def call(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    *arguments: object,
    draws: bool = False,
) -> Ended:
    """Run `wirelessfl ARGUMENTS` in this process; a run draws its plots (0.4 s) with `draws`."""
    if arguments[:1] == ("run",) and not draws:
        arguments = ("run", "--no-plots", *arguments[1:])
    monkeypatch.setattr(sys, "argv", ["wirelessfl", *map(str, arguments)])
    capsys.readouterr()
    with pytest.raises(SystemExit) as stopped:
        main()
    printed = capsys.readouterr()
    return Ended(int(stopped.value.code or 0), printed.out, printed.err)


def start(*arguments: object, folder: Path) -> "subprocess.Popen[bytes]":
    """Start `wirelessfl ARGUMENTS` as a process in `folder`, silent."""
    return subprocess.Popen(
        [*COMMAND, *map(str, arguments)],
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
