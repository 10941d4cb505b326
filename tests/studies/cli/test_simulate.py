"""`wirelessfl simulate`: its numbers against the records of a run, figures and error messages."""

import json
import math

import numpy as np
import pytest
from helpers.cli import call

from studies.views.simulation.simulation import distribution, rate_interval, simulate, summary
from wirelessfl.config.scenario_file import from_tables
from wirelessfl.scenario.scenario import DEADLINE_POLICIES

MISSES = ("--set", "channel.csi=mean", "--rounds", 12, "--seed", 3)


@pytest.fixture
def wirelessfl(capsys, monkeypatch, tmp_path):
    """`wirelessfl ARGUMENTS` in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: call(capsys, monkeypatch, *arguments)


@pytest.mark.parametrize("policy", DEADLINE_POLICIES)
def test_the_numbers_are_those_of_a_run_without_training(wirelessfl, tmp_path, policy):
    changes = (*MISSES, "--set", f"scenario.deadline_policy={policy}")
    found = wirelessfl("simulate", *changes, "--json").json()
    assert list(tmp_path.iterdir()) == []
    assert wirelessfl("run", *changes, "--set", "run.train=false", "--out", "r").status == 0
    run = json.loads((tmp_path / "r/summary.json").read_text())
    records = [json.loads(line) for line in (tmp_path / "r/rounds.jsonl").read_text().splitlines()]
    for name in (
        "rounds",
        "clock_s",
        "mean_round_s",
        "miss_rate",
        "mean_pruning_ratio",
        "band_utilisation",
    ):
        assert found[name] == pytest.approx(run[name], rel=1e-12), name
    assert found["energy_per_round_j"] == pytest.approx(run["energy_j"] / 12)
    assert found["latency_s"]["max"] == pytest.approx(run["max_latency_s"])
    for field in ("latency_s", "planned_s"):
        values = np.array([record[field] for record in records])
        assert found[field]["percentile_95"] == pytest.approx(np.percentile(values, 95))
        assert [client[field]["mean"] for client in found["per_client"]] == pytest.approx(
            values.mean(axis=0)
        )
    assert found["planned_s"]["max"] < 0.0251 < found["latency_s"]["max"]
    low, high = found["miss_rate_interval"]
    assert 0.0 < low < found["miss_rate"] < high < 1.0


def test_what_was_lost_is_no_latency():
    tables = {"scenario": {"dropout_probability": 0.5}, "run": {"rounds": 10}}
    found = simulate(from_tables(tables))
    facts = summary(found)
    assert 0 < found.lost.sum() < found.lost.size
    assert facts["lost_per_round"] == found.lost.sum() / 10
    assert facts["latency_s"]["max"] == np.nanmax(found.columns["latency_s"])
    # With a known channel no update is late without being lost.
    assert facts["miss_rate"] == pytest.approx(found.lost.mean())
    assert sum(client["lost"] for client in facts["per_client"]) == found.lost.sum()
    json.dumps(facts, allow_nan=False)


def test_a_client_that_is_always_lost_is_none(wirelessfl):
    everything = ("simulate", "--rounds", 2, "--set", "scenario.dropout_probability=1")
    found = wirelessfl(*everything, "--json").json()
    assert found["latency_s"]["mean"] is None
    assert found["miss_rate"] == 1.0
    assert "none" in wirelessfl(*everything).out


def test_distribution_by_hand():
    found = distribution(np.array([[1.0, 2.0], [3.0, math.nan]]))
    assert (found["mean"], found["percentile_50"], found["max"]) == (2.0, 2.0, 3.0)


def test_the_interval_of_independent_trials_is_wilsons():
    happened = np.zeros((10, 10), dtype=bool)
    happened[np.arange(10), np.arange(10)] = (
        True  # one in every round: no more spread than independent trials
    )
    rate, low, high = rate_interval(happened)
    assert (rate, low, high) == pytest.approx((0.1, 0.05523, 0.17437), abs=1e-5)
    assert rate_interval(np.zeros((10, 10), dtype=bool)) == pytest.approx(
        (0.0, 0.0, 0.03699), abs=1e-5
    )


def test_the_interval_of_rounds_that_miss_together_is_that_of_the_rounds():
    draws = np.random.default_rng(0).random(200) < 0.3
    _, low, high = rate_interval(np.repeat(draws[:, None], 50, axis=1))
    _, low_of_rounds, high_of_rounds = rate_interval(draws[:, None])
    assert (low, high) == pytest.approx((low_of_rounds, high_of_rounds), abs=2e-3)


def test_the_interval_covers_the_truth():
    rng = np.random.default_rng(1)
    intervals = [rate_interval(rng.random((40, 5)) < 0.2) for _ in range(300)]
    assert np.mean([low <= 0.2 <= high for _, low, high in intervals]) > 0.9


def test_tables(wirelessfl):
    printed = wirelessfl("simulate", *MISSES).out
    for words in (
        "believed",
        "actual",
        "client-rounds that missed",
        "per client",
        "simulated time",
    ):
        assert words in printed
    assert "per client:" not in wirelessfl("simulate", *MISSES, "--set", "scenario.clients=21").out


@pytest.mark.parametrize(
    ("file", "start"), [("a.png", b"\x89PNG"), ("a.pdf", b"%PDF"), ("a.svg", b"<?xml")]
)
def test_the_picture_is_the_only_file(wirelessfl, tmp_path, file, start):
    assert wirelessfl("simulate", "--rounds", 3, "--timeline", file, "--round", 2).status == 0
    assert (tmp_path / file).read_bytes().startswith(start)
    assert [path.name for path in tmp_path.iterdir()] == [file]


def test_the_round_that_is_kept_is_the_one_of_the_simulation():
    tables = {
        "channel": {"csi": "mean"},
        "scenario": {"deadline_policy": "late-next-round", "packet_error": "waterfall"},
        "run": {"rounds": 5, "seed": 2},
    }
    found = simulate(from_tables(tables), seen=4)
    latency_s = np.where(found.seen.timing.lost, np.nan, found.seen.timing.finish_s)
    np.testing.assert_array_equal(latency_s, found.columns["latency_s"][3])
    np.testing.assert_array_equal(
        found.seen.timing.retransmissions, found.columns["retransmissions"][3]
    )


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--timeline", "a.txt"], ["--timeline", ".png", "a.txt"]),
        (["--timeline", "nowhere/a.png"], ["--timeline", "nowhere"]),
        (["--timeline", "a.png", "--rounds", 3, "--round", 4], ["--round", "3", "4"]),
        (["--timeline", "a.png", "--round", 0], ["--round", "1", "0"]),
        (["--round", 2], ["--round", "--timeline"]),
        (["--rounds", 0], ["run.rounds", "0"]),
        (
            ["--set", "scenario.deadline_s=0.001", "--timeline", "a.png"],
            ["scenario.deadline_s", "0.001"],
        ),
        (["--set", "scenario.deadline_policy=late"], ["scenario.deadline_policy", "late"]),
        (["nothing-like-it"], ["SCENARIO", "nothing-like-it"]),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(wirelessfl, tmp_path, options, words):
    ended = wirelessfl("simulate", *options)
    assert ended.status == 2
    assert ended.out == ""
    assert len(ended.err.splitlines()) == 1, ended.err
    for word in words:
        assert word in ended.err
    assert list(tmp_path.iterdir()) == []


DENSE = (
    *(
        "--set",
        "run.participants=10",
        "--set",
        "scenario.distance_m=150",
        "--set",
        "scenario.bandwidth_hz=20e6",
    ),
    *("--set", "channel.model=static", "--set", "channel.path_loss=tr38901-umi"),
    *("--set", "channel.line_of_sight=false", "--set", "channel.antennas=1"),
)


def test_clients_that_sit_out_change_neither_ratio_nor_energy(wirelessfl):
    """Ten participants of 10 and of 100 equal clients under open-loop power: one cell."""
    of_10, of_100 = (
        wirelessfl(
            "simulate",
            "physical",
            "--rounds",
            3,
            "--set",
            f"scenario.clients={clients}",
            *DENSE,
            "--json",
        ).json()
        for clients in (10, 100)
    )
    assert of_10["mean_pruning_ratio"] == of_100["mean_pruning_ratio"] == 0.0
    for name in (
        "energy_per_round_j",
        "mean_round_s",
        "band_utilisation",
        "miss_rate",
        "latency_s",
    ):
        assert of_10[name] == pytest.approx(of_100[name], rel=1e-12), name


def test_the_energy_of_a_participant_is_that_of_a_round_over_the_participants(wirelessfl):
    arguments = ("simulate", "physical", "--rounds", 2, "--set", "scenario.clients=40", *DENSE)
    energy_j = wirelessfl(*arguments, "--json").json()["energy_per_round_j"]
    printed = " ".join(wirelessfl(*arguments).out.split())
    assert f"energy per client and round {energy_j / 10:.4g} J" in printed


def test_a_dropped_upload_that_never_ends_has_an_energy(wirelessfl):
    """A client at rate 0 transmits nothing, and the round still ends at the deadline."""
    cqi = ("rate_model=cqi", "deadline_policy=drop")
    settings = [text for name in cqi for text in ("--set", f"scenario.{name}")]
    rounds = ("--rounds", 20, "--set", "channel.csi=mean", "--set", "channel.antennas=1")
    found = wirelessfl("simulate", "digits", *rounds, *settings, "--json").json()
    most_w = 0.6309573444801932 + 1e-28 * (3e9) ** 3
    assert 0.0 < found["energy_per_round_j"] <= most_w * 10 * found["mean_round_s"]
    assert any(
        client["latency_s"]["max"] is None or client["miss_rate"] > 0
        for client in found["per_client"]
    )
