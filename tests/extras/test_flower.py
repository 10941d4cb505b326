"""The cell in front of a Flower app, in this process: whole messages, no network."""

import re
from pathlib import Path

import numpy as np
import pytest

pytestmark = pytest.mark.extras
pytest.importorskip("flwr")

from flwr.clientapp import ClientApp  # noqa: E402
from flwr.serverapp.strategy import FedAvg  # noqa: E402
from helpers.flower_app import (  # noqa: E402
    CLIENTS,
    SIZE,
    app,
    experiment,
    first_model,
    run,
    trained,
)

from training.aggregation import weighted_mean_over_holders  # noqa: E402
from training.flower.client import pruning_mod  # noqa: E402
from training.flower.strategy import WirelessStrategy  # noqa: E402
from training.flower.vectors import flat, shaped  # noqa: E402
from wirelessfl.errors import InputError  # noqa: E402
from wirelessfl.rounds.one_round import simulate_round  # noqa: E402
from wirelessfl.values import Backlog  # noqa: E402


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
