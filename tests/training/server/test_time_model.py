"""Assumed round times."""

import numpy as np
import pytest

from training.server.time_model import TimeModel
from wirelessfl.errors import InputError


def test_seconds_follow_the_formula():
    model = TimeModel(assumed_flops_per_s=(1e9, 2e9), assumed_rate_bps=1e6, assumed_constant_s=0.5)
    np.testing.assert_allclose(
        model.seconds(np.array([1e9, 1e9]), np.array([2e6, 0.0])), [3.5, 1.0]
    )


def test_errors_are_one_line():
    with pytest.raises(
        InputError, match=r"assumed_rate_bps must have one number for each of 3 clients, got 2"
    ):
        TimeModel(assumed_rate_bps=(1.0, 2.0)).of(3)
    with pytest.raises(InputError, match=r"training.assumed_flops_per_s must be above 0, got 0"):
        TimeModel(assumed_flops_per_s=0)
