"""Round loop: records, evaluations, allocation and summary of short runs."""

import dataclasses
import json

import numpy as np
import pytest
from helpers import plugin_folder
from helpers.small_run import contents, experiment, run

from channel_models.rayleigh import Rayleigh
from wirelessfl import plugins
from wirelessfl.allocation.allocation import Allocation
from wirelessfl.errors import InputError
from wirelessfl.experiment import RunSettings
from wirelessfl.no_training import NoTraining
from wirelessfl.planning import allocation_problem, check_feasible, participants, plan
from wirelessfl.records.run_folder import RunFolder
from wirelessfl.records.summary import summarise
from wirelessfl.rounds import run_rounds
from wirelessfl.values import ChannelState, Demand, Scenario


@pytest.fixture(autouse=True)
def _dummies(monkeypatch):
    plugin_folder.use(monkeypatch)


@pytest.fixture
def folder(tmp_path):
    return RunFolder.create(tmp_path / "run", "")


def test_a_run_records_every_round(folder):
    heard = []
    e = experiment(channel=Rayleigh())
    run(e, folder, on_round=heard.append)
    records = folder.records()
    assert [record.as_dict() for record in heard] == records
    assert [record["round"] for record in records] == list(range(1, 11))
    np.testing.assert_allclose(
        np.cumsum([record["round_s"] for record in records]), [r["clock_s"] for r in records]
    )
    for record in records:
        assert all(
            len(record[name]) == 4
            for name in ("pruning_ratio", "latency_s", "delivered", "flops", "energy_j")
        )
        assert max(record["latency_s"]) == pytest.approx(record["round_s"], rel=1e-12)


def test_accuracy_is_evaluated_when_due_and_in_the_last_round(folder):
    trainer = run(experiment(rounds=10, eval_every=4), folder)
    evaluated = [record["round"] for record in folder.records() if record["accuracy"] is not None]
    assert evaluated == trainer.evaluated == [4, 8, 10]


def test_rounds_file_is_strict_json_without_wall_clock(folder, tmp_path):
    run(experiment(), folder)
    for line in folder.rounds_file.read_text().splitlines():
        json.loads(line, parse_constant=pytest.fail)
    again = RunFolder.create(tmp_path / "again", "")
    run(experiment(), again)
    assert contents(again) == contents(folder)


def test_another_seed_is_another_run(folder, tmp_path):
    run(experiment(), folder)
    other = RunFolder.create(tmp_path / "other", "")
    run(experiment(seed=1), other)
    assert contents(other)[0] != contents(folder)[0]


def test_drop_leaves_late_updates_out_and_wait_does_not(tmp_path):
    """At 5.5 ms the second client's CPU is too slow for the fixed work."""
    for policy, expected in (("wait", [True, True]), ("drop", [True, False])):
        scenario = Scenario(
            clients=2, cpu_hz=(3e9, 2.5e9), deadline_s=0.0055, deadline_policy=policy
        )
        folder = RunFolder.create(tmp_path / policy, "")
        trainer = run(experiment(rounds=2, scenario=scenario), folder)
        assert [used.tolist() for _, used in trainer.seen] == [expected, expected]
        assert [record["delivered"] for record in folder.records()] == [[True, False]] * 2
        slowest_s = max(folder.records()[0]["latency_s"])
        assert folder.records()[0]["round_s"] == (slowest_s if policy == "wait" else 0.0055)


def test_two_allocators_see_the_same_channel(folder):
    demand = plugins.load("algorithms", "counting")().demand(4)
    other = plugins.load("allocators", "even")(share=0.5)
    for round in range(3):
        one = plan(experiment(channel=Rayleigh()), demand, round)
        two = plan(
            experiment(channel=Rayleigh(), allocator=other, max_pruning_ratio=0.9), demand, round
        )
        np.testing.assert_array_equal(one.channel.gain, two.channel.gain)
        assert not np.array_equal(one.allocation.pruning_ratio, two.allocation.pruning_ratio)
    assert not np.array_equal(
        one.channel.gain, plan(experiment(channel=Rayleigh()), demand, 0).channel.gain
    )


def test_the_problem_is_scenario_channel_and_demand_in_seconds_and_bits():
    """Times of the reference notes, section 1.6, and the anchor A_k of the mean channel.

    T_v + T_hat = 5.155 ms, T_c = 9.936 ms, 529,920 bits.
    """
    static = plugins.load("channels", "static")()
    demand = plugins.load("algorithms", "counting")().demand(10)
    problem = plan(
        experiment(scenario=Scenario(), channel=static, max_pruning_ratio=0.95), demand
    ).problem
    np.testing.assert_allclose(problem.fixed_s, 3.168e-3 + 1.9872e-3)
    np.testing.assert_allclose(problem.prunable_s, 9.936e-3)
    np.testing.assert_array_equal(problem.upload_bits, 32 * 16_560)
    np.testing.assert_array_equal(problem.max_pruning_ratio, 0.95)
    assert problem.bandwidth_hz == 20e6
    anchor_ms = [2.45, 2.76, 3.08, 3.40, 3.75, 4.11, 4.50, 4.91, 5.36, 5.85]
    np.testing.assert_allclose(1e3 * problem.upload_s, anchor_ms, atol=0.0051)


def test_the_server_plans_with_the_channel_it_believes_in():
    demand = plugins.load("algorithms", "counting")().demand(4)
    gain = np.full(4, 1e-12)
    wrong = allocation_problem(
        Scenario(clients=4), ChannelState(gain=gain, believed_gain=2 * gain), demand
    )
    truth = allocation_problem(Scenario(clients=4), ChannelState.perfect_csi(2 * gain), demand)
    np.testing.assert_array_equal(wrong.rate_bps, truth.rate_bps)


def test_a_deadline_that_nobody_can_meet():
    demand = plugins.load("algorithms", "counting")().demand(4)
    check_feasible(experiment(scenario=Scenario(clients=4, deadline_s=0.00516)), demand)
    check_feasible(
        experiment(scenario=Scenario(clients=4, deadline_s=0.004, cpu_hz=(1e9, 1e9, 1e9, 4e9))),
        demand,
    )
    with pytest.raises(
        InputError,
        match=r"^scenario.deadline_s must be above 0.0051552, .* got 0.005: no client can",
    ):
        check_feasible(experiment(scenario=Scenario(clients=4, deadline_s=0.005)), demand)


class Nobody:
    """An allocator that gives no band and prunes nothing."""

    def solve(self, problem):
        zeros = np.zeros(problem.shape)
        return Allocation(
            problem=problem,
            bandwidth_fraction=zeros,
            pruning_ratio=zeros,
            bandwidth_price=zeros[..., 0],
            deadline_price=zeros[..., 0],
        )


@pytest.mark.parametrize("policy", ["wait", "drop"])
def test_a_client_that_never_finishes_is_one_line(folder, policy):
    scenario = Scenario(clients=4, deadline_policy=policy)
    with pytest.raises(
        InputError,
        match=r"^round 1: client 0 never finishes, it has bits to upload and no band or r",
    ):
        run(experiment(allocator=Nobody(), scenario=scenario), folder)
    assert folder.records() == []


def test_a_client_without_a_band_goes_on_owing_where_it_may(folder):
    scenario = Scenario(clients=4, deadline_policy="late-next-round")
    run(experiment(allocator=Nobody(), scenario=scenario, rounds=2), folder)
    for record in folder.records():
        assert record["latency_s"] == [None] * 4
        assert not any(record["delivered"])
        assert record["round_s"] == scenario.deadline_s


def test_without_training_only_the_network_runs(folder):
    demand = Demand.same_for_all(
        4,
        fixed_updates=1e4,
        prunable_updates=1e4,
        fixed_upload_bits=0,
        prunable_upload_bits=3e5,
        fixed_download_bits=1e3,
        prunable_download_bits=2e5,
    )
    run_rounds(experiment(train=False), NoTraining(demand), folder)
    records = folder.records()
    assert all(record["loss"] is None and record["accuracy"] is None for record in records)
    for record in records:
        kept = 1 - np.array(record["pruning_ratio"])
        np.testing.assert_allclose(record["uplink_bits"], 3e5 * kept)
        np.testing.assert_allclose(record["downlink_bits"], 1e3 + 2e5 * kept)
    assert json.loads(folder.summary_file.read_text())["final_accuracy"] is None


def test_summary_by_hand():
    common = {
        "bandwidth_fraction": [0.5, 0.5],
        "downlink_bits": [1, 1],
        "flops": [5, 5],
        "energy_j": [0.25, 0.25],
    }
    common |= {"lost": [False, True]}
    common |= {"retransmissions": [1, 0], "band_utilisation": 0.5}
    records = [
        {
            "round_s": 0.02,
            "clock_s": 0.02,
            "loss": 2.0,
            "accuracy": 0.7,
            "pruning_ratio": [0.5, 1.0],
            **common,
        }
        | {"latency_s": [0.02, 0.01], "delivered": [True, True], "uplink_bits": [10, 0]},
        {
            "round_s": 0.04,
            "clock_s": 0.06,
            "loss": 1.0,
            "accuracy": 0.6,
            "pruning_ratio": [0.0, 0.1],
            **common,
        }
        | {"latency_s": [0.04, 0.01], "delivered": [False, True], "uplink_bits": [20, 20]},
        {
            "round_s": 0.03,
            "clock_s": 0.09,
            "loss": 0.5,
            "accuracy": None,
            "pruning_ratio": [1.0, 1.0],
            **common,
        }
        | {"latency_s": [0.03, None], "delivered": [False, False], "uplink_bits": [0, 0]},
    ]
    assert summarise(records) == pytest.approx(
        {
            "rounds": 3,
            "clock_s": 0.09,
            "final_loss": 0.5,
            "final_accuracy": 0.6,
            "best_accuracy": 0.7,
            "mean_round_s": 0.03,
            "max_latency_s": 0.04,
            "mean_pruning_ratio": 0.6,
            "starved_per_round": 1.0,
            "late_per_round": 1.0,
            "miss_rate": 0.5,
            "lost_per_round": 1.0,
            "retransmissions": 3,
            "band_utilisation": 0.5,
            "uplink_bits": 50,
            "downlink_bits": 6,
            "flops": 30,
            "energy_j": 1.5,
        }
    )


@pytest.mark.parametrize("name", ["rounds", "eval_every", "checkpoint_every"])
def test_settings_of_at_least_one(name):
    with pytest.raises(
        InputError, match=rf"^run.{name} must be a whole number of at least 1, got 0$"
    ):
        RunSettings(**{name: 0})


@pytest.mark.parametrize("name", ["seed", "workers"])
def test_settings_of_at_least_zero(name):
    with pytest.raises(
        InputError, match=rf"^run.{name} must be a whole number of at least 0, got -1$"
    ):
        RunSettings(**{name: -1})


@pytest.mark.parametrize(
    ("cap", "limit"), [(-0.1, "at least 0"), (1.1, "at most 1"), (np.nan, "finite")]
)
def test_the_cap_is_a_ratio(cap, limit):
    with pytest.raises(
        InputError, match=rf"^allocation.max_pruning_ratio must be {limit}, got {cap:g}$"
    ):
        experiment(max_pruning_ratio=cap)


def test_only_the_participants_of_a_round_get_a_band_and_are_recorded(folder):
    run(experiment(rounds=12, participants=2, channel=Rayleigh()), folder)
    records = folder.records()
    assert all(len(record["clients"]) == 2 for record in records)
    assert {client for record in records for client in record["clients"]} == {0, 1, 2, 3}
    for record in records:
        assert sum(record["bandwidth_fraction"]) == pytest.approx(1.0)
        assert all(bits > 0 for bits in record["uplink_bits"])
        assert all(
            name == "extra" or not isinstance(row, list) or len(row) == 2
            for name, row in record.items()
        )


def test_two_participants_are_allocated_like_a_cell_of_two():
    few = experiment(rounds=3, participants=2, channel=Rayleigh())
    demand = plugins.load("algorithms", "counting")().demand(4)
    participates = participants(few, 1)
    planned = plan(few, demand.restricted_to(participates), 1, participates)
    reference = few.allocator.solve(
        dataclasses.replace(
            planned.problem,
            **{
                field.name: np.asarray(getattr(planned.problem, field.name))[participates]
                for field in dataclasses.fields(planned.problem)
                if field.name not in ("bandwidth_hz", "costs")
            },
        )
    )
    np.testing.assert_array_equal(
        planned.allocation.bandwidth_fraction[participates], reference.bandwidth_fraction
    )
    np.testing.assert_array_equal(
        planned.allocation.pruning_ratio[participates], reference.pruning_ratio
    )
    assert not planned.allocation.bandwidth_fraction[~participates].any()
    assert not planned.allocation.latency_s[~participates].any()


def test_more_participants_than_clients_are_refused():
    with pytest.raises(
        InputError, match=r"^run.participants must be at most 4 \(scenario.clients\), got 5$"
    ):
        experiment(participants=5)
