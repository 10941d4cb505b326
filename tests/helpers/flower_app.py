"""A Flower app whose local training is known, and nodes of it in this process."""

import logging
import os
from itertools import permutations
from pathlib import Path

import numpy as np
from flwr.app import (
    Array,
    ArrayRecord,
    ConfigRecord,
    Context,
    Message,
    MetricRecord,
    RecordDict,
)
from flwr.clientapp import ClientApp

import wirelessfl as wfl
from training.flower.client import pruning_mod
from training.flower.executor import FlowerExecutor
from training.flower.strategy import WirelessStrategy
from wirelessfl.config.scenario_file import from_tables

CLIENTS, SHAPES = 4, ((40, 30), (30,))
SIZE = 40 * 30 + 30


def experiment(method="exact", **scenario):
    """A cell without training of its own."""
    return from_tables(
        {
            "scenario": {
                **{"clients": CLIENTS, "deadline_s": 0.02, "bandwidth_hz": 3e5},
                **{"cpu_hz": 3e9, "cycles_per_weight": 1600.0, "deadline_policy": "drop"},
                **scenario,
            },
            "allocation": {"method": method},
            "run": {"train": False, "seed": 2},
        }
    )


def first_model():
    """Two float tensors and a counter."""
    rng = np.random.default_rng(0)
    arrays = [rng.standard_normal(shape).astype(np.float32) for shape in SHAPES]
    return ArrayRecord(
        {"weight": Array(arrays[0]), "bias": Array(arrays[1]), "count": Array(np.array(7))}
    )


def trained(arrays, client, number):
    """A step of a user's own: another direction for each client and round."""
    rng = np.random.default_rng((client, number))
    moved = [one + 0.1 * rng.standard_normal(one.shape) for one in arrays[:2]]
    return [*(one.astype(np.float32) for one in moved), arrays[2]]


def app(*mods):
    """The client app."""
    made = ClientApp(mods=list(mods))

    @made.train()
    def train(message, context):
        record = message.content["arrays"]
        client = int(context.node_config["partition-id"])
        number = int(message.content["config"].get("server-round", 0))
        after = trained(record.to_numpy_ndarrays(), client, number)
        content = {
            "arrays": ArrayRecord({k: Array(v) for k, v in zip(record, after, strict=True)}),
            "metrics": MetricRecord({"loss": float(client), "num-examples": 10 + client}),
        }
        return Message(content=RecordDict(content), reply_to=message)

    @made.evaluate()
    def evaluate(message, context):
        content = {"metrics": MetricRecord({"accuracy": 0.5, "num-examples": 1})}
        return Message(content=RecordDict(content), reply_to=message)

    return made


class LocalGrid:
    """A grid whose nodes are in this process."""

    def __init__(self, made, partitions=range(CLIENTS)):
        from flwr.supercore.task_identity import TaskIdentity

        TaskIdentity.run_id, TaskIdentity.node_id, TaskIdentity.task_id = 1, 0, 1
        self.app = made
        self.sent = []
        self.contexts = {
            index + 1: Context(
                run_id=1,
                node_id=index + 1,
                node_config={"partition-id": partition, "num-partitions": len(partitions)},
                state=RecordDict(),
                run_config={},
            )
            for index, partition in enumerate(partitions)
        }

    def get_node_ids(self):
        return list(self.contexts)

    def send_and_receive(self, messages, *, timeout=None):
        replies = []
        for message in messages:
            message.metadata.__dict__["_message_id"] = "x"
            replies.append(self.app(message, self.contexts[message.metadata.dst_node_id]))
        self.sent.append(replies)
        return replies


def run(strategy, made, rounds=3, partitions=range(CLIENTS)):
    """The grid and the result of rounds of the strategy."""
    logging.getLogger("flwr").setLevel(logging.ERROR)
    grid = LocalGrid(made, partitions)
    return grid, strategy.start(
        grid=grid,
        initial_arrays=first_model(),
        num_rounds=rounds,
        train_config=ConfigRecord({"lr": 0.1}),
    )


NODES, ROUNDS = 2, 2  # of an engine with processes of its own
SERIES = ("loss", "accuracy", "pruning_ratio", "latency_s")


def own_experiment():
    """A run of an algorithm of ours."""
    return wfl.read(
        "digits",
        {
            "scenario": {"clients": 3},
            "training": {"train_samples": 120},
            "run": {"rounds": ROUNDS, "eval_every": 1, "executor": "loop"},
        },
    )


def write_strategy(grid, path):
    """Rounds of the strategy on a grid: write its arrays and ratios to a file."""
    strategy, seen = _strategy()
    done = strategy.start(
        grid=grid,
        initial_arrays=first_model(),
        num_rounds=ROUNDS,
        train_config=ConfigRecord({"lr": 0.1}),
    )
    ratios = [one.pruning_ratio for one in seen]
    _write(path, *done.arrays.to_numpy_ndarrays(), ratios=ratios)


def check_strategy(told):
    """The written arrays are those of nodes in this process.

    That is for one of the orders in which the engine may have numbered its nodes.
    """
    found = []
    for partitions in permutations(range(NODES)):
        strategy, seen = _strategy()
        _, done = run(strategy, app(pruning_mod), rounds=ROUNDS, partitions=partitions)
        np.testing.assert_array_equal(told["ratios"], [one.pruning_ratio for one in seen])
        assert np.any(told["ratios"] > 0)
        arrays = done.arrays.to_numpy_ndarrays()
        found.append(all(np.array_equal(told[f"arr_{i}"], one) for i, one in enumerate(arrays)))
    assert any(found)


def write_run(grid, path):
    """The run of `own_experiment` on a grid: write its series and its last state to a file."""
    wanted = own_experiment()
    executor = FlowerExecutor.connect(grid, wanted, nodes=NODES, timeout_s=40.0)
    _write(path, **_outcome(wfl.run(wanted, executor=executor)))


def check_run(told):
    """The written run is that of the executor `loop`."""
    expected = _outcome(wfl.run(own_experiment()))
    assert told.keys() == expected.keys()
    for name, one in expected.items():
        np.testing.assert_array_equal(told[name], one)


def _strategy():
    seen = []
    made = WirelessStrategy(
        experiment(clients=NODES), on_round=seen.append, min_available_nodes=NODES
    )
    return made, seen


def _outcome(done):
    arrays = done.folder.last_checkpoint(print).arrays
    return {name: done.series(name) for name in SERIES} | {
        f"state {name}": one for name, one in arrays.items()
    }


def _write(path, *arrays, **named):
    """All or nothing, as the file is waited for."""
    part = Path(f"{path}.part")
    with part.open("wb") as file:
        np.savez(file, *arrays, **named)
    os.replace(part, path)
