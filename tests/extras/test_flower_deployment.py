"""A Flower app over the cell on a SuperLink with two SuperNodes on loopback."""

import os
import socket
import subprocess
import sys
import time
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest

pytestmark = pytest.mark.extras
pytest.importorskip("flwr")

from helpers.flower_app import app, experiment, run  # noqa: E402

from training.flower.client import pruning_mod  # noqa: E402
from training.flower.strategy import WirelessStrategy  # noqa: E402

NODES, ROUNDS, WAIT_S = 2, 2, 240.0
PROJECT = """
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "wireless"
version = "1.0.0"
description = ""
license = "Apache-2.0"
dependencies = []

[tool.hatch.build.targets.wheel]
packages = ["."]

[tool.flwr.app]
publisher = "local"

[tool.flwr.app.components]
serverapp = "wireless.apps:server"
clientapp = "wireless.apps:client"
"""
APPS = f"""
import os

import numpy as np
from flwr.app import ConfigRecord
from flwr.serverapp import ServerApp
from helpers.flower_app import app, experiment, first_model

from training.flower.client import pruning_mod
from training.flower.strategy import WirelessStrategy

client = app(pruning_mod)
server = ServerApp()


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
    arrays = done.arrays.to_numpy_ndarrays()
    ratios = [one.pruning_ratio for one in seen]
    with open(os.environ["RESULT"] + ".part", "wb") as file:
        np.savez(file, *arrays, ratios=ratios)
    os.replace(os.environ["RESULT"] + ".part", os.environ["RESULT"])
"""


@pytest.fixture
def deployed(tmp_path):
    """The result of the app on a SuperLink: its arrays, and the ratios of each round."""
    package = tmp_path / "app" / "wireless"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "apps.py").write_text(APPS)
    (package.parent / "pyproject.toml").write_text(PROJECT)
    link, *nodes = (free_port() for _ in range(1 + NODES))
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "config.toml").write_text(
        f'[superlink]\ndefault = "loopback"\n\n[superlink.loopback]\n'
        f'address = "127.0.0.1:{link}"\ninsecure = true\n'
    )
    result = tmp_path / "result.npz"
    programs = Path(sys.executable).parent
    environment = {
        **os.environ,
        "FLWR_HOME": str(tmp_path / "home"),
        "FLWR_TELEMETRY_ENABLED": "0",
        "RESULT": str(result),
        "OMP_NUM_THREADS": "1",
        "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": os.pathsep.join(one for one in sys.path if one),
    }
    processes = []

    def start(*command):
        with (tmp_path / f"log-{len(processes)}").open("wb") as log:
            process = subprocess.Popen(
                [*map(str, command)],
                env=environment,
                cwd=tmp_path / "app",
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        processes.append(process)
        return process

    def logs():
        return "\n".join(file.read_text()[-1500:] for file in sorted(tmp_path.glob("log-*")))

    try:
        start("flower-superlink", "--insecure", "--host", "127.0.0.1", "--port", link)
        wait_for(lambda: answers(link), logs)
        for index, port in enumerate(nodes):
            start(
                *("flower-supernode", "--insecure", "--superlink", f"127.0.0.1:{link}"),
                *("--port", port, "--node-config"),
                f"partition-id={index} num-partitions={NODES}",
            )
        start("flwr", "run", ".", "loopback").wait(WAIT_S)
        wait_for(result.exists, logs)
        with np.load(result) as stored:
            yield dict(stored)
    finally:
        for process in reversed(processes):
            process.terminate()
        for process in processes:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def answers(port):
    with socket.socket() as tried:
        tried.settimeout(1.0)
        return tried.connect_ex(("127.0.0.1", port)) == 0


def wait_for(condition, logs):
    end = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < end, logs()
        time.sleep(0.1)


def test_a_deployment_gives_the_arrays_of_nodes_in_this_process(deployed):
    """For one of the orders in which the SuperLink may have numbered the nodes."""
    found = []
    for partitions in permutations(range(NODES)):
        seen = []
        strategy = WirelessStrategy(
            experiment(clients=NODES), on_round=seen.append, min_available_nodes=NODES
        )
        _, done = run(strategy, app(pruning_mod), rounds=ROUNDS, partitions=partitions)
        np.testing.assert_array_equal(deployed["ratios"], [one.pruning_ratio for one in seen])
        assert np.any(deployed["ratios"] > 0)
        arrays = done.arrays.to_numpy_ndarrays()
        found.append(all(np.array_equal(deployed[f"arr_{i}"], one) for i, one in enumerate(arrays)))
    assert any(found)
