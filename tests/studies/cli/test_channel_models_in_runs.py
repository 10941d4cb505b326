"""`wirelessfl run` trains over every channel model and under every deadline policy."""

import json
from dataclasses import replace

import pytest
from helpers.cli import call
from helpers.contracts import example

from wirelessfl import plugins
from wirelessfl.config.scenario_file import from_tables, to_toml
from wirelessfl.scenario.scenario import DEADLINE_POLICIES

SMALL = {
    "scenario": {"clients": 4, "deadline_s": 0.2, "cycles_per_weight": 1600.0},
    "training": {"dataset": "digits", "model": "digits-cnn", "batch_size": 32},
    "run": {"rounds": 2},
}


@pytest.fixture
def wirelessfl(capsys, monkeypatch, tmp_path):
    """`wirelessfl ARGUMENTS` in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: call(capsys, monkeypatch, *arguments)


def records(folder):
    return [json.loads(line) for line in (folder / "rounds.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("name", plugins.names("channels"))
def test_a_run_over_every_channel_model(wirelessfl, tmp_path, name):
    cls = plugins.load("channels", name)
    if hasattr(cls, "needs"):  # an optional extra
        pytest.importorskip(cls.needs)
    experiment = replace(from_tables(SMALL), channel=example(cls, tmp_path))
    (tmp_path / "scenario.toml").write_text(to_toml(experiment))
    ended = wirelessfl("run", "scenario.toml", "--out", "r")
    assert ended.status == 0, ended.err
    found = records(tmp_path / "r")
    assert [record["round"] for record in found] == [1, 2]
    assert found[-1]["accuracy"] is not None
    assert all(gain > 0 for record in found for gain in record["gain"])


@pytest.mark.parametrize("policy", DEADLINE_POLICIES)
@pytest.mark.parametrize("loss", ["none", "outage"])
def test_a_run_under_every_policy(wirelessfl, tmp_path, policy, loss):
    changes = {
        "channel": {"csi": "mean", "antennas": 1},
        "scenario": {
            **SMALL["scenario"],
            "deadline_policy": policy,
            "packet_error": loss,
            "max_transmissions": 1,
        },
        "run": {"rounds": 4},
    }
    (tmp_path / "scenario.toml").write_text(to_toml(from_tables({**SMALL, **changes})))
    ended = wirelessfl("run", "scenario.toml", "--out", "r")
    assert ended.status == 0, ended.err
    found = records(tmp_path / "r")
    late = [not there for record in found for there in record["delivered"]]
    assert any(late)
    assert "deadline misses" in ended.out
    lost = [second is None for record in found for second in record["latency_s"]]
    assert any(lost) == (loss == "outage")
    if policy != "wait":
        assert all(record["round_s"] <= 0.2 * (1 + 1e-9) for record in found)
    if loss == "none":
        assert any(here for record in found for here in record["earlier"]) == (
            policy == "late-next-round"
        )
