"""Plug-ins from outside the repository: the folder of dummies and what a test needs to use it."""

from pathlib import Path

import pytest

from wirelessfl import plugins
from wirelessfl.rounds import Experiment, RunSettings
from wirelessfl.values import Scenario

OUTSIDE = Path(__file__).parent / "outside"
TABLES = {
    "channel": {"model": "two-state"},
    "allocation": {"method": "even"},
    "training": {"algorithm": "counting"},
}


def use(monkeypatch: pytest.MonkeyPatch, folder: Path = OUTSIDE) -> None:
    monkeypatch.setenv("WIRELESSFL_PLUGINS", str(folder))


def experiment(*, scenario: Scenario | None = None, channel=None, allocator=None, max_pruning_ratio=1.0, **run):
    """Dummies around a scenario of four clients; `run` are settings of the run."""
    return Experiment(
        scenario=scenario or Scenario(clients=4),
        channel=channel or plugins.load("channels", "two-state")(),
        allocator=allocator or plugins.load("allocators", "even")(),
        max_pruning_ratio=max_pruning_ratio,
        algorithm=plugins.load("algorithms", "counting")(),
        run=RunSettings(**run),
    )
