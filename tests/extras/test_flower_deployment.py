"""Flower apps over the cell on a SuperLink with two SuperNodes on loopback."""

from itertools import permutations

import numpy as np
import pytest

pytestmark = pytest.mark.extras
pytest.importorskip("flwr")

from helpers.flower_app import app, experiment, run  # noqa: E402
from helpers.flower_deployment import deployed  # noqa: E402

import wirelessfl as wfl  # noqa: E402
from training.flower.client import pruning_mod  # noqa: E402
from training.flower.strategy import WirelessStrategy  # noqa: E402

NODES, ROUNDS = 2, 2
SERIES = ("loss", "accuracy", "pruning_ratio", "latency_s")
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


OWN = {
    "scenario": {"clients": 3},
    "training": {"train_samples": 120},
    "run": {"rounds": ROUNDS, "eval_every": 1, "executor": "loop"},
}
OWN_APPS = f"""
import os
import signal
from pathlib import Path

import numpy as np
from flwr.serverapp import ServerApp

import wirelessfl as wfl
from training.flower.executor import FlowerExecutor, node_app

experiment = wfl.read("digits", {OWN!r})


def kill_once(message, context, call_next):
    killed = Path(os.environ["RESULT"] + ".killed")
    second = context.node_config["partition-id"] == 1
    if second and "train" in message.metadata.message_type and not killed.exists():
        killed.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return call_next(message, context)


client = node_app(experiment, mods=[kill_once])
server = ServerApp()


@server.main()
def main(grid, context):
    run = wfl.run(experiment, executor=FlowerExecutor.connect(grid, nodes={NODES}, timeout_s=40.0))
    columns = {{name: run.series(name) for name in {SERIES!r}}}
    arrays = run.folder.last_checkpoint(print).arrays
    with open(os.environ["RESULT"] + ".part", "wb") as file:
        np.savez(file, **columns, **{{f"state {{name}}": one for name, one in arrays.items()}})
    os.replace(os.environ["RESULT"] + ".part", os.environ["RESULT"])
"""


def test_a_deployment_gives_the_arrays_of_nodes_in_this_process(tmp_path):
    """For one of the orders in which the SuperLink may have numbered the nodes."""
    with deployed(tmp_path, APPS, NODES) as result, np.load(result) as stored:
        told = dict(stored)
    found = []
    for partitions in permutations(range(NODES)):
        seen = []
        strategy = WirelessStrategy(
            experiment(clients=NODES), on_round=seen.append, min_available_nodes=NODES
        )
        _, done = run(strategy, app(pruning_mod), rounds=ROUNDS, partitions=partitions)
        np.testing.assert_array_equal(told["ratios"], [one.pruning_ratio for one in seen])
        assert np.any(told["ratios"] > 0)
        arrays = done.arrays.to_numpy_ndarrays()
        found.append(all(np.array_equal(told[f"arr_{i}"], one) for i, one in enumerate(arrays)))
    assert any(found)


def test_an_algorithm_of_ours_on_a_deployment_is_that_of_the_loop(tmp_path):
    """Although a process that trains is killed."""
    with deployed(tmp_path, OWN_APPS, NODES) as result, np.load(result) as stored:
        told = dict(stored)
        assert result.with_name("result.npz.killed").exists()
    expected = wfl.run(wfl.read("digits", OWN))
    for name in SERIES:
        np.testing.assert_array_equal(told[name], expected.series(name))
    arrays = expected.folder.last_checkpoint(print).arrays
    for name, one in arrays.items():
        np.testing.assert_array_equal(told[f"state {name}"], one)
