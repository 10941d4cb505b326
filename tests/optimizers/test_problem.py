"""Bad input is refused in one line that names field, limit and value."""

import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers.joint import joint_problem
from helpers.problems import scenario_s

from optimizers import AllocationProblem, Exact, NoisePsdProblem, certify, solve
from wirelessfl.errors import InputError


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


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"deadline_s": 1e300}, "deadline_s must be at most 1e+65, got 1e+300"),
        ({"deadline_s": 1e-300}, "deadline_s must be at least 1e-65, got 1e-300"),
        ({"weight": 1e308}, "weight must be at most 1e+65, got 1e+308"),
        ({"weight": 1e-320}, "weight must be 0 or at least 1e-65, got 9.99989e-321"),
        ({"rate_bps": 1e308}, "rate_bps must be at most 1e+65, got 1e+308"),
        ({"upload_bits": 1e70}, "upload_bits must be at most 1e+65, got 1e+70"),
        ({"bandwidth_hz": 1e300}, "bandwidth_hz must be at most 1e+65, got 1e+300"),
        ({"deadline_s": -np.inf}, "deadline_s must be finite, got -inf"),
    ],
)
def test_values_beyond_the_range_of_the_solvers_are_refused(changes, message):
    with pytest.raises(InputError, match=re.escape(message) + "$"):
        scenario_s(**changes)


@pytest.mark.parametrize("field", ["weight", "capacitance", "cpu_max_hz", "power_w", "deadline_s"])
def test_the_ranges_hold_for_joint_problems_too(field):
    with pytest.raises(InputError, match=f"{field} must be at most 1e"):
        joint_problem(np.random.default_rng(0), 2, **{field: 1e300})


def test_tensors_with_gradients_are_refused_in_one_line():
    with pytest.raises(
        InputError, match=r"rate_bps must be .*, got a Tensor: .*requires grad"
    ) as e:
        scenario_s(rate_bps=torch.ones(10, requires_grad=True))
    assert "\n" not in str(e.value)


def extreme(rng, kind):
    """A problem of a few clients with every field anywhere within its range."""

    def anywhere(low, high, zero=0.1):
        return np.where(rng.random(4) < zero, 0.0, 10.0 ** rng.uniform(low, high, 4))

    deadline_s = float(10.0 ** rng.uniform(-60, 60))
    common = {
        "deadline_s": deadline_s,
        "fixed_s": rng.choice([0.0, 0.5, 0.9999999], 4) * deadline_s,
        "prunable_s": anywhere(-60, 60),
        "upload_bits": anywhere(-60, 60),
        "weight": anywhere(-60, 60),
        "fixed_upload_bits": anywhere(-60, 60, zero=0.8),
        "max_pruning_ratio": rng.choice([1.0, 1 - 1e-9, 0.9], 4),
    }
    if kind == "fixed SNR":
        return AllocationProblem(rate_bps=anywhere(-60, 60), **common)
    return NoisePsdProblem(snr=anywhere(-30, 30), bandwidth_hz=1e6, **common)


@pytest.mark.parametrize("kind", ["fixed SNR", "noise density"])
def test_the_optimum_is_certified_anywhere_within_the_ranges(kind):
    rng = np.random.default_rng(8)
    for _ in range(40):
        p = extreme(rng, kind)
        for method in ("exact", "select"):
            for name, value in vars(certify(p, solve(p, method))).items():
                assert value <= 1e-9, (name, method, p)
        for method in ("equal", "proportional-fairness", "max-min", "min-latency"):
            a = solve(p, method)
            for value in (a.bandwidth_fraction, a.pruning_ratio, a.bandwidth_price):
                assert np.all(np.isfinite(value)), (method, p)


@pytest.mark.parametrize("kind", ["fixed SNR", "noise density"])
def test_a_kept_fraction_below_the_last_digit_of_its_ratio_is_not_lost(kind):
    weak = np.array([1e8, 1e-16])
    rate = {"rate_bps": weak}
    if kind == "noise density":
        rate = {"snr": weak / 1e7, "bandwidth_hz": 20e6}
    make = AllocationProblem if kind == "fixed SNR" else NoisePsdProblem
    p = make(deadline_s=0.025, fixed_s=0.005, prunable_s=0.01, upload_bits=5e5, **rate)
    a = solve(p, "proportional-fairness")
    assert a.pruning_ratio[1] == 1.0
    assert a.status[1] == "active"
    assert 0 < a.kept_fraction[1] < 1e-16
    np.testing.assert_allclose(a.latency_s, 0.025, rtol=1e-12)
    pruned = replace(a, pruning_ratio=np.array([a.pruning_ratio[0], 0.5]))
    assert pruned.kept_fraction[1] == 0.5


def test_the_compiled_answer_keeps_such_fractions_too():
    p = AllocationProblem(
        deadline_s=1.0, fixed_s=0.0, prunable_s=0.5, upload_bits=1.0, rate_bps=[1e-20, 1e-21]
    )
    arrays, compiled = (Exact(compiled=flag).solve(p) for flag in (False, True))
    assert np.all(arrays.status == compiled.status)
    np.testing.assert_allclose(compiled.kept_fraction, arrays.kept_fraction, rtol=1e-12)
    assert compiled.kept_fraction.max() > 0
