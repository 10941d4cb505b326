"""Imperfect channel knowledge from the command line."""

import json

from helpers.cli import call


def late_per_round(capsys, monkeypatch, folder, *settings):
    arguments = [
        word
        for setting in ("run.train=false", "run.rounds=100", *settings)
        for word in ("--set", setting)
    ]
    ended = call(capsys, monkeypatch, "run", "--out", folder, *arguments)
    assert ended.status == 0, ended.err
    return json.loads((folder / "summary.json").read_text())["late_per_round"]


def test_a_run_is_late_as_often_as_was_asked_for(capsys, monkeypatch, tmp_path):
    """10 clients, 100 rounds, outage 0.1: 1 late client a round, with a standard error of 0.095."""
    asked = ("channel.csi=quantile", "channel.outage=0.1", "channel.antennas=1")
    assert (
        abs(late_per_round(capsys, monkeypatch, tmp_path / "quantile", *asked) - 1.0) <= 4 * 0.095
    )
    assert late_per_round(capsys, monkeypatch, tmp_path / "bounded", "channel.csi=bounded") == 0


def test_bad_knowledge_is_one_line(capsys, monkeypatch):
    ended = call(capsys, monkeypatch, "allocate", "--set", "channel.outage=0")
    assert ended.status == 2
    assert ended.err.strip() == "error: channel.outage must be above 0, got 0"
