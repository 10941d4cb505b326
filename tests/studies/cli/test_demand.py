"""Real payloads from the command line.

Covers mask bits, a downlink that takes time, whole blocks and other objectives.
"""

import json

import numpy as np
import pytest
from helpers.cli import call

DEADLINE_S = 0.025


@pytest.fixture
def wirelessfl(capsys, monkeypatch, tmp_path):
    """`wirelessfl ARGUMENTS` in an empty folder, without data sets."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("WIRELESSFL_DATA", raising=False)
    return lambda *arguments: call(capsys, monkeypatch, *arguments)


def records(folder):
    return [json.loads(line) for line in (folder / "rounds.jsonl").read_text().splitlines()]


def column(lines, name):
    return np.array([line[name] for line in lines])


def test_mask_bits_are_counted_sent_and_on_time(wirelessfl, tmp_path):
    assert wirelessfl("run", "--rounds", 3, "--out", "plain").status == 0
    assert (
        wirelessfl(
            "run", "--rounds", 3, "--set", "training.count_mask_bits=true", "--out", "mask"
        ).status
        == 0
    )
    plain = records(tmp_path / "plain")
    mask = records(tmp_path / "mask")
    uploads = column(mask, "pruning_ratio") < 1
    assert uploads.any()
    assert column(mask, "latency_s").max() <= DEADLINE_S * (1 + 1e-9)
    assert column(mask, "delivered").all()
    assert (
        column(mask, "pruning_ratio").mean() > column(plain, "pruning_ratio").mean()
    )  # the mask takes band
    weights = np.array(
        [round(bits / 32) for bits in column(plain, "downlink_bits").ravel()]
    ).reshape(uploads.shape)
    over_weights = (
        column(mask, "uplink_bits") - weights
    )  # beyond the bitmap there are whole weights only
    assert np.all((over_weights % 32 == 0)[uploads & (column(mask, "uplink_bits") > 0)])


def test_a_downlink_takes_time_from_pruning_and_nothing_else(wirelessfl, tmp_path):
    quick = ("run", "--rounds", 3, "--set", "run.train=false", "--out")
    assert wirelessfl(*quick, "free").status == 0
    assert wirelessfl(*quick, "fast", "--set", "scenario.downlink_rate_bps=1e30").status == 0
    assert wirelessfl(*quick, "slow", "--set", "scenario.downlink_rate_bps=60e6").status == 0
    free, fast, slow = (records(tmp_path / name) for name in ("free", "fast", "slow"))
    np.testing.assert_allclose(
        column(fast, "pruning_ratio"), column(free, "pruning_ratio"), rtol=1e-12
    )
    assert column(slow, "pruning_ratio").mean() > column(free, "pruning_ratio").mean() + 0.01
    assert column(slow, "latency_s").max() <= DEADLINE_S * (1 + 1e-9)
    assert "downlink_rate_bps" not in (tmp_path / "free" / "experiment.toml").read_text()
    assert "downlink_rate_bps = 60000000.0" in (tmp_path / "slow" / "experiment.toml").read_text()


def test_a_downlink_that_nobody_can_wait_for_is_one_line(wirelessfl):
    ended = wirelessfl("run", "--rounds", 1, "--set", "scenario.downlink_rate_bps=1e6")
    assert (ended.status, ended.out) == (2, "")
    assert "scenario.deadline_s must be above" in ended.err
    assert len(ended.err.splitlines()) == 1


@pytest.mark.parametrize(
    "setting", ["training.count_mask_bits=true", "scenario.noise_psd_w_per_hz=5e-21"]
)
@pytest.mark.parametrize(
    "method", ["max-min", "proportional-fairness", "resource-blocks", "select"]
)
def test_every_method_has_its_name_on_the_command_line(wirelessfl, method, setting):
    ended = wirelessfl("allocate", "--method", method, "--set", setting, "--json")
    assert ended.status == 0, ended.err
    answer = json.loads(ended.out)
    assert max(answer["latency_s"]) <= DEADLINE_S * (1 + 1e-9)
    assert answer["reason"] == ""
    assert sum(answer["bandwidth_fraction"]) == pytest.approx(1.0, abs=1e-9)


def test_settings_of_a_method_from_the_command_line(wirelessfl):
    blocks = ("allocate", "--method", "resource-blocks", "--set", "allocation.blocks=20", "--json")
    shares = np.array(json.loads(wirelessfl(*blocks).out)["bandwidth_fraction"]) * 20
    np.testing.assert_allclose(shares, shares.round(), atol=1e-12)
    heavy = ("--set", "allocation.objective=weight", "--set", "allocation.max_pruning_ratio=0.5")
    answer = json.loads(wirelessfl("allocate", "--method", "select", *heavy, "--json").out)
    assert "left out" in answer["status"]
    assert answer["reason"].count("left out") == answer["status"].count("left out")


def test_an_algorithm_that_prunes_nothing_sends_everything_or_nothing(wirelessfl, tmp_path):
    fedavg = (
        "run",
        "--rounds",
        1,
        "--set",
        "training.algorithm=fedavg",
        "--set",
        "training.local_epochs=1",
    )
    long = ("--set", "scenario.deadline_s=0.5")
    whole = wirelessfl(*fedavg, *long, "--set", "run.participants=4", "--out", "whole")
    assert whole.status == 0
    assert "note:" not in whole.err
    (line,) = records(tmp_path / "whole")
    assert line["pruning_ratio"] == [0.0] * 4
    assert len(set(line["uplink_bits"])) == 1
    assert line["uplink_bits"] == line["downlink_bits"]
    assert all(line["delivered"])


def test_a_run_in_which_nobody_can_upload_says_so(wirelessfl, tmp_path):
    steps = ("--set", "training.algorithm=fedavg", "--set", "training.local_steps=5")
    nobody = wirelessfl("run", "--rounds", 1, *steps, "--out", "nobody")
    assert nobody.status == 0
    assert "note: no client has any bandwidth in round 1: " in nobody.err
    assert "the fixed bits of all do not fit" in nobody.err
    few = wirelessfl("run", "--rounds", 1, *steps, "--set", "run.participants=1", "--out", "few")
    assert few.status == 0
    assert "note:" not in few.err
    assert not any(records(tmp_path / "nobody")[0]["uplink_bits"])


def test_agents_that_send_nothing_miss_no_band(wirelessfl):
    single = wirelessfl(
        "run", "--rounds", 1, "--set", "training.algorithm=ind-mask", "--out", "alone"
    )
    assert single.status == 0
    assert "note:" not in single.err
