"""Fractions of filters that clients omit."""

import numpy as np
import pytest

from training.submodels.ratios import FilterRatios
from wirelessfl.errors import InputError


@pytest.mark.parametrize(
    ("rank", "pair"),
    [
        ("rank-0", (0.25, 0)),
        ("rank-1", (0.25, 0.5)),
        ("rank-2", (0.5, 0.75)),
        ("rank-3", (0.75, 0.9)),
    ],
)
def test_half_of_the_clients_has_each_ratio_of_a_rank(rank, pair):
    assert FilterRatios(ratios=rank).of(10).tolist() == [pair[0]] * 5 + [pair[1]] * 5
    assert FilterRatios(ratios=rank).of(3).tolist() == [pair[0]] * 2 + [pair[1]]


def test_uniform_given_and_none_of_its_own():
    assert np.array_equal(FilterRatios(ratios="uniform", filter_ratio=0.3).of(4), np.full(4, 0.3))
    assert FilterRatios(ratios="given", filter_ratios=(0.0, 0.9)).of(2).tolist() == [0, 0.9]
    assert FilterRatios().of(4) is None


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"ratios": "rank-4"}, "training.ratios must be one of allocation, .*; got 'rank-4'"),
        (
            {"filter_ratio": 1.0},
            "training.filter_ratio must be below 1, got 1: every layer keeps a filter",
        ),
        ({"filter_ratio": -0.1}, "training.filter_ratio must be at least 0, got -0.1"),
        (
            {"ratios": "given", "filter_ratios": (0.5, 1.5)},
            "training.filter_ratios must be below 1, got 1.5",
        ),
        (
            {"ratios": "given"},
            "training.filter_ratios must be given with training.ratios 'given', got none",
        ),
        (
            {"filter_ratios": (0.5,)},
            "training.filter_ratios must be left out unless .* got ratios 'allocation'",
        ),
    ],
)
def test_bad_fields_are_refused_at_once(fields, said):
    with pytest.raises(InputError, match=said):
        FilterRatios(**fields)


def test_a_list_of_the_wrong_length_is_one_line():
    with pytest.raises(
        InputError, match="filter_ratios must have one ratio for each of 3 clients, got 2"
    ):
        FilterRatios(ratios="given", filter_ratios=(0.5, 0.5)).of(3)
