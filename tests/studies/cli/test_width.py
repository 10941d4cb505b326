"""Output off a terminal is at most 80 columns wide, and no cell is cut."""

import pytest
from helpers.cli import call

from studies.report.results import Sample, Table
from studies.report.terminal import print_table
from studies.study.tables import print_study

COMMANDS = {
    "allocate": ("allocate",),
    "compare": ("allocate", "--compare", "exact,equal,equal-common,min-latency"),
    "simulate": ("simulate", "--rounds", 2),
    "channel": ("channel", "tr38901-umi", "--rounds", 3),
    "data": ("data", "list"),
    "partition": ("data", "show"),
    "describe": ("describe", "fedalt"),
    "preset": ("describe", "physical"),
    "list": ("list",),
    "studies": ("list", "studies"),
    "whatif": (
        *("whatif", "--vary", "scenario.deadline_s=15ms:25ms:3"),
        *("--vary", "scenario.bandwidth_hz=3MHz,6MHz", "--draws", 3),
    ),
    "grid": (
        *("simulate", "--rounds", 2, "--seeds", 2, "--vary", "scenario.deadline_s=15ms,20ms"),
        *("--vary", "allocation.method=exact,equal-common"),
    ),
}


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_no_line_is_wider_than_80_columns_and_no_word_is_cut(capsys, monkeypatch, command):
    monkeypatch.delenv("COLUMNS", raising=False)
    done = call(capsys, monkeypatch, *command)
    assert done.status == 0, done.err
    too_wide = [line for line in done.out.splitlines() if len(line) > 80]
    assert too_wide == []
    assert "…" not in done.out


def test_columns_that_do_not_fit_follow_in_further_tables_with_the_key(capsys):
    headings = ["scheme", *(f"measure {number}" for number in range(12))]
    print_table(headings, [["Proposed", *(f"{number}.1234 ± 0.1" for number in range(12))]])
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    assert sum(line.strip().startswith("Proposed") for line in lines) > 1
    text = " ".join(lines)
    assert all(f"{number}.1234 ± 0.1" in text for number in range(12))


def test_a_wide_terminal_has_one_table(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "300")
    print_table(["a", *"bcdefghijklm"], [["key", *(["1.1234 ± 0.1"] * 12)]])
    lines = [line for line in capsys.readouterr().out.splitlines() if "key" in line]
    assert len(lines) == 1


def test_a_study_says_what_its_errors_are_and_shows_long_labels(capsys):
    label = "Accelerated-Server-Pruning-modified, with many further words in its label"
    row = {"scheme": label, **{f"column_{at}": Sample((1.0, 3.0)) for at in range(8)}}
    print_study(
        "title",
        Table((row,)),
        [{"claim": "c", "kind": "measured", "verdict": "holds", "figures": "f"}],
    )
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= 80
    assert "± one standard error over seeds" in out
    assert "2 ± 1" in out
    for word in label.split():
        assert word in out
    assert "holds: c (f)" in out
