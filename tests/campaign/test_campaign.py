"""A few cases of each campaign, and the checks by which a campaign finds anything."""

from collections import Counter
from pathlib import Path

import pytest

from campaign import faults, fuzz
from campaign.cli import Case
from campaign.forks import Outcome, run


def case(folder: Path, number: int) -> Case:
    return Case(seed=0, number=number, folder=folder, counts=Counter())


def test_a_case_is_a_function_of_seed_and_number(tmp_path):
    first, again = ([fuzz.settings_of(case(tmp_path, 5).chance)] for _ in range(2))
    assert first == again
    assert fuzz.mutated(b"abc" * 50, case(tmp_path, 5).chance) == fuzz.mutated(
        b"abc" * 50, case(tmp_path, 5).chance
    )


@pytest.mark.slow
@pytest.mark.parametrize("kind", [fuzz.toml, fuzz.plug_ins, fuzz.folders, fuzz.traces])
def test_a_case_of_each_kind_of_input_holds(kind, tmp_path):
    kind(case(tmp_path, 1))


@pytest.mark.slow
@pytest.mark.parametrize("kind", [faults.kills, faults.full_disk])
def test_a_case_of_each_kind_of_fault_holds(kind, tmp_path):
    kind(case(tmp_path, 1))


def test_a_command_runs_in_a_fork(tmp_path):
    ended = run("list", "allocators", folder=tmp_path)
    assert ended.status == 0
    assert "resource-blocks" in ended.out


@pytest.mark.parametrize(
    "ended",
    [
        Outcome(1, "", "Traceback (most recent call last):"),
        Outcome(2, "", "error: one\nerror: two"),
        Outcome(2, "", "error: \x1b[2J"),
        Outcome(2, "half a table", "error: one"),
        Outcome(-9, "", ""),
    ],
)
def test_every_other_outcome_is_a_failure(ended, tmp_path):
    with pytest.raises(AssertionError):
        fuzz.check(ended, tmp_path, {})


def test_leftovers_of_a_refused_command_are_a_failure(tmp_path):
    (tmp_path / "left").touch()
    with pytest.raises(AssertionError, match="created"):
        fuzz.check(Outcome(2, "", "error: one"), tmp_path, {})
    with pytest.raises(AssertionError, match="changed"):
        fuzz.check(Outcome(2, "", "error: one"), tmp_path, {"left": b"old"})
