"""Bad input is refused in one line that names field, limit and value."""

import re

import numpy as np
import pytest
from helpers.problems import scenario_s

from optimizers import AllocationProblem


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"deadline_s": 0.0}, "deadline_s must be above 0, got 0"),
        ({"deadline_s": -1.0}, "deadline_s must be above 0, got -1"),
        ({"deadline_s": float("nan")}, "deadline_s must be finite, got nan"),
        ({"fixed_s": -0.001}, "fixed_s must be at least 0, got -0.001"),
        ({"prunable_s": [0.01] * 9 + [np.inf]}, "prunable_s must be finite, got inf"),
        ({"upload_bits": [-8.0] + [1.0] * 9}, "upload_bits must be at least 0, got -8"),
        ({"rate_bps": -1e6}, "rate_bps must be at least 0, got -1e+06"),
        ({"fixed_upload_bits": -1.0}, "fixed_upload_bits must be at least 0, got -1"),
        ({"weight": -2.0}, "weight must be at least 0, got -2"),
        ({"max_pruning_ratio": 1.5}, "max_pruning_ratio must be at most 1, got 1.5"),
        ({"max_pruning_ratio": -0.5}, "max_pruning_ratio must be at least 0, got -0.5"),
        ({"bandwidth_hz": 0.0}, "bandwidth_hz must be above 0"),
        ({"fixed_s": "soon"}, "fixed_s must be a number or an array of numbers, got 'soon'"),
        ({"fixed_s": [0.0] * 3}, "shapes must broadcast to (..., K), got"),
        ({"fixed_s": [], "rate_bps": 1e6}, "the problem must have at least 1 client, got 0"),
    ],
)
def test_bad_input(changes, message):
    with pytest.raises(ValueError, match=re.escape(message)) as raised:
        scenario_s(**changes)
    assert "\n" not in str(raised.value)


def test_scalars_make_a_problem_of_one_client():
    p = AllocationProblem(deadline_s=1, fixed_s=0, prunable_s=1, upload_bits=1, rate_bps=1)
    assert p.shape == (1,)
