"""The cell in front of a Flower app, in this process: whole messages, no network."""

import logging
import re
from pathlib import Path

import numpy as np
import pytest

pytestmark = pytest.mark.extras
pytest.importorskip("flwr")

from flwr.app import (  # noqa: E402
    Array,
    ArrayRecord,
    ConfigRecord,
    Context,
    Message,
    MetricRecord,
    RecordDict,
)
from flwr.clientapp import ClientApp  # noqa: E402
from flwr.serverapp.strategy import FedAvg  # noqa: E402

from training.aggregation import weighted_mean_over_holders  # noqa: E402
from training.flower.client import pruning_mod  # noqa: E402
from training.flower.strategy import WirelessStrategy  # noqa: E402
from training.flower.vectors import flat, shaped  # noqa: E402
from wirelessfl.config.scenario_file import from_tables  # noqa: E402
from wirelessfl.errors import InputError  # noqa: E402
from wirelessfl.rounds.one_round import simulate_round  # noqa: E402
from wirelessfl.values import Backlog  # noqa: E402

CLIENTS, SHAPES = 4, ((40, 30), (30,))
SIZE = 40 * 30 + 30


def experiment(method="exact", **scenario):
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

    def __init__(self, made):
        from flwr.supercore.task_identity import TaskIdentity

        TaskIdentity.run_id, TaskIdentity.node_id, TaskIdentity.task_id = 1, 0, 1
        self.app = made
        self.sent = []
        self.contexts = {
            index + 1: Context(
                run_id=1,
                node_id=index + 1,
                node_config={"partition-id": index, "num-partitions": CLIENTS},
                state=RecordDict(),
                run_config={},
            )
            for index in range(CLIENTS)
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


def run(strategy, made, rounds=3):
    logging.getLogger("flwr").setLevel(logging.ERROR)
    grid = LocalGrid(made)
    return grid, strategy.start(
        grid=grid,
        initial_arrays=first_model(),
        num_rounds=rounds,
        train_config=ConfigRecord({"lr": 0.1}),
    )


def test_without_pruning_and_deadline_it_is_flowers_own_average():
    whole = experiment("min-latency", deadline_policy="wait")
    outcomes = []
    _, ours = run(WirelessStrategy(whole, on_round=outcomes.append), app(pruning_mod))
    _, theirs = run(FedAvg(min_available_nodes=CLIENTS), app())
    for one, other in zip(
        ours.arrays.to_numpy_ndarrays(), theirs.arrays.to_numpy_ndarrays(), strict=True
    ):
        assert np.allclose(one, other, rtol=1e-5, atol=1e-6)
    assert dict(ours.train_metrics_clientapp[3]) == pytest.approx(
        dict(theirs.train_metrics_clientapp[3])
    )
    assert [outcome.aggregated for outcome in outcomes] == [tuple(range(CLIENTS))] * 3
    strategy = WirelessStrategy(whole)
    clock_s = 0.0
    for index, outcome in enumerate(outcomes):
        demand = strategy._computed_demand(SIZE)
        _, _, timing = simulate_round(whole, demand, Backlog.none(CLIENTS), index)
        clock_s += timing.round_s
        assert outcome.clock_s == clock_s
        assert np.array_equal(outcome.latency_s, timing.finish_s)


def test_replies_are_pruned_to_the_ratio_and_averaged_over_holders():
    outcomes = []
    grid, result = run(
        WirelessStrategy(experiment(), on_round=outcomes.append), app(pruning_mod), rounds=1
    )
    (outcome,) = outcomes
    assert any((outcome.pruning_ratio > 0) & (outcome.pruning_ratio < 1))
    assert set(outcome.aggregated) == set(np.flatnonzero(outcome.pruning_ratio < 1))
    start = first_model().to_numpy_ndarrays()
    updates = []
    for client in outcome.aggregated:
        vector = flat(trained(start, client, 1))
        dropped = int(np.ceil(outcome.pruning_ratio[client] * SIZE))
        order = np.argsort(np.abs(vector - flat(start)), kind="stable")
        mask = np.ones(SIZE, dtype=bool)
        mask[order[:dropped]] = False
        updates.append((np.where(mask, vector, 0), mask, 10 + client))
    expected = shaped(weighted_mean_over_holders(flat(start), updates), start)
    for one, other in zip(result.arrays.to_numpy_ndarrays(), expected, strict=True):
        assert np.array_equal(one, other)
    for reply in grid.sent[0]:
        assert reply.content["mask"]["bits"].numpy().size == -(-SIZE // 8)


def test_late_updates_are_dropped_or_join_a_later_round():
    late = {"method": "equal-common", "deadline_s": 0.012}
    outcomes = []
    run(WirelessStrategy(experiment(**late), on_round=outcomes.append), app(pruning_mod))
    missing = [set(range(CLIENTS)) - set(outcome.aggregated) for outcome in outcomes]
    assert any(missing)
    assert all(
        outcome.aggregated == tuple(np.flatnonzero(outcome.delivery.on_time))
        for outcome in outcomes
    )
    outcomes.clear()
    later = experiment(**late, deadline_policy="late-next-round")
    run(WirelessStrategy(later, on_round=outcomes.append), app(pruning_mod), rounds=6)
    assert any(outcome.delivery.late.any() for outcome in outcomes)
    joined = [
        (outcome, client)
        for outcome in outcomes
        for client in np.flatnonzero(outcome.delivery.arrived_late)
    ]
    assert joined
    assert all(client in outcome.aggregated for outcome, client in joined)


def test_too_few_nodes_are_refused():
    with pytest.raises(
        InputError, match=r"scenario\.clients must be at most the number of nodes 4"
    ):
        run(WirelessStrategy(experiment(clients=5), min_available_nodes=2), app())


def test_the_lines_of_the_tutorial_make_an_app_wireless():
    page = Path(__file__).parents[2] / "docs" / "flower.md"
    names = {}
    for block in re.findall(r"^```py\n(.*?)^```", page.read_text(), re.S | re.M):
        exec(block, names)
    assert isinstance(names["strategy"], WirelessStrategy)
    assert names["strategy"].fraction_evaluate == 0.5
    assert isinstance(names["app"], ClientApp)
