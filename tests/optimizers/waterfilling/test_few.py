"""Compiled code for few clients: the array code's answer to the bit, loaded once it pays."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from helpers.problems import random_problems, scenario_s

from optimizers import Exact, exact, solve
from wirelessfl.allocation import ranges

ARRAYS = Exact(compiled=False)
RESULTS = (
    "bandwidth_fraction",
    "pruning_ratio",
    "bandwidth_price",
    "deadline_price",
    "kept_fraction",
)


def with_some_fixed_bits(rng, p):
    share = rng.choice([0.0, 0.003, 0.3]) * rng.random(p.shape)
    return replace(p, fixed_upload_bits=np.asarray(p.upload_bits) * share)


def test_it_is_the_answer_of_the_array_code_to_the_bit():
    fill_few = exact._FILL_FEW.load()
    ranges.TABLE_WITHIN.load()
    rng = np.random.default_rng(5)
    solved = 0
    for name, p in random_problems(900, seed=5, most_clients=300):
        p = with_some_fixed_bits(rng, p)
        if p.few is None or (fast := exact._few(p, p.few, fill_few)) is None:
            continue
        solved += 1
        slow = ARRAYS.solve(p)
        for field in RESULTS:
            np.testing.assert_array_equal(
                getattr(fast, field), getattr(slow, field), err_msg=f"{name} {field}"
            )
        np.testing.assert_array_equal(fast.status, slow.status, err_msg=name)
    assert solved > 400


def test_a_problem_keeps_its_values_when_the_array_it_was_made_of_changes():
    rate_bps = np.array([2e8, 1e8])
    p = scenario_s(rate_bps=rate_bps, fixed_s=[0.001, 0.002])
    before = solve(p).pruning_ratio
    rate_bps[:] = 1.0
    np.testing.assert_array_equal(solve(p).pruning_ratio, before)


@pytest.mark.slow
def test_it_is_loaded_after_as_many_calls_as_pay_for_it():
    code = (
        "import sys\n"
        "from optimizers import AllocationProblem, solve\n"
        "from wirelessfl.allocation import compiled\n"
        "compiled.PAYS_AFTER = 3\n"
        "p = AllocationProblem(deadline_s=2, fixed_s=1, prunable_s=1, upload_bits=[1, 2], rate_bps=1)\n"
        "found = [(solve(p).bandwidth_price, 'numba' in sys.modules) for _ in range(5)]\n"
        "print(*[there for _, there in found], len({price for price, _ in found}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False", "False", "True", "True", "1"]
