"""Strict JSON in files and from `--json` of the commands, also for clients without a link."""

import ast
import math
from dataclasses import replace
from pathlib import Path

import pytest
from helpers.cli import call, strict_json
from helpers.studies import synthetic_record

from wirelessfl.records import strict_json as writer
from wirelessfl.records.run_folder import RunFolder
from wirelessfl.records.summary import summarise

ROOT = Path(__file__).parents[3]
PACKAGES = ("wirelessfl", "channel_models", "optimizers", "training", "studies")
# Texts that are hashed or parsed again at once, and never written.
NOT_WRITTEN = {  # texts that are hashed or read again at once
    "studies/search/sampled.py",
    "wirelessfl/config/fields.py",
    "wirelessfl/config/scenario_file.py",
}
OUTAGES = """\
time_s,rsrp_dbm_0,rsrp_dbm_1,rsrp_dbm_2
0,-85,-101,0
1,-87,0,0
2,-89,-104,
"""
CHANNEL = {
    "model": "trace",
    "file": "trace.csv",
    "repeat": "true",
    "reference_power_dbm": 15,
    "round_interval_s": 0.5,
}


@pytest.fixture
def wirelessfl(capsys, monkeypatch, tmp_path):
    """`wirelessfl ARGUMENTS` in a folder with a trace."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "trace.csv").write_text(OUTAGES)
    return lambda *arguments: call(capsys, monkeypatch, *arguments)


def settings(**scenario):
    values = {f"channel.{name}": value for name, value in CHANNEL.items()}
    values |= {f"scenario.{name}": value for name, value in {"clients": 3, **scenario}.items()}
    return [text for name, value in values.items() for text in ("--set", f"{name}={value}")]


COMMANDS = {
    "allocate": ("allocate",),
    "allocate --compare": ("allocate", "--compare", "exact,min-latency,equal-common"),
    "simulate": ("simulate", "--rounds", 6),
    "whatif": ("whatif", "--vary", "scenario.deadline_s=0.02,0.03", "--draws", 4),
    "whatif of one draw": ("whatif", "--vary", "scenario.clients=1,3", "--draws", 1),
    "data": ("data", "show"),
}


@pytest.mark.parametrize("csi", ["perfect", "mean"])
@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_commands_print_json(wirelessfl, command, csi):
    options = [*settings(deadline_policy="drop"), "--set", f"channel.csi={csi}"]
    assert wirelessfl(*command, *options, "--json").json()


def test_a_channel_without_a_link_is_json(wirelessfl):
    options = [text for text in settings() if text not in ("--set", "channel.model=trace")]
    changes = [text for name in options for text in ("--set", name)]
    clients = wirelessfl("channel", "trace", *changes, "--rounds", 6, "--json").json()["clients"]
    assert [client["snr_db"] is None for client in clients] == [False, False, True]
    assert [client["fading_5_db"] is None for client in clients] == [False, True, True]


@pytest.mark.parametrize("policy", ["drop", "late-next-round"])
@pytest.mark.parametrize("method", ["exact", "min-latency"])
def test_a_run_with_outages_leaves_json(wirelessfl, tmp_path, policy, method):
    options = [*settings(deadline_policy=policy), "--set", f"allocation.method={method}"]
    options += ["--set", "channel.csi=mean", "--set", "run.train=false", "--rounds", 6]
    assert wirelessfl("run", *options, "--out", "r", "--json").json()["rounds"] == 6
    records = [strict_json(line) for line in (tmp_path / "r/rounds.jsonl").read_text().splitlines()]
    assert any(second is None for record in records for second in record["latency_s"])
    strict_json((tmp_path / "r/summary.json").read_text())


@pytest.mark.parametrize("policy", ["drop", "late-next-round"])
@pytest.mark.parametrize("method", ["equal-common", "min-latency"])
def test_a_client_without_a_link_stops_no_round(wirelessfl, policy, method):
    options = [*settings(deadline_policy=policy), "--set", f"allocation.method={method}"]
    found = wirelessfl("simulate", *options, "--rounds", 6, "--json").json()
    assert found["per_client"][2]["miss_rate"] == 1.0
    assert found["per_client"][0]["miss_rate"] < 1.0


def test_what_is_not_finite_is_null_in_records_and_summary(tmp_path):
    folder = RunFolder.create(tmp_path / "r", "")
    record = synthetic_record(1, 2)
    folder.append(replace(record, energy_j=[math.inf, 0.1], extra={"norm": math.nan}))
    folder.append(replace(record, round=2))
    lines = folder.rounds_file.read_text().splitlines()
    assert strict_json(lines[0])["energy_j"] == [None, 0.1]
    assert strict_json(lines[0])["extra"] == {"norm": None}
    folder.write_summary(summarise(folder.records()))
    summary = strict_json(folder.summary_file.read_text())
    assert summary["energy_j"] is None
    assert summary["flops"] == 4e6


def test_only_numbers_that_are_not_finite_change():
    value = {"a": [1.5, math.nan, {"b": (-math.inf, 2)}], "c": None, "d": "NaN", "e": True}
    expected = {"a": [1.5, None, {"b": [None, 2]}], "c": None, "d": "NaN", "e": True}
    for indent in (None, 2):
        assert strict_json(writer.dumps(value, indent=indent)) == expected
    assert writer.dumps({"a": [1, 2.5]}) == '{"a": [1, 2.5]}'


def test_nothing_is_written_past_the_strict_writer():
    written = {
        str(file.relative_to(ROOT))
        for package in PACKAGES
        for file in (ROOT / package).rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and node.attr in ("dump", "dumps")
        if isinstance(node.value, ast.Name) and node.value.id == "json"
    }
    assert written - NOT_WRITTEN == {"wirelessfl/records/strict_json.py"}
