"""External plug-ins: the folder of dummies, and access to it in a test."""

import copy
from pathlib import Path
from typing import Any

import pytest

from wirelessfl import plugins
from wirelessfl.config.scenario_file import Tables
from wirelessfl.experiment import Experiment, RunSettings
from wirelessfl.protocols import Allocator, ChannelModel
from wirelessfl.values import Scenario

OUTSIDE = Path(__file__).parent / "outside"
FATAL = """
import os, signal
from dataclasses import dataclass
from wirelessfl import plugins


@dataclass(frozen=True, kw_only=True)
class Fatal(plugins.load("algorithms", "counting")):
    "An algorithm whose process dies."

    def trainer(self, **options):
        os.kill(os.getpid(), signal.SIGKILL)
"""
TABLES = {
    "channel": {"model": "two-state"},
    "allocation": {"method": "even"},
    "training": {"algorithm": "counting"},
}
FULL = {
    "scenario": {
        "clients": 3,
        "deadline_s": 0.02,
        "transmit_power_w": [0.1, 0.2, 0.3],
        "distance_m": [100.0, 200.0, 300.0],
        "distance_range_m": [1.5, 2.5],
        "deadline_policy": "drop",
    },
    "channel": {"model": "rayleigh", "path_loss": "free-space", "carrier_hz": 2.4e9, "antennas": 2},
    "allocation": {"share": 0.5, "max_pruning_ratio": 0.95},
    "training": {
        "model": "small",
        "weights": 7,
        "partition": "shards",
        "steps": 2,
        "rates": [0.3],
        "train": False,
    },
    "run": {
        "rounds": 7,
        "seed": 3,
        "train": False,
        "executor": "loop",
        "workers": 2,
        "device": "cuda",
    },
}


def use(monkeypatch: pytest.MonkeyPatch, folder: Path = OUTSIDE) -> None:
    monkeypatch.setenv("WIRELESSFL_PLUGINS", str(folder))


def tables(**changes: dict[str, Any]) -> Tables:
    """The dummies' tables with `section={field: value}` on top."""
    found = copy.deepcopy(TABLES)
    for section, table in changes.items():
        found[section] = {**found.get(section, {}), **table}
    return found


def experiment(
    *,
    scenario: Scenario | None = None,
    channel: ChannelModel | None = None,
    allocator: Allocator | None = None,
    max_pruning_ratio: float = 1.0,
    **run: Any,
) -> Experiment:
    """Dummies around a scenario of four clients; `run` are settings of the run."""
    return Experiment(
        scenario=scenario or Scenario(clients=4),
        channel=channel or plugins.load("channels", "two-state")(),
        allocator=allocator or plugins.load("allocators", "even")(),
        max_pruning_ratio=max_pruning_ratio,
        algorithm=plugins.load("algorithms", "counting")(),
        run=RunSettings(**run),
    )
