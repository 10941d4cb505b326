"""Allocation problem and its answer: latencies, status, shortfall and reasons."""

import numpy as np
import pytest

from wirelessfl.allocation.allocation import Allocation
from wirelessfl.allocation.problem import AllocationProblem
from wirelessfl.errors import InputError

PROBLEM = {
    "deadline_s": 0.025,
    "fixed_s": 0.005,
    "prunable_s": 0.01,
    "upload_bits": 5e5,
    "rate_bps": 1e8,
}


def problem(**changes):
    return AllocationProblem(**{**PROBLEM, **changes})


def allocation(problem, bandwidth_fraction, pruning_ratio):
    price = np.zeros(problem.shape[:-1])
    return Allocation(
        problem=problem,
        bandwidth_fraction=np.broadcast_to(
            np.asarray(bandwidth_fraction, dtype=float), problem.shape
        ),
        pruning_ratio=np.broadcast_to(np.asarray(pruning_ratio, dtype=float), problem.shape),
        bandwidth_price=price,
        deadline_price=price,
    )


def test_latency_by_hand():
    """5 ms + 0.6 (10 ms + 5 ms / 0.25) + 2 ms / 0.25."""
    claim = problem(fixed_upload_bits=2e5).latency_s(0.25, 0.4)
    np.testing.assert_allclose(claim, [0.005 + 0.6 * (0.01 + 0.02) + 0.008], rtol=1e-14)


def test_derived_seconds_by_hand():
    p = problem(fixed_upload_bits=2e5, max_pruning_ratio=0.9)
    np.testing.assert_allclose(p.slack_s, [0.02], rtol=1e-14)
    np.testing.assert_allclose(p.upload_s, [0.005], rtol=1e-14)
    np.testing.assert_allclose(p.fixed_upload_s, [0.002], rtol=1e-14)
    np.testing.assert_allclose(
        p.min_bandwidth, [(0.1 * 0.005 + 0.002) / (0.02 - 0.1 * 0.01)], rtol=1e-14
    )


def test_min_bandwidth_meets_the_deadline_at_the_cap_exactly():
    rng = np.random.default_rng(0)
    p = problem(
        fixed_s=rng.uniform(0, 0.02, (20, 5)),
        upload_bits=rng.uniform(0, 1e6, 5),
        fixed_upload_bits=rng.uniform(0, 1e5, 5),
        max_pruning_ratio=rng.uniform(0.5, 0.99, (20, 5)),
    )
    possible = np.isfinite(p.min_bandwidth)
    assert possible.any()
    latency_s = p.latency_s(p.min_bandwidth, p.max_pruning_ratio)
    np.testing.assert_allclose(latency_s[possible], 0.025, rtol=1e-12)
    np.testing.assert_array_equal(possible, p.slack_s >= (1 - p.max_pruning_ratio) * 0.01)


def test_whoever_keeps_nothing_needs_nothing():
    """Conventions at 0 / 0, 0 * inf and a / 0."""
    p = problem(fixed_upload_bits=[0.0, 1e5, 1e5], rate_bps=[1e8, 1e8, 0.0])
    np.testing.assert_array_equal(p.latency_s(0.0, 1.0), [0.005, 0.005, 0.005])
    np.testing.assert_array_equal(p.min_bandwidth, [0.0, 0.0, 0.0])
    np.testing.assert_array_equal(p.latency_s(0.0, 0.5), [np.inf, np.inf, np.inf])
    np.testing.assert_array_equal(p.upload_s, [0.005, 0.005, np.inf])
    nothing = problem(upload_bits=0.0, rate_bps=0.0)
    np.testing.assert_allclose(nothing.latency_s(0.0, 0.0), [0.015], rtol=1e-14)
    np.testing.assert_array_equal(nothing.upload_s, [0.0])


def test_no_band_is_enough():
    p = problem(
        max_pruning_ratio=[0.5, 0.5, 0.5], prunable_s=[0.04, 0.041, 0.01], rate_bps=[1e8, 1e8, 0.0]
    )
    np.testing.assert_array_equal(p.min_bandwidth, [np.inf, np.inf, np.inf])


def test_fields_are_broadcast_and_cannot_be_edited():
    p = problem(fixed_s=np.zeros((4, 1)), rate_bps=np.full(3, 1e8))
    assert p.shape == (4, 3)
    for name in (
        "deadline_s",
        "fixed_s",
        "prunable_s",
        "upload_bits",
        "rate_bps",
        "fixed_upload_bits",
        "weight",
    ):
        array = getattr(p, name)
        assert (array.shape, array.dtype) == ((4, 3), np.float64)
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1.0
    assert problem().shape == (1,)


FIELDS = [*PROBLEM, "fixed_upload_bits", "weight", "max_pruning_ratio"]


@pytest.mark.parametrize("name", FIELDS)
@pytest.mark.parametrize(
    ("bad", "limit"),
    [
        (np.nan, "finite"),
        (np.inf, "finite"),
        (-1.0, "(at least|above) 0"),
        ("a", "a number"),
        ([1, [2]], "a number"),
    ],
)
def test_bad_number(name, bad, limit):
    with pytest.raises(InputError, match=rf"^{name} must be {limit}") as caught:
        problem(**{name: bad})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"deadline_s": 0.0}, "deadline_s must be above 0, got 0"),
        ({"max_pruning_ratio": 1.1}, "max_pruning_ratio must be at most 1, got 1.1"),
        ({"fixed_s": []}, "the problem must have at least 1 client, got 0"),
        ({"bandwidth_hz": 0.0}, "bandwidth_hz must be above 0, got 0"),
        ({"bandwidth_hz": np.nan}, "bandwidth_hz must be finite, got nan"),
        ({"bandwidth_hz": "20e6"}, "bandwidth_hz must be a number, got '20e6'"),
        (
            {"bandwidth_hz": [10e6, 20e6]},
            "bandwidth_hz must be one number, got [10000000.0, 20000000.0]",
        ),
    ],
)
def test_bad_input(changes, message):
    with pytest.raises(InputError) as caught:
        problem(**changes)
    assert str(caught.value) == message


def test_shapes_that_do_not_broadcast_are_named():
    with pytest.raises(InputError, match=r"fixed_s \(2,\), .*rate_bps \(3,\)"):
        problem(fixed_s=[0.0, 0.0], rate_bps=[1e8, 1e8, 1e8])


@pytest.mark.parametrize(
    ("ratio", "band", "changes", "status"),
    [
        (0.4, 0.5, {}, "active"),
        (0.0, 0.5, {}, "unpruned"),
        (1.0, 0.0, {}, "starved"),
        (0.9, 0.5, {"max_pruning_ratio": 0.9}, "capped"),
        (0.8, 0.5, {"max_pruning_ratio": 0.9}, "active"),
        (0.95, 0.5, {"max_pruning_ratio": 0.9}, "infeasible"),
        (1.0, 0.0, {"fixed_s": 0.03}, "infeasible"),
        (1.0, 0.0, {"fixed_s": 0.025}, "starved"),
        (0.0, 0.5, {"max_pruning_ratio": 0.0}, "unpruned"),
        (0.0, 0.5, {"fixed_s": 0.03}, "infeasible"),
        (0.0, 0.5, {"rate_bps": 0.0}, "late"),
        (0.5, 0.0, {}, "late"),
        (0.0, 0.01, {}, "late"),
        (1.0, 0.0, {"rate_bps": 0.0}, "starved"),
    ],
)
def test_status(ratio, band, changes, status):
    assert allocation(problem(**changes), band, ratio).status.tolist() == [status]


def test_late_clients_are_named_with_their_reason():
    """Client 0 has no rate, client 1 needs all of its time for its upload, client 2 is on time."""
    p = problem(rate_bps=[0.0, 1e8, 1e8], prunable_s=0.0, fixed_s=0.0, upload_bits=1e6)
    a = allocation(p, [0.4, 0.1, 0.5], 0.0)  # 0.1 s and 0.02 s at a deadline of 0.025 s
    assert a.late.tolist() == [True, True, False]
    assert a.status.tolist() == ["late", "late", "unpruned"]
    assert a.reason == (
        "clients 0: never finish, they have bits to upload and no rate; "
        "clients 1: late by up to 75 ms at their bands and ratios"
    )


def test_an_allocation_without_infeasible_clients_has_no_reason():
    a = allocation(problem(rate_bps=[1e8, 2e8]), 0.5, [0.4, 0.2])
    assert a.reason == ""
    np.testing.assert_array_equal(a.shortfall_s, [0.0, 0.0])
    assert a.shortfall_fraction == 0.0
    assert a.shortfall_hz is None
    np.testing.assert_array_equal(a.latency_s, a.problem.latency_s(0.5, [0.4, 0.2]))


def test_a_late_client_is_named_with_its_missing_seconds():
    a = allocation(problem(fixed_s=[0.005, 0.0275], bandwidth_hz=20e6), [1.0, 0.0], [0.2, 1.0])
    assert a.status.tolist() == ["active", "infeasible"]
    np.testing.assert_allclose(a.shortfall_s, [0.0, 0.0025], rtol=1e-12)
    np.testing.assert_allclose(a.latency_s[1], 0.0275)
    assert a.shortfall_hz == 0.0
    assert a.reason == "client 1: its fixed work alone misses the deadline of 25 ms by 2.5 ms"


def test_a_late_client_is_late_at_ratio_one_whatever_its_cap():
    a = allocation(problem(fixed_s=0.0275, max_pruning_ratio=0.5), 0.0, 1.0)
    np.testing.assert_allclose(a.shortfall_s, [0.0025], rtol=1e-12)
    assert a.reason == "client 0: its fixed work alone misses the deadline of 25 ms by 2.5 ms"


def test_caps_that_do_not_fit_are_named_with_the_missing_band():
    """Two clients at ratio 0.5 need two thirds of the band each, one third too much in total.

    Each uploads for 0.5 * 20 ms over the whole band in 20 - 5 = 15 ms.
    """
    a = allocation(
        problem(upload_bits=[2e6, 2e6], max_pruning_ratio=0.5, bandwidth_hz=30e6), 0.5, 0.7
    )
    assert a.status.tolist() == ["infeasible", "infeasible"]
    np.testing.assert_allclose(a.shortfall_fraction, 1 / 3, rtol=1e-12)
    np.testing.assert_allclose(a.shortfall_hz, 10e6, rtol=1e-12)
    np.testing.assert_array_equal(a.shortfall_s, [0.0, 0.0])
    expected = (
        "clients 0, 1: max_pruning_ratio cannot be kept, 0.3333 of the band (1e+07 Hz) is missing"
    )
    assert a.reason == expected


def test_a_cap_that_no_band_meets_is_named_with_its_missing_seconds():
    a = allocation(problem(prunable_s=0.05, max_pruning_ratio=0.5), 1.0, 0.8)
    np.testing.assert_allclose(a.shortfall_s, [0.005], rtol=1e-12)
    assert a.shortfall_fraction == np.inf
    assert a.reason == "clients 0: max_pruning_ratio cannot be kept, no band is enough"


def test_a_batch_has_a_reason_for_each_problem():
    p = problem(fixed_s=[[0.005, 0.005], [0.03, 0.005]], bandwidth_hz=20e6)
    a = allocation(p, 0.5, [[0.4, 0.4], [1.0, 0.4]])
    assert a.status.shape == a.latency_s.shape == a.shortfall_s.shape == (2, 2)
    assert a.shortfall_fraction.shape == a.shortfall_hz.shape == a.reason.shape == (2,)
    assert a.reason[0] == ""
    assert a.reason[1].startswith("client 0: ")
