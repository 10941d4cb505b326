"""Every algorithm trains by the one command that `wirelessfl describe` prints."""

import json
import shlex

import pytest
from helpers.cli import call

from wirelessfl import plugins

BUILT_IN = [
    name
    for name in plugins.names("algorithms")
    if plugins.load("algorithms", name).__module__.startswith("training.")
]


@pytest.mark.slow
@pytest.mark.parametrize("name", BUILT_IN)
def test_the_described_command_trains(capsys, monkeypatch, tmp_path, name):
    shown = call(capsys, monkeypatch, "describe", name, "--json").json()["use"]
    program, *arguments = shlex.split(shown)
    assert (program, arguments[:2]) == ("wirelessfl", ["run", "digits"])
    done = call(capsys, monkeypatch, *arguments, "--rounds", 2, "--out", tmp_path / "run", "--json")
    assert done.status == 0, done.err
    lines = (tmp_path / "run" / "rounds.jsonl").read_text().splitlines()
    records = [json.loads(line) for line in lines]
    assert len(records) == 2
    for record in records:
        assert min(record["flops"]) > 0  # every client trains
        assert record["loss"] is not None
    assert 0 <= records[-1]["accuracy"] <= 1
