"""Work and memory without a sensible end are refused before the start; --budget raises the limit."""

import time

import pytest
from helpers.cli import call

from wirelessfl.border.budget import ENVIRONMENT, LIMITS, check_budget
from wirelessfl.errors import InputError

LIMIT_S = 60  # of a loaded machine; the work itself would take hours
SLOW = "scenario.cycles_per_weight=[1e12,1,1]"
LARGE = (
    "training.model=mnist-cnn",
    "training.dataset=mnist",
    "scenario.clients=50",
    "scenario.deadline_s=100",
)
UNBOUNDED = {
    ("run", "channel.model=peer-to-peer", "scenario.clients=1000000"): "bytes",
    ("run", "channel.model=peer-to-peer", "channel.graph=ring", "scenario.clients=100000"): "bytes",
    ("run", "scenario.cpu=loaded", "scenario.clients=3", SLOW): "events",
    ("run", "scenario.packet_error=outage", "scenario.packet_bits=1", *LARGE): "events",
    ("run", "scenario.coherence_s=1e-9", "scenario.clients=20000"): "draws",
    ("run", "run.rounds=1000000000"): "bytes",
    ("run", "training.image_channels=100000000", "run.train=true"): "bytes",
    ("allocate", "allocation.method=resource-blocks", "allocation.blocks=1000000"): "events",
}
COMMANDS = {
    ("channel", "rayleigh", "--rounds", "3000000"): "events",
    ("search", "--over", "training.learning_rate=1e-3:1", "--trials", "20000000"): "runs",
    ("search", "--over", "training.learning_rate=1e-3:1", "--repeats", "20000000"): "runs",
    ("sweep", "--vary", "scenario.deadline_s=10ms:20ms:1000", "--seeds", "1000"): "runs",
}


@pytest.fixture
def refused(capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(ENVIRONMENT, raising=False)

    def run(*arguments):
        started = time.monotonic()
        ended = call(capsys, monkeypatch, *arguments)
        assert ended.status == 2, ended.out
        (line,) = [line for line in ended.err.splitlines() if not line.startswith("rounds ")]
        assert list(tmp_path.iterdir()) == []
        assert time.monotonic() - started < LIMIT_S
        return line

    return run


def test_unbounded_scenarios_are_refused_with_their_estimate(refused):
    for (command, *settings), unit in UNBOUNDED.items():
        train = () if "run.train=true" in settings or command != "run" else ("run.train=false",)
        options = [part for setting in (*settings, *train) for part in ("--set", setting)]
        line = refused(command, *options)
        assert f"{unit}, above the budget of {LIMITS[unit]:.3g}; --budget" in line


def test_unbounded_commands_are_refused_with_their_estimate(refused):
    for arguments, unit in COMMANDS.items():
        assert f"{unit}, above the budget of" in refused(*arguments)


def test_the_budget_can_be_raised(refused, capsys, monkeypatch):
    arguments = ("channel", "static", "--set", "scenario.clients=1", "--json")
    monkeypatch.setitem(LIMITS, "events", 1e3)
    assert "; --budget 3 allows it" in refused(*arguments, "--rounds", 20)
    ended = call(capsys, monkeypatch, *arguments, "--rounds", 20, "--budget", 3)
    assert ended.status == 0, ended.err
    monkeypatch.setenv(ENVIRONMENT, "3")
    assert call(capsys, monkeypatch, *arguments, "--rounds", 20).status == 0
    assert "--budget" in refused(*arguments, "--budget", "0.5")
    monkeypatch.setenv(ENVIRONMENT, "much")
    assert "must be a number of at least 1, got 'much'" in refused(*arguments)


def test_work_without_an_end_is_refused_at_any_budget(monkeypatch):
    monkeypatch.setenv(ENVIRONMENT, "1e9")
    with pytest.raises(InputError, match=r"about inf events, above the budget of 1e\+16$"):
        check_budget("x = 1", "events", float("inf"))


def test_events_are_counted_while_a_round_runs(refused, monkeypatch):
    monkeypatch.setitem(LIMITS, "events", 300)
    line = refused(
        "run",
        *("--set", "scenario.dropout_probability=0.5", "--set", "scenario.clients=100"),
        *("--set", "run.train=false", "--rounds", 1, "--out", "out"),
    )
    assert "a round has more than 300 events" in line
