"""Flower's simulation engine: an algorithm of ours, and the strategy in front of an app."""

import os
import subprocess
import sys
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest

pytestmark = pytest.mark.extras
pytest.importorskip("flwr")
pytest.importorskip("ray", reason="the simulation engine of Flower needs ray")

from helpers.flower_app import app, experiment, run  # noqa: E402

import wirelessfl as wfl  # noqa: E402
from training.flower.client import pruning_mod  # noqa: E402
from training.flower.strategy import WirelessStrategy  # noqa: E402

NODES, ROUNDS = 2, 2
TABLES = {
    "scenario": {"clients": 3},
    "training": {"train_samples": 120},
    "run": {"rounds": ROUNDS, "eval_every": 1, "executor": "loop"},
}
SERIES = ("loss", "accuracy", "pruning_ratio", "latency_s")
SIMULATION = """
import sys

import numpy as np
from flwr.serverapp import ServerApp
from flwr.simulation import run_simulation

server = ServerApp()
backend = {
    "client_resources": {"num_cpus": 1, "num_gpus": 0.0},
    "init_args": {"num_cpus": 2},
}
"""
OWN = f"""
import wirelessfl as wfl
from training.flower.executor import FlowerExecutor, node_app

experiment = wfl.read("digits", {TABLES!r})


@server.main()
def main(grid, context):
    run = wfl.run(experiment, executor=FlowerExecutor.connect(grid, nodes={NODES}))
    arrays = run.folder.last_checkpoint(print).arrays
    columns = {{name: run.series(name) for name in {SERIES!r}}}
    np.savez(sys.argv[1], **columns, **{{f"state {{name}}": one for name, one in arrays.items()}})


run_simulation(server, node_app(experiment), {NODES}, backend_config=backend)
"""
STRATEGY = f"""
from flwr.app import ConfigRecord
from helpers.flower_app import app, experiment, first_model
from training.flower.client import pruning_mod
from training.flower.strategy import WirelessStrategy


@server.main()
def main(grid, context):
    seen = []
    strategy = WirelessStrategy(
        experiment(clients={NODES}), on_round=seen.append, min_available_nodes={NODES}
    )
    done = strategy.start(
        grid=grid,
        initial_arrays=first_model(),
        num_rounds={ROUNDS},
        train_config=ConfigRecord({{"lr": 0.1}}),
    )
    ratios = [one.pruning_ratio for one in seen]
    np.savez(sys.argv[1], *done.arrays.to_numpy_ndarrays(), ratios=ratios)


run_simulation(server, app(pruning_mod), {NODES}, backend_config=backend)
"""


def simulated(folder, script):
    """The arrays that a server app writes on the simulation engine."""
    file, result = folder / "app.py", folder / "result.npz"
    file.write_text(SIMULATION + script)
    environment = {
        **os.environ,
        "FLWR_TELEMETRY_ENABLED": "0",
        "RAY_USAGE_STATS_ENABLED": "0",
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": os.pathsep.join([str(Path.cwd()), *(one for one in sys.path if one)]),
    }
    done = subprocess.run(
        [sys.executable, str(file), str(result)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    with np.load(result) as told:
        return dict(told)


def test_an_algorithm_of_ours_on_the_simulation_engine_is_that_of_the_loop(tmp_path):
    told = simulated(tmp_path, OWN)
    expected = wfl.run(wfl.read("digits", TABLES))
    for name in SERIES:
        np.testing.assert_array_equal(told[name], expected.series(name))
    for name, one in expected.folder.last_checkpoint(print).arrays.items():
        np.testing.assert_array_equal(told[f"state {name}"], one)


def test_the_strategy_on_the_simulation_engine_is_that_of_nodes_in_this_process(tmp_path):
    """For one of the orders in which the engine may have numbered the nodes."""
    told = simulated(tmp_path, STRATEGY)
    found = []
    for partitions in permutations(range(NODES)):
        seen = []
        strategy = WirelessStrategy(
            experiment(clients=NODES), on_round=seen.append, min_available_nodes=NODES
        )
        _, done = run(strategy, app(pruning_mod), rounds=ROUNDS, partitions=partitions)
        np.testing.assert_array_equal(told["ratios"], [one.pruning_ratio for one in seen])
        arrays = done.arrays.to_numpy_ndarrays()
        found.append(all(np.array_equal(told[f"arr_{i}"], one) for i, one in enumerate(arrays)))
    assert any(found)
