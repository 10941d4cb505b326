"""Progress off a terminal: lines in time, `-q`, `-v`, `--log-file`."""

import re

import pytest
from helpers.cli import call

from studies.cli.options import reporting
from studies.cli.options.reporting import Reporter, Reporting, duration

QUICK = ("run", "--rounds", 3, "--set", "run.train=false", "--out", "r")
SWEEP = (
    *("sweep", "--vary", "scenario.deadline_s=15ms,20ms", "--seeds", 1, "--jobs", 1),
    *("--set", "run.train=false", "--rounds", 3),
)


@pytest.fixture
def wirelessfl(capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: call(capsys, monkeypatch, *arguments)


def test_a_line_has_round_accuracy_time_and_eta(capsys, monkeypatch):
    monkeypatch.setattr(reporting, "EVERY_S", 0.02)
    tracker = Reporter(Reporting()).tracker("rounds", 200, 20)
    with tracker:
        tracker.update(40, "accuracy 81.2%")
        monkeypatch.setattr(tracker, "_began_s", tracker._began_s - 60)
        while not (printed := capsys.readouterr().err):
            pass
    assert "round 40 of 200, accuracy 81.2%, 1 min 0 s, ETA 8 min 0 s\n" in printed


def test_seconds_are_read_as_people_say_them():
    assert [duration(seconds) for seconds in (0.4, 59, 61, 3600, 7384)] == [
        *("0 s", "59 s", "1 min 1 s", "1 h 0 min", "2 h 3 min")
    ]


def test_a_run_speaks_while_it_runs_and_only_of_progress(wirelessfl, monkeypatch):
    monkeypatch.setattr(reporting, "EVERY_S", 0.001)
    spoken = wirelessfl(*QUICK).err.splitlines()
    assert spoken
    assert all(re.fullmatch(r"round \d of 3, .*ETA .*", line) for line in spoken)
    monkeypatch.setattr(reporting, "EVERY_S", 60.0)
    assert wirelessfl(*QUICK[:-1], "silent").err == ""


def test_quiet_is_silent_and_verbose_has_a_line_per_round(wirelessfl, monkeypatch):
    monkeypatch.setattr(reporting, "EVERY_S", 0.001)
    quiet = wirelessfl(*QUICK, "-q")
    assert (quiet.status, quiet.err) == (0, "")
    assert "simulated time" in quiet.out
    monkeypatch.setattr(reporting, "EVERY_S", 60.0)
    verbose = wirelessfl(*QUICK[:-1], "v", "-v").err.splitlines()
    assert [line.split(",")[0] for line in verbose] == [f"round {at} of 3" for at in (1, 2, 3)]
    assert all("10 of 10 clients in time" in line for line in verbose)


def test_a_log_file_has_start_lines_and_end_with_times(wirelessfl, tmp_path):
    assert wirelessfl(*SWEEP, "--log-file", "log", "-v").status == 0
    lines = (tmp_path / "log").read_text().splitlines()
    assert all(re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]", line) for line in lines)
    texts = [line.split(" ", 1)[1] for line in lines]
    assert texts[0].startswith("wirelessfl sweep --vary scenario.deadline_s=15ms,20ms")
    assert "2 of 2 runs complete" in texts
    assert texts[-1].startswith("complete after ")
    refused = wirelessfl(*SWEEP[:-2], "--rounds", 0, "--log-file", "log")
    assert refused.status == 2
    assert wirelessfl(*QUICK[:-1], "r", "--log-file", "log").status == 0
    assert wirelessfl(*QUICK[:-1], "r", "--log-file", "log").status == 2
    last = (tmp_path / "log").read_text().splitlines()[-1]
    assert "error: " in last
    assert "--resume" in last


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("-q", "-v"), ["-q and -v"]),
        (("--log-file", "nowhere/log"), ["--log-file", "nowhere"]),
        (("--log-file", "."), ["--log-file", "folder"]),
    ],
)
@pytest.mark.parametrize("command", [QUICK, SWEEP], ids=["run", "sweep"])
def test_bad_options_are_one_line(wirelessfl, tmp_path, command, options, words):
    done = wirelessfl(*command, *options)
    assert (done.status, done.out, done.err.count("\n")) == (2, "", 1)
    assert all(word in done.err for word in words)
    assert not list(tmp_path.iterdir())
