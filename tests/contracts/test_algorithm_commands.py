"""Every algorithm trains by the one command that `wirelessfl describe` prints."""

import json
import shlex

import pytest
import torch
from helpers.cli import call

import wirelessfl as wfl
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


EXTENDS = {
    "accelerated-server-pruning-modified": "accelerated-server-pruning",
    "avr-weipru": "ind-weipru",
    "dapperfl": "fedmp",
    "dsgdprox": "dsgd",
    "fedprox": "fedavg",
    "fedsim": "fedalt",
    "fl": "fedavg",
    "mce-pl": "ind-mask",
    "par-weipru": "avr-weipru",
    "prunefl": "fedavg",
    "randprox-l1": "proxskip",
    "sparse-proxskip": "proxskip",
    "sparse-proxskip-local": "sparse-proxskip",
    "sparse-proxskip-modified": "sparse-proxskip",
}


# FedProx's least mu of [1, 0.1, 0.01, 0.001] is nearly FedAvg after five steps; PruneFL prunes first
# in round 50 by default.
CHANGES = {
    "fedprox": ("--set", "training.proximal_mu=1"),
    "prunefl": ("--set", "training.reconfigure_every=10"),
}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The model of client 0 before and after 25 rounds of an algorithm's described command."""
    found = {}

    def model(name, capsys, monkeypatch):
        if name not in found:
            shown = call(capsys, monkeypatch, "describe", name, "--json").json()["use"]
            found[name] = []
            for rounds in (1, 25):
                out = tmp_path_factory.mktemp(name) / "run"
                options = ("--rounds", rounds, "--out", out, "--set", "scenario.clients=4")
                arguments = (*shlex.split(shown)[1:], *options, *CHANGES.get(name, ()))
                done = call(capsys, monkeypatch, *arguments)
                assert done.status == 0, done.err
                weights = wfl.load(out).state_dict(0).values()
                found[name].append(torch.cat([value.flatten().float() for value in weights]))
        return found[name]

    return model


@pytest.mark.slow
@pytest.mark.parametrize("name", EXTENDS)
def test_a_baseline_differs_from_the_method_that_it_extends(capsys, monkeypatch, trained, name):
    """By more than 0.5 % of the way that the extended one goes; rounding is 0.0001 %."""
    _, model = trained(name, capsys, monkeypatch)
    first, last = trained(EXTENDS[name], capsys, monkeypatch)
    assert torch.dist(model, last) > 0.005 * torch.dist(first, last)
