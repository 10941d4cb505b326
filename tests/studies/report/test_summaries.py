"""Summaries of runs: reported accuracies, and the time to reach an accuracy."""

import numpy as np
import pytest
from helpers.studies import run_of

from studies.report import summaries


def test_the_reported_accuracy_is_the_mean_of_the_last_evaluations():
    run = run_of([None, 0.9, None, 0.2, 0.4, None, 0.6])
    np.testing.assert_array_equal(summaries.evaluations(run), [0.9, 0.2, 0.4, 0.6])
    assert summaries.mean_of_last(run, 3) == pytest.approx(0.4)
    assert summaries.mean_of_last(run, 1) == run.final_accuracy == 0.6
    assert summaries.best_accuracy(run) == 0.9


def test_ten_evaluations_are_averaged_unless_another_number_is_given():
    runs = [run_of([0.9, *[0.5] * 9, 0.7]), run_of([0.2] * 11)]
    found = summaries.accuracy_columns(runs)
    assert found["accuracy"].values == pytest.approx((0.52, 0.2))
    assert found["best_accuracy"].values == pytest.approx((0.9, 0.2))
    assert summaries.accuracy_columns(runs, 1)["accuracy"].values == (0.7, 0.2)


def test_the_common_accuracy_is_the_lowest_of_each_seed():
    schemes = [
        [run_of([0.9, *[0.5] * 9, 0.7]), run_of([0.2] * 11)],
        [run_of([0.4] * 11), run_of([0.3] * 11)],
    ]
    assert summaries.common_accuracy(schemes) == pytest.approx([0.4, 0.2])
    assert summaries.common_accuracy(schemes[:1], last=1) == pytest.approx([0.7, 0.2])


def test_the_first_round_at_an_accuracy_is_the_last_where_none_reaches_it():
    run = run_of([0.1, 0.4, None, 0.6], latency_s=2.0)
    assert summaries.first_index(run, 0.35) == 1
    assert summaries.first_index(run, 0.9) is None
    assert summaries.first_reached(run, 0.35) == 2
    assert summaries.first_reached(run, 0.35, "clock_s") == 4.0
    assert summaries.first_reached(run, 0.9) == 4


def test_each_seed_has_its_own_target():
    runs = [run_of([0.1, 0.4, 0.6]), run_of([0.5, 0.7, 0.9], latency_s=3.0)]
    assert summaries.until_accuracy(runs, [0.4, 0.8]).values == (2.0, 3.0)
    assert summaries.until_accuracy(runs, [0.4, 0.8], "clock_s").values == (2.0, 9.0)
    with pytest.raises(ValueError, match="shorter"):
        summaries.until_accuracy(runs, [0.4])
