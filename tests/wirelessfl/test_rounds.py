import itertools
import json
import os
from pathlib import Path

import numpy as np
import pytest
from helpers import plugin_folder

from channel_models.rayleigh import Rayleigh
from wirelessfl import plugins, rounds
from wirelessfl.allocation import Allocation
from wirelessfl.errors import InputError
from wirelessfl.protocols import Runtime
from wirelessfl.records import RunFolder
from wirelessfl.rounds import NoTraining, RunSettings, check_feasible, plan, run_rounds, summarise
from wirelessfl.values import Demand, Scenario


@pytest.fixture(autouse=True)
def _dummies(monkeypatch):
    plugin_folder.use(monkeypatch)


def experiment(rounds=10, **changes):
    return plugin_folder.experiment(rounds=rounds, **{"eval_every": 4, "checkpoint_every": 3, **changes})


def trainer_of(experiment):
    clients, seed = experiment.scenario.clients, experiment.run.seed
    return experiment.algorithm.trainer(clients=clients, seed=seed, runtime=Runtime())


def run(experiment, folder, **listeners):
    trainer = trainer_of(experiment)
    run_rounds(experiment, trainer, folder, **{"notify": pytest.fail, **listeners})
    return trainer


@pytest.fixture
def folder(tmp_path):
    return RunFolder.create(tmp_path / "run", "")


@pytest.fixture
def whole(tmp_path):
    """The bytes of the uninterrupted run of ten rounds: its rounds and its summary."""
    folder = RunFolder.create(tmp_path / "whole", "")
    run(experiment(), folder)
    return contents(folder)


def contents(folder):
    return folder.rounds_file.read_bytes(), folder.summary_file.read_bytes()


class Killed(BaseException):
    """Stands for a kill: nothing catches it."""


# one run


def test_a_run_records_every_round(folder):
    heard = []
    e = experiment(channel=Rayleigh())
    run(e, folder, on_round=heard.append)
    records = folder.records()
    assert [record.as_dict() for record in heard] == records
    assert [record["round"] for record in records] == list(range(1, 11))
    np.testing.assert_allclose(np.cumsum([record["round_s"] for record in records]), [r["clock_s"] for r in records])
    for record in records:
        assert all(len(record[name]) == 4 for name in ("pruning_ratio", "latency_s", "delivered", "flops", "energy_j"))
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


def test_another_seed_is_another_run(folder, whole):
    run(experiment(seed=1), folder)
    assert contents(folder)[0] != whole[0]


def test_drop_leaves_late_updates_out_and_wait_does_not(tmp_path):
    """At 5.5 ms the second client's CPU is too slow for the fixed work."""
    for policy, expected in (("wait", [True, True]), ("drop", [True, False])):
        scenario = Scenario(clients=2, cpu_hz=(3e9, 2.5e9), deadline_s=0.0055, deadline_policy=policy)
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
        two = plan(experiment(channel=Rayleigh(), allocator=other, max_pruning_ratio=0.9), demand, round)
        np.testing.assert_array_equal(one.channel.gain, two.channel.gain)
        assert not np.array_equal(one.allocation.pruning_ratio, two.allocation.pruning_ratio)
    assert not np.array_equal(one.channel.gain, plan(experiment(channel=Rayleigh()), demand, 0).channel.gain)


def test_the_problem_is_scenario_channel_and_demand_in_seconds_and_bits():
    """NOTES 1.6: T_v + T_hat = 5.155 ms, T_c = 9.936 ms, 529,920 bits; the anchor A_k of the mean channel."""
    static = plugins.load("channels", "static")()
    demand = plugins.load("algorithms", "counting")().demand(10)
    problem = plan(experiment(scenario=Scenario(), channel=static, max_pruning_ratio=0.95), demand).problem
    np.testing.assert_allclose(problem.fixed_s, 3.168e-3 + 1.9872e-3)
    np.testing.assert_allclose(problem.prunable_s, 9.936e-3)
    np.testing.assert_array_equal(problem.upload_bits, 32 * 16_560)
    np.testing.assert_array_equal(problem.max_pruning_ratio, 0.95)
    assert problem.bandwidth_hz == 20e6
    anchor_ms = [2.45, 2.76, 3.08, 3.40, 3.75, 4.11, 4.50, 4.91, 5.36, 5.85]
    np.testing.assert_allclose(1e3 * problem.upload_s, anchor_ms, atol=0.0051)


def test_a_deadline_that_nobody_can_meet():
    demand = plugins.load("algorithms", "counting")().demand(4)
    check_feasible(experiment(scenario=Scenario(clients=4, deadline_s=0.00516)), demand)
    check_feasible(experiment(scenario=Scenario(clients=4, deadline_s=0.004, cpu_hz=(1e9, 1e9, 1e9, 4e9))), demand)
    with pytest.raises(InputError, match=r"^scenario.deadline_s must be above 0.0051552, .* got 0.005: no client can"):
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
    with pytest.raises(InputError, match=r"^round 1: client 0 never finishes, it has bits to upload and no band or r"):
        run(experiment(allocator=Nobody(), scenario=scenario), folder)
    assert folder.records() == []


def test_without_training_only_the_network_runs(folder):
    demand = Demand.same_for_all(
        4, fixed_updates=1e4, prunable_updates=1e4, fixed_upload_bits=0, prunable_upload_bits=3e5
    )
    run_rounds(experiment(train=False), NoTraining(demand), folder)
    records = folder.records()
    assert all(record["loss"] is None and record["accuracy"] is None for record in records)
    for record in records:
        np.testing.assert_allclose(record["uplink_bits"], 3e5 * (1 - np.array(record["pruning_ratio"])))
    assert json.loads(folder.summary_file.read_text())["final_accuracy"] is None


# interrupted runs


@pytest.mark.parametrize("first", range(1, 10))
def test_ten_rounds_are_five_and_five_more(folder, whole, first):
    """Made longer, the run is the one that was long from the start: also its evaluations."""
    run(experiment(rounds=first), folder)
    assert [record["accuracy"] for record in folder.records()][-1] is not None
    trainer = run(experiment(rounds=10), folder)
    assert contents(folder) == whole
    assert len(trainer.seen) == 10 - first


def test_a_run_is_made_longer_twice(folder, whole):
    for length in (2, 7, 10):
        run(experiment(rounds=length), folder)
    assert contents(folder) == whole


def test_a_complete_run_stays_as_it_is(folder, whole):
    run(experiment(), folder)
    trainer = run(experiment(), folder)
    assert contents(folder) == whole
    assert trainer.seen == []


def test_a_run_cannot_be_made_shorter(folder, whole):
    run(experiment(), folder)
    with pytest.raises(InputError, match=r"^run.rounds must be at least 10, the rounds already done, got 9$"):
        run(experiment(rounds=9), folder)
    assert contents(folder) == whole


@pytest.mark.parametrize("last", range(1, 11))
def test_killed_after_a_round(folder, whole, last):
    def kill(record):
        if record.round == last:
            raise Killed

    with pytest.raises(Killed):
        run(experiment(), folder, on_round=kill)
    run(experiment(), folder)
    assert contents(folder) == whole


STAGES = {
    "a file is flushed": (os, "fsync"),
    "a file is renamed": (os, "replace"),
    "a checkpoint is packed": (np, "savez"),
    "a record is made": (rounds, "_record"),
    "an old checkpoint is removed": (Path, "unlink"),
}


@pytest.mark.parametrize("stage", STAGES)
def test_killed_at_every_stage(tmp_path, whole, monkeypatch, stage):
    """Killed at the n-th call of a stage, for every n that occurs, then resumed."""
    for calls in itertools.count():
        folder = RunFolder.create(tmp_path / f"killed-{calls}", "")
        if not _killed(monkeypatch, *STAGES[stage], calls, folder):
            break
        run(experiment(), folder)
        assert contents(folder) == whole
    assert calls >= 2
    assert contents(folder) == whole


def _killed(monkeypatch, owner, name, calls, folder):
    """Run with `owner.name` killing at its call number `calls`; whether the run came so far."""
    original, count = getattr(owner, name), itertools.count()

    def kill_at_last(*args, **kwargs):
        if next(count) == calls:
            raise Killed
        return original(*args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(owner, name, kill_at_last)
        try:
            run(experiment(), folder)
        except Killed:
            return True
    return False


@pytest.mark.parametrize("last", [1, 3, 4, 10])
def test_killed_while_a_line_is_written(folder, whole, monkeypatch, last):
    def tear(self, record):
        line = json.dumps(record.as_dict()) + "\n"
        with self.rounds_file.open("a") as file:
            file.write(line if record.round < last else line[: len(line) // 2])
        if record.round == last:
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(RunFolder, "append", tear)
        with pytest.raises(Killed):
            run(experiment(), folder)
    assert not folder.rounds_file.read_bytes().endswith(b"\n")
    run(experiment(), folder)
    assert contents(folder) == whole


def test_left_over_temporary_files_do_no_harm(folder, whole):
    run(experiment(rounds=5), folder)
    for name in (".checkpoint-000006.npz", ".checkpoint-000010.npz", ".rounds.jsonl", ".summary.json"):
        (folder.path / name).write_bytes(b"half of a fi")
    run(experiment(), folder)
    assert contents(folder) == whole


@pytest.mark.parametrize("damage", ["missing", "empty", "truncated", "garbage"])
def test_a_damaged_newest_checkpoint_is_named_and_the_one_before_it_used(folder, whole, damage):
    run(experiment(rounds=7), folder)
    newest = folder.path / "checkpoint-000007.npz"
    good = newest.read_bytes()
    newest.write_bytes({"truncated": good[:-40], "garbage": b"\x80\x04K\x01." + good}.get(damage, b""))
    if damage == "missing":
        newest.unlink()
    lines = []
    trainer = run(experiment(), folder, notify=lines.append)
    assert contents(folder) == whole
    assert len(trainer.seen) == 4  # from round 6
    assert [str(newest) in line and line.endswith("the one before it is used") for line in lines] == (
        [] if damage == "missing" else [True]
    )


def test_without_a_good_checkpoint_the_run_starts_over(folder, whole):
    run(experiment(rounds=7), folder)
    for file in folder.path.glob("checkpoint-*.npz"):
        file.write_bytes(b"")
    lines = []
    trainer = run(experiment(), folder, notify=lines.append)
    assert (len(trainer.seen), len(lines)) == (10, 2)
    assert lines[-1].endswith("the run starts over")
    assert contents(folder) == whole


def test_rounds_lost_below_the_checkpoint_are_an_error(folder):
    run(experiment(rounds=7), folder)
    folder.keep_rounds(5)
    with pytest.raises(InputError, match=r"rounds.jsonl holds 5 rounds, its checkpoint 7: the folder is damaged$"):
        run(experiment(), folder)


def test_a_summary_of_an_unfinished_run_does_not_survive(folder):
    run(experiment(rounds=5), folder)

    def kill(record):
        raise Killed

    with pytest.raises(Killed):
        run(experiment(rounds=10), folder, on_round=kill)
    assert not folder.summary_file.exists()


# summary and settings


def test_summary_by_hand():
    common = {"bandwidth_fraction": [0.5, 0.5], "downlink_bits": [1, 1], "flops": [5, 5], "energy_j": [0.25, 0.25]}
    records = [
        {"round_s": 0.02, "clock_s": 0.02, "loss": 2.0, "accuracy": 0.7, "pruning_ratio": [0.5, 1.0], **common}
        | {"latency_s": [0.02, 0.01], "delivered": [True, True], "uplink_bits": [10, 0]},
        {"round_s": 0.04, "clock_s": 0.06, "loss": 1.0, "accuracy": 0.6, "pruning_ratio": [0.0, 0.1], **common}
        | {"latency_s": [0.04, 0.01], "delivered": [False, True], "uplink_bits": [20, 20]},
        {"round_s": 0.03, "clock_s": 0.09, "loss": 0.5, "accuracy": None, "pruning_ratio": [1.0, 1.0], **common}
        | {"latency_s": [0.03, 0.03], "delivered": [False, False], "uplink_bits": [0, 0]},
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
            "uplink_bits": 50,
            "downlink_bits": 6,
            "flops": 30,
            "energy_j": 1.5,
        }
    )


@pytest.mark.parametrize("name", ["rounds", "eval_every", "checkpoint_every"])
def test_settings_of_at_least_one(name):
    with pytest.raises(InputError, match=rf"^run.{name} must be at least 1, got 0$"):
        RunSettings(**{name: 0})


@pytest.mark.parametrize("name", ["seed", "workers"])
def test_settings_of_at_least_zero(name):
    with pytest.raises(InputError, match=rf"^run.{name} must be at least 0, got -1$"):
        RunSettings(**{name: -1})


@pytest.mark.parametrize(("cap", "limit"), [(-0.1, "at least 0"), (1.1, "at most 1"), (np.nan, "finite")])
def test_the_cap_is_a_ratio(cap, limit):
    with pytest.raises(InputError, match=rf"^allocation.max_pruning_ratio must be {limit}, got {cap:g}$"):
        experiment(max_pruning_ratio=cap)
