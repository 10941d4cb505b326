"""Properties of the optimum of any problem, under either rate model."""

from dataclasses import fields, replace

import numpy as np
import pytest
from helpers.problems import CLASSES
from hypothesis import given, settings
from hypothesis import strategies as st

from optimizers import solve
from wirelessfl.allocation.interface import client_fields
from wirelessfl.allocation.noise_psd import NoisePsdProblem

HERTZ = 1e6
any_problem = st.tuples(
    st.sampled_from(sorted(set(CLASSES) - {"caps_clash"})),
    st.integers(0, 1000),
    st.integers(1, 7),
    st.booleans(),
)
quick = settings(deadline=None, derandomize=True, max_examples=150)


def drawn(picked):
    """A random problem of a class, with the rates of a fixed SNR or of a given noise density."""
    name, seed, clients, psd = picked
    p = CLASSES[name](np.random.default_rng(seed), clients)
    if not psd:
        return replace(p, bandwidth_hz=HERTZ)
    given_rate = {"rate_bps", "bandwidth_hz"}
    kept = {
        field.name: getattr(p, field.name) for field in fields(p) if field.name not in given_rate
    }
    return NoisePsdProblem(
        **kept, snr=2.0 ** (np.asarray(p.rate_bps) / HERTZ) - 1.0, bandwidth_hz=HERTZ
    )


def optimum(p):
    return float((np.asarray(p.weight) * solve(p).pruning_ratio).sum())


def tolerance(p):
    return 1e-9 * max(float(np.asarray(p.weight).sum()), 1e-9)


def in_order(p, order):
    return replace(p, **{name: getattr(p, name)[order] for name in client_fields(p)})


@quick
@given(any_problem, st.randoms(use_true_random=False))
def test_reordering_the_clients_changes_nothing_else(picked, random):
    p = drawn(picked)
    order = list(range(p.shape[-1]))
    random.shuffle(order)
    other = in_order(p, np.array(order))
    assert optimum(other) == pytest.approx(optimum(p), abs=tolerance(p))
    unique = not picked[0].startswith(("no_compute", "some_compute", "tiny_compute"))
    if unique:  # elsewhere several bands attain the optimum
        np.testing.assert_allclose(
            solve(other).pruning_ratio, solve(p).pruning_ratio[order], atol=1e-7
        )


@quick
@given(
    any_problem,
    st.floats(1.0, 4.0),
    st.sampled_from(["band", "power", "cpu", "time", "fewer bits"]),
)
def test_more_of_any_resource_never_prunes_more(picked, factor, resource):
    p = drawn(picked)
    assert optimum(_with_more(p, resource, factor)) <= optimum(p) + tolerance(p)


def _with_more(p, resource, factor):
    if resource == "cpu":
        return replace(p, fixed_s=p.fixed_s / factor, prunable_s=p.prunable_s / factor)
    if resource == "time":
        return replace(p, deadline_s=p.deadline_s * factor)
    if resource == "fewer bits":
        return replace(p, upload_bits=p.upload_bits / factor)
    if isinstance(p, NoisePsdProblem):
        if resource == "power":
            return replace(p, snr=p.snr * factor)
        return replace(p, snr=p.snr / factor, bandwidth_hz=p.bandwidth_hz * factor)
    snr = np.expm1(np.asarray(p.rate_bps) / HERTZ * np.log(2.0))
    efficiency = np.log2(1.0 + (factor if resource == "power" else 1.0) * snr)
    return replace(p, rate_bps=efficiency * HERTZ * (factor if resource == "band" else 1.0))


@quick
@given(any_problem, st.floats(-6.0, 6.0))
def test_hertz_and_bits_scaled_together_change_nothing(picked, exponent):
    p, factor = drawn(picked), 2.0 ** round(exponent)
    hertz = p.bandwidth_hz * factor
    scaled = {"upload_bits": p.upload_bits * factor, "bandwidth_hz": hertz}
    other = (
        replace(p, **scaled)
        if isinstance(p, NoisePsdProblem)
        else replace(p, **scaled, rate_bps=p.rate_bps * factor)
    )
    np.testing.assert_allclose(
        solve(other).pruning_ratio, solve(p).pruning_ratio, rtol=0, atol=1e-12
    )
    np.testing.assert_allclose(
        solve(other).bandwidth_fraction, solve(p).bandwidth_fraction, rtol=0, atol=1e-12
    )
