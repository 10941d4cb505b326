"""Flower's simulation engine: an algorithm of ours on it, against the executor `loop`."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytestmark = pytest.mark.extras
pytest.importorskip("flwr")
pytest.importorskip("ray", reason="the simulation engine of Flower needs ray")

import wirelessfl as wfl  # noqa: E402

NODES = 2
TABLES = {
    "scenario": {"clients": 3},
    "training": {"train_samples": 120},
    "run": {"rounds": 2, "eval_every": 1, "executor": "loop"},
}
SERIES = ("loss", "accuracy", "pruning_ratio", "latency_s")
SCRIPT = f"""
import sys

import numpy as np
from flwr.serverapp import ServerApp
from flwr.simulation import run_simulation

import wirelessfl as wfl
from training.flower.executor import FlowerExecutor, node_app

experiment = wfl.read("digits", {TABLES!r})
server = ServerApp()


@server.main()
def main(grid, context):
    run = wfl.run(experiment, executor=FlowerExecutor.connect(grid, nodes={NODES}))
    arrays = run.folder.last_checkpoint(print).arrays
    columns = {{name: run.series(name) for name in {SERIES!r}}}
    np.savez(sys.argv[1], **columns, **{{f"state {{name}}": one for name, one in arrays.items()}})


run_simulation(
    server,
    node_app(experiment),
    {NODES},
    backend_config={{
        "client_resources": {{"num_cpus": 1, "num_gpus": 0.0}},
        "init_args": {{"num_cpus": {NODES}}},
    }},
)
"""


def test_an_algorithm_of_ours_on_the_simulation_engine_is_that_of_the_loop(tmp_path):
    script, result = tmp_path / "app.py", tmp_path / "result.npz"
    script.write_text(SCRIPT)
    environment = {
        **os.environ,
        "FLWR_TELEMETRY_ENABLED": "0",
        "RAY_USAGE_STATS_ENABLED": "0",
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": os.pathsep.join([str(Path.cwd()), *(one for one in sys.path if one)]),
    }
    done = subprocess.run(
        [sys.executable, str(script), str(result)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    expected = wfl.run(wfl.read("digits", TABLES))
    with np.load(result) as told:
        for name in SERIES:
            np.testing.assert_array_equal(told[name], expected.series(name))
        for name, one in expected.folder.last_checkpoint(print).arrays.items():
            np.testing.assert_array_equal(told[f"state {name}"], one)
