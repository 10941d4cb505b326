"""Flower apps over the cell on a SuperLink with two SuperNodes on loopback."""

import numpy as np
import pytest

pytestmark = pytest.mark.extras
pytest.importorskip("flwr")

from helpers.flower_app import NODES, check_run, check_strategy  # noqa: E402
from helpers.flower_deployment import deployed  # noqa: E402

STRATEGY = """
import os

from flwr.serverapp import ServerApp
from helpers.flower_app import app, write_strategy
from training.flower.client import pruning_mod

client = app(pruning_mod)
server = ServerApp()


@server.main()
def main(grid, context):
    write_strategy(grid, os.environ["RESULT"])
"""
OWN = """
import os
import signal
from pathlib import Path

from flwr.serverapp import ServerApp
from helpers.flower_app import own_experiment, write_run
from training.flower.executor import node_app


def kill_once(message, context, call_next):
    killed = Path(os.environ["RESULT"] + ".killed")
    second = context.node_config["partition-id"] == 1
    if second and "train" in message.metadata.message_type and not killed.exists():
        killed.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return call_next(message, context)


client = node_app(own_experiment(), mods=[kill_once])
server = ServerApp()


@server.main()
def main(grid, context):
    write_run(grid, os.environ["RESULT"])
"""


def test_a_deployment_gives_the_arrays_of_nodes_in_this_process(tmp_path):
    with deployed(tmp_path, STRATEGY, NODES) as result, np.load(result) as told:
        check_strategy(told)


def test_an_algorithm_of_ours_on_a_deployment_is_that_of_the_loop(tmp_path):
    """Although a process that trains is killed."""
    with deployed(tmp_path, OWN, NODES) as result, np.load(result) as told:
        assert result.with_name("result.npz.killed").exists()
        check_run(told)
