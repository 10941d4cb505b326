"""Checks of claims on small tables."""

import math

import pytest

from studies.report.claims import (
    above,
    all_of,
    beyond_chance,
    decreasing,
    difference_within,
    highest,
    increasing,
    within,
)
from studies.report.results import Sample, Table
from studies.study.tables import print_study
from wirelessfl.errors import InputError


def table(**rows):
    return Table(tuple({"scheme": label, "x": Sample(values)} for label, values in rows.items()))


def test_sample_by_hand():
    sample = Sample((1.0, 2.0, 6.0))
    assert sample.mean == 3.0
    assert sample.standard_error == pytest.approx(math.sqrt(7.0 / 3.0))
    assert str(sample) == "3 ± 1.5"


def test_a_single_seed_has_no_standard_error():
    assert math.isnan(Sample((2.0,)).standard_error)
    assert str(Sample((2.0,))) == "2"


def test_differences_are_paired_by_seed():
    difference = Sample((1.1, 2.1, 3.1)) - Sample((1.0, 2.0, 3.0))
    assert difference.mean == pytest.approx(0.1)
    assert difference.standard_error == pytest.approx(0.0, abs=1e-12)
    with pytest.raises(ValueError, match="argument"):
        Sample((1.0,)) - Sample((1.0, 2.0))


def test_above_holds_and_does_not():
    results = table(high=(2.0, 3.0), low=(1.0, 2.0))
    assert above("x", "high", "low")(results).holds
    verdict = above("x", "low", "high")(results)
    assert not verdict.holds
    assert str(verdict).startswith(
        "refuted: low against high: 1.5 ± 0.5 against 2.5 ± 0.5, difference -1"
    )


def test_equal_is_not_above():
    assert not above("x", "a", "b")(table(a=(1.0, 1.0), b=(1.0, 1.0))).holds


def test_a_difference_that_may_be_chance_is_marked():
    sure = above("x", "a", "b")(table(a=(2.0, 3.0), b=(1.0, 2.0)))
    unsure = above("x", "a", "b")(table(a=(2.0, 3.0), b=(1.0, 3.5)))
    assert "chance" not in sure.figures
    assert unsure.holds
    assert "may be chance" in unsure.figures


def test_a_claim_is_decided_by_the_intervals_over_seeds():
    """t(1) = 12.7 standard errors for two seeds, here 0.25 on differences of 1, 0.25 and -1."""
    results = table(a=(2.0, 3.0), sure=(1.0, 2.0), unsure=(1.5, 3.0), higher=(3.0, 4.0))
    outcomes = {
        other: above("x", "a", other)(results).outcome for other in ("sure", "unsure", "higher")
    }
    assert outcomes == {"sure": "holds", "unsure": "undecided", "higher": "refuted"}
    assert highest(results, "x", "a", ["sure", "unsure"]).outcome == "undecided"
    assert highest(results, "x", "a", ["unsure", "higher"]).outcome == "refuted"
    assert within("x", "a", -10.0, 100.0)(results).outcome == "holds"
    assert within("x", "a", 2.4, 2.6)(results).outcome == "undecided"
    assert within("x", "a", 90.0, 100.0)(results).outcome == "refuted"
    both = [above("x", "a", other)(results) for other in ("sure", "unsure")]
    assert all_of(both).outcome == "undecided"
    assert all_of([*both, above("x", "a", "higher")(results)]).outcome == "refuted"


def test_one_seed_decides_nothing():
    assert above("x", "a", "b")(table(a=(2.0,), b=(1.0,))).outcome == "undecided"


def test_rows_at_the_level_of_chance_decide_nothing():
    results = table(a=(0.101, 0.105), b=(0.100, 0.104), c=(0.5, 0.51))
    check = above("x", "a", "b")
    assert check(results).outcome == "holds"
    assert beyond_chance(check, "x", ("a", "b"), 0.1)(results).outcome == "undecided"
    assert beyond_chance(check, "x", ("a", "c"), 0.1)(results).outcome == "holds"


def test_increasing_and_decreasing_need_every_step():
    rising = table(a=(1.0, 1.1), b=(2.0, 2.1), c=(3.0, 3.1))
    bent = table(a=(1.0, 1.1), b=(0.9, 1.0), c=(3.0, 3.1))
    labels = ("a", "b", "c")
    assert increasing("x", labels)(rising).holds
    assert not increasing("x", labels)(bent).holds
    assert decreasing("x", labels[::-1])(rising).holds
    assert not decreasing("x", labels)(rising).holds


def test_within_its_bounds():
    results = table(a=(1.0, 2.0))
    assert within("x", "a", 1.5, 1.6)(results).holds
    assert not within("x", "a", 1.6, 1.7)(results).holds
    assert not within("x", "a", 1.3, 1.4)(results).holds


def test_difference_within_its_bounds():
    results = table(a=(1.0, 2.0), b=(0.9, 1.9))
    assert difference_within("x", "a", "b", 0.05, 0.15)(results).holds
    assert not difference_within("x", "b", "a", 0.05, 0.15)(results).holds


def test_a_missing_row_is_named():
    with pytest.raises(InputError, match="no measured 'x' for 'c'"):
        above("x", "c", "a")(table(a=(1.0,)))


def test_what_stands_in_brackets_is_printed(capsys):
    claims = [
        {
            "claim": "above pruning only [14] [bold]",
            "kind": "measured",
            "verdict": "holds",
            "figures": "[x]",
        }
    ]
    print_study("study", table(**{"pruning only [14] [y]": (1.0, 2.0)}), claims)
    printed = capsys.readouterr().out
    for words in ("pruning only [14] [y]", "holds: above pruning only [14] [bold] ([x])"):
        assert words in printed
