"""Flower's simulation engine: an algorithm of ours, and the strategy in front of an app."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytestmark = pytest.mark.extras
pytest.importorskip("flwr")
pytest.importorskip("ray", reason="the simulation engine of Flower needs ray")

from helpers.flower_app import NODES, check_run, check_strategy  # noqa: E402

SIMULATION = """
import sys

from flwr.serverapp import ServerApp
from flwr.simulation import run_simulation
from helpers.flower_app import app, own_experiment, write_run, write_strategy
from training.flower.client import pruning_mod
from training.flower.executor import node_app

server = ServerApp()


@server.main()
def main(grid, context):
    {write}(grid, sys.argv[1])


resources = {{"num_cpus": 1, "num_gpus": 0.0}}
backend = {{"client_resources": resources, "init_args": {{"num_cpus": {nodes}}}}}
run_simulation(server, {client}, {nodes}, backend_config=backend)
"""


def simulated(folder, write, client):
    """The arrays that a server app writes on the simulation engine."""
    file, result = folder / "app.py", folder / "result.npz"
    file.write_text(SIMULATION.format(write=write, client=client, nodes=NODES))
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
    check_run(simulated(tmp_path, "write_run", "node_app(own_experiment())"))


def test_the_strategy_on_the_simulation_engine_is_that_of_nodes_in_this_process(tmp_path):
    check_strategy(simulated(tmp_path, "write_strategy", "app(pruning_mod)"))
