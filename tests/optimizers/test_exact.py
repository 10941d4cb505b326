"""Clipped water-filling against certificates, a conic solver, finite differences and the paper's
closed form.
"""

import numpy as np
import pytest
from helpers.problems import (
    CLASSES,
    IMPORTANCE_S,
    PERSONAL_S,
    changed,
    client_subset,
    problem,
    random_problems,
    scenario_rates,
    scenario_s,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from optimizers import AllocationProblem, certify, solve

ROUNDING = 1e-10


def kept_sum(p, a):
    return (np.asarray(p.weight) * (1.0 - a.pruning_ratio)).sum(axis=-1)


def residuals(certificate):
    return list(vars(certificate).values())


def closed_form(p):
    """[WFL] eq. (47), bounds ignored."""
    root, band_s, work_s = np.sqrt(p.slack_s * p.upload_s), p.upload_s, p.prunable_s
    level = (1 + (band_s / work_s).sum()) / (root / work_s).sum()
    return (root * level - band_s) / work_s


# Every degenerate class


@pytest.mark.parametrize("most_clients", [12, 100])
def test_a_thousand_random_problems_are_certified_optimal(most_clients):
    for name, p in random_problems(1000, seed=most_clients, most_clients=most_clients):
        worst = max(float(r) for r in residuals(certify(p, solve(p))))
        assert worst <= ROUNDING, (name, p.shape, worst)


@pytest.mark.parametrize("decades", [3, 12, 60])
def test_scales_far_apart_cost_no_accuracy(decades):
    rng = np.random.default_rng(decades)
    for _ in range(200):
        clients = int(rng.integers(1, 9))
        c, a, s, w = 10.0 ** rng.uniform(-decades, decades, (4, clients)) * (
            rng.random((4, clients)) > 0.1
        )
        p = AllocationProblem(
            deadline_s=2 * c.max() + 1e-3,
            fixed_s=2 * c.max() + 1e-3 - c,
            prunable_s=a,
            upload_bits=s,
            rate_bps=1,
            weight=w,
        )
        assert max(float(r) for r in residuals(certify(p, solve(p)))) <= ROUNDING


@pytest.mark.slow
def test_a_thousand_random_problems_agree_with_a_conic_solver():
    for name, p in random_problems(1000):
        difference = kept_sum(p, solve(p)) - kept_sum(p, solve(p, "cvxpy"))
        assert abs(difference) <= 1e-6 * max(p.weight.sum(), 1e-9), (name, difference)


def test_every_answer_is_feasible_and_keeps_the_contract_of_its_status():
    for name, p in random_problems(500, seed=3):
        a = solve(p)
        late, starved = p.slack_s < 0, a.status == "starved"
        assert a.bandwidth_fraction.min() >= 0, name
        assert a.bandwidth_fraction.sum() <= 1 + 1e-14, name
        assert np.all((a.pruning_ratio >= 0) & (a.pruning_ratio <= 1)), name
        assert np.all(a.latency_s[~late] <= p.deadline_s[~late] * (1 + 1e-9)), name
        assert np.all((a.bandwidth_fraction == 0)[late | starved]), name
        assert np.all(a.pruning_ratio[late] == 1), name
        assert np.all(a.latency_s[late] == p.fixed_s[late]), name
        np.testing.assert_array_equal(a.status[late], "infeasible")


def test_band_is_left_over_only_where_nobody_can_use_it():
    for name, p in random_problems(500, seed=4):
        a = solve(p)
        wants = (
            (a.pruning_ratio > 0)
            & (p.slack_s > 0)
            & (p.weight > 0)
            & (p.upload_s > 0)
            & (p.upload_s < np.inf)
        )
        if wants.any():
            assert a.bandwidth_fraction.sum() == pytest.approx(1.0, abs=1e-14), name
        else:
            assert a.bandwidth_price == 0 or a.bandwidth_fraction.sum() == pytest.approx(
                1.0, abs=1e-14
            ), name


def test_latency_equals_the_deadline_of_every_partly_pruned_client():
    for name, p in random_problems(500, seed=5):
        a = solve(p)
        partly = (a.pruning_ratio > 0) & (a.pruning_ratio < 0.999)
        np.testing.assert_allclose(
            a.latency_s[partly], p.deadline_s[partly], rtol=1e-11, err_msg=name
        )


@pytest.mark.parametrize("name", CLASSES)
def test_random_feasible_points_are_never_better(name):
    rng = np.random.default_rng(6)
    p = CLASSES[name](rng, 5)
    best, capless = kept_sum(p, solve(p)), changed(p, max_pruning_ratio=1.0)
    for band in rng.dirichlet(np.full(5, 0.5), 300):
        size = np.maximum(band, 1e-300)
        kept = np.clip(p.slack_s / np.maximum(p.prunable_s + p.upload_s / size, 1e-300), 0.0, 1.0)
        allowed = name == "caps_clash" or np.all(kept >= 1.0 - p.max_pruning_ratio)
        if allowed:
            assert (capless.weight * kept).sum() <= best + 1e-12


def test_one_batch_is_the_problems_one_by_one():
    rng = np.random.default_rng(7)
    for name, draw in CLASSES.items():
        rows = [draw(rng, 6) for _ in range(6)]
        names = (
            "deadline_s",
            "fixed_s",
            "prunable_s",
            "upload_bits",
            "rate_bps",
            "weight",
            "max_pruning_ratio",
        )
        stacked = {
            field: np.stack([getattr(row, field) for row in rows]).reshape(2, 3, 6)
            for field in names
        }
        batch = solve(AllocationProblem(**stacked))
        assert batch.bandwidth_price.shape == batch.deadline_price.shape == (2, 3)
        for index, row in zip(np.ndindex(2, 3), rows, strict=True):
            alone = solve(row)
            np.testing.assert_allclose(
                batch.pruning_ratio[index], alone.pruning_ratio, atol=1e-14, err_msg=name
            )
            np.testing.assert_allclose(
                batch.bandwidth_price[index], alone.bandwidth_price, rtol=1e-13
            )
            np.testing.assert_allclose(
                batch.deadline_price[index], alone.deadline_price, rtol=1e-13
            )


@settings(deadline=None, derandomize=True)
@given(
    st.permutations(range(7)),
    st.sampled_from(sorted(set(CLASSES) - {"caps_clash"})),
    st.integers(0, 50),
)
def test_reordering_the_clients_reorders_the_answer(order, name, seed):
    p = CLASSES[name](np.random.default_rng(seed), 7)
    a, b = solve(p), solve(client_subset(p, np.array(order)))
    np.testing.assert_allclose(
        kept_sum(p, a), (p.weight[list(order)] * (1 - b.pruning_ratio)).sum(), rtol=1e-12
    )
    if name != "band_exactly_enough":  # where any price down to 0 is right
        np.testing.assert_allclose(b.bandwidth_price, a.bandwidth_price, rtol=1e-9)
    if not name.startswith(
        ("no_compute", "some_compute", "tiny_compute")
    ):  # there the optimum need not be unique
        np.testing.assert_allclose(b.pruning_ratio, a.pruning_ratio[list(order)], atol=1e-9)


# Prices

SMOOTH = (
    "regular",
    "identical",
    "late_some",
    "compute_bound",
    "weight_zero",
    "bits_zero",
    "slack_zero",
    "caps_fit",
)


def slopes(p, change, step):
    """Left, central and right difference quotient of the kept sum."""
    low, here, high = (kept_sum(p, solve(change(p, shift))) for shift in (-step, 0.0, step))
    return (here - low) / step, (high - low) / (2 * step), (high - here) / step


def more_band(p, share):
    return changed(p, rate_bps=p.rate_bps * (1 + share))


def later(p, seconds):
    return changed(p, deadline_s=p.deadline_s + seconds)


@pytest.mark.parametrize(
    ("field", "change", "step"),
    [("bandwidth_price", more_band, 1e-5), ("deadline_price", later, 1e-5)],
)
@pytest.mark.parametrize("name", SMOOTH)
def test_prices_equal_finite_differences(name, field, change, step):
    rng = np.random.default_rng(8)
    checked = 0
    for _ in range(30):
        p = CLASSES[name](rng, int(rng.integers(1, 9)))
        left, slope, right = slopes(p, change, step)
        price = getattr(solve(p), field)
        if abs(left - right) <= 1e-3 * abs(slope):  # no kink within the step
            assert price == pytest.approx(slope, rel=1e-5, abs=1e-8)
            checked += 1
    assert checked >= 15


def test_spare_band_and_a_met_deadline_are_worth_nothing():
    a = solve(problem([1.0, 1.0], 0.1, 0.2))
    assert (a.bandwidth_price, a.deadline_price) == (0.0, 0.0)
    np.testing.assert_array_equal(a.status, "unpruned")


# Scenario S of [WFL]


def test_anchor_vectors_of_scenario_s():
    p = scenario_s()
    a = solve(p)
    upload_ms = [2.45, 2.76, 3.08, 3.40, 3.75, 4.11, 4.50, 4.91, 5.36, 5.85]
    band = [0.151, 0.144, 0.136, 0.126, 0.114, 0.101, 0.086, 0.068, 0.048, 0.025]
    ratio = [0.242, 0.318, 0.391, 0.463, 0.535, 0.607, 0.682, 0.758, 0.836, 0.918]
    np.testing.assert_allclose(1e3 * p.upload_s, upload_ms, atol=0.0051)
    np.testing.assert_allclose(a.bandwidth_fraction, band, atol=5.1e-4)
    np.testing.assert_allclose(a.pruning_ratio, ratio, atol=5.1e-4)
    assert a.pruning_ratio.mean() == pytest.approx(0.575, abs=5e-4)
    assert a.bandwidth_price == pytest.approx(3.118, abs=5e-4)
    np.testing.assert_allclose(a.latency_s, 0.025, rtol=1e-12)
    np.testing.assert_array_equal(a.status, "active")
    assert a.reason == ""


@pytest.mark.parametrize("deadline_s", [0.020, 0.030])
def test_the_interior_band_does_not_depend_on_a_common_deadline(deadline_s):
    band = solve(scenario_s()).bandwidth_fraction
    np.testing.assert_allclose(
        solve(scenario_s(deadline_s=deadline_s)).bandwidth_fraction, band, rtol=1e-12
    )


def test_a_cap_binds_for_the_last_client_at_15_ms():
    a = solve(scenario_s(deadline_s=0.015, max_pruning_ratio=0.95))
    assert a.bandwidth_fraction[-1] == pytest.approx(0.031, abs=5e-4)
    assert a.pruning_ratio[-1] == 0.95
    assert list(a.status) == ["active"] * 9 + ["capped"]


def test_the_papers_slack_misses_the_deadline_by_the_importance_latency():
    as_printed = solve(
        scenario_s(fixed_s=PERSONAL_S)
    )  # [WFL] eq. (39) forgets the importance step, [WFL] erratum W1
    latency_s = scenario_s().latency_s(as_printed.bandwidth_fraction, as_printed.pruning_ratio)
    assert 1e3 * latency_s.max() == pytest.approx(26.99, abs=0.005)
    np.testing.assert_allclose(latency_s, 0.025 + IMPORTANCE_S, rtol=1e-12)


def test_scarce_compute_starves_the_far_clients():
    cycles_s = 20 / 3e9  # "S-comm" of the notes
    p = scenario_s(fixed_s=cycles_s * (5 * 5_280 + 16_560), prunable_s=5 * cycles_s * 16_560)
    a = solve(p)
    assert list(a.status) == ["unpruned"] * 7 + ["active"] + ["starved"] * 2
    assert a.pruning_ratio[7] == pytest.approx(0.975, abs=1e-3)
    assert closed_form(p).min() < 0  # what [WFL] eq. (47) would have given


def test_the_closed_form_is_the_water_filling_where_no_bound_is_active():
    rng = np.random.default_rng(9)
    checked = 0
    for _ in range(300):
        factor = rng.gamma(4.0, 1.0, 10)
        p = scenario_s(rate_bps=scenario_rates(factor), prunable_s=rng.uniform(0.01, 0.03, 10))
        band = closed_form(p)
        ceiling = np.where(
            p.slack_s > p.prunable_s,
            p.upload_s / np.maximum(p.slack_s - p.prunable_s, 1e-300),
            np.inf,
        )
        if np.all((band >= 0) & (band <= ceiling)):
            np.testing.assert_allclose(solve(p).bandwidth_fraction, band, rtol=1e-9, atol=1e-12)
            checked += 1
    assert checked >= 30


def test_marginal_gains_of_interior_clients_equal_the_price():
    p = scenario_s()
    a = solve(p)
    gain = p.slack_s * p.upload_s / (p.prunable_s * a.bandwidth_fraction + p.upload_s) ** 2
    np.testing.assert_allclose(gain, a.bandwidth_price, rtol=1e-12)


def test_identical_clients_share_the_band_equally():
    a = solve(scenario_s(rate_bps=np.full(10, 1e8)))
    np.testing.assert_allclose(a.bandwidth_fraction, 0.1, rtol=1e-12)


def test_more_rate_earns_band_only_where_upload_outweighs_compute():
    for cycles_factor in (
        0.3,
        1.0,
        6.0,
    ):  # [WFL] Remark 2 holds only for large factors ([WFL] erratum W8)
        p = scenario_s(
            fixed_s=0.0, prunable_s=cycles_factor * 0.009936, deadline_s=0.01 + 0.01 * cycles_factor
        )
        a = solve(p)
        # One client's rate moves while the price stays: db/dr has the sign of A / b - T_c.
        level = 1.0 / np.sqrt(a.bandwidth_price)

        def band(rate, p=p, level=level):
            upload_s = p.upload_bits / rate
            return (np.sqrt(p.slack_s * upload_s) * level - upload_s) / p.prunable_s

        interior = (a.pruning_ratio > 0) & (a.bandwidth_fraction > 0)
        change = band(p.rate_bps * 1.0001) - band(p.rate_bps)
        sign = np.sign(p.upload_s / np.maximum(a.bandwidth_fraction, 1e-300) - p.prunable_s)
        assert interior.sum() >= 2
        np.testing.assert_array_equal(np.sign(change)[interior], sign[interior])


def test_worse_channels_get_more_band_only_when_compute_dominates():
    upload_bound = solve(scenario_s())
    assert np.all(np.diff(upload_bound.bandwidth_fraction) < 0)
    compute_bound = solve(scenario_s(prunable_s=0.1, upload_bits=32 * 1_000))
    assert np.all(np.diff(compute_bound.bandwidth_fraction) > 0)


@pytest.mark.parametrize("field", ["deadline_s", "rate_bps", "speed"])
def test_mean_ratio_falls_with_every_resource(field):
    means = []
    for factor in np.linspace(1.0, 3.0, 15):
        p = scenario_s()
        if field == "speed":
            p = changed(p, fixed_s=p.fixed_s / factor, prunable_s=p.prunable_s / factor)
        else:
            p = changed(p, **{field: getattr(p, field) * factor})
        means.append(solve(p).pruning_ratio.mean())
    assert np.all(np.diff(means) <= 1e-15)
    assert means[-1] < means[0]


def test_ratios_vanish_with_a_long_deadline_and_not_with_endless_band():
    assert np.all(solve(scenario_s(deadline_s=10.0)).pruning_ratio == 0)
    short = scenario_s(deadline_s=0.010, rate_bps=1e15)
    least = 1 - short.slack_s / short.prunable_s
    ratio = solve(short).pruning_ratio
    assert np.all(ratio >= least)
    np.testing.assert_allclose(ratio, least, atol=1e-5)


def test_the_least_ratio_is_convex_in_the_band():
    p = scenario_s()
    band = np.linspace(0.001, 1.0, 500)[:, None]
    ratio = np.clip(1 - p.slack_s / (p.prunable_s + p.upload_s / band), 0, 1)
    assert np.diff(ratio, n=2, axis=0).min() >= -1e-12


# Bounds of feasibility


def test_negative_slack_is_a_result_with_a_reason():
    a = solve(scenario_s(fixed_s=[0.03] + [0.005] * 9))
    assert a.status[0] == "infeasible"
    assert (a.bandwidth_fraction[0], a.pruning_ratio[0], a.latency_s[0]) == (0, 1, 0.03)
    assert a.shortfall_s[0] == pytest.approx(0.005)
    assert "client 0" in a.reason
    assert "5 ms" in a.reason
    assert a.bandwidth_fraction.sum() == pytest.approx(1)


def test_all_clients_late_leaves_the_band_unused():
    p = scenario_s(fixed_s=0.03)
    a = solve(p)
    assert a.bandwidth_fraction.sum() == 0
    assert np.all(a.status == "infeasible")
    assert max(residuals(certify(p, a))) == 0


def test_zero_slack_prunes_everything_and_is_feasible():
    a = solve(scenario_s(fixed_s=[0.025] + [0.005] * 9))
    assert (a.bandwidth_fraction[0], a.pruning_ratio[0], a.latency_s[0]) == (0, 1, 0.025)
    assert a.status[0] == "starved"
    assert a.reason == ""


def test_no_bits_need_no_band():
    a = solve(problem([1.0, 1.0, 0.0, 1.0], [0.5, 2.0, 0.0, 1.0], [0.0, 0.0, 0.0, 9.0]))
    np.testing.assert_allclose(a.bandwidth_fraction, [0, 0, 0, 1])
    np.testing.assert_allclose(a.pruning_ratio, [0, 0.5, 0, 0.9])


def test_caps_that_clash_give_the_optimum_without_caps_and_say_what_is_missing():
    p = scenario_s(max_pruning_ratio=0.5)
    a = solve(p)
    np.testing.assert_array_equal(a.pruning_ratio, solve(scenario_s()).pruning_ratio)
    np.testing.assert_array_equal(a.status == "infeasible", a.pruning_ratio > 0.5)
    missing = p.min_bandwidth.sum() - 1
    assert a.shortfall_fraction == pytest.approx(missing)
    assert a.shortfall_hz == pytest.approx(20e6 * missing)
    assert solve(changed(p, rate_bps=p.rate_bps * (1 + missing) * 1.0001)).reason == ""


def test_the_band_meets_caps_that_just_fit():
    p = scenario_s(max_pruning_ratio=0.5)
    for missing in (0.0, 5e-14):  # what rounding may take from the band must not take the caps away
        a = solve(changed(p, rate_bps=p.rate_bps * p.min_bandwidth.sum() * (1 - missing)))
        np.testing.assert_allclose(a.pruning_ratio, 0.5, atol=1e-12)
        np.testing.assert_array_equal(a.status, "capped")
        assert a.bandwidth_fraction.sum() <= 1 + 1e-15


def test_caps_that_just_fit_leave_no_band_to_a_better_client():
    a = solve(problem([1.0, 1.0], 0.0, [1.2, 0.8], cap=0.5))
    np.testing.assert_allclose(a.bandwidth_fraction, [0.6, 0.4], rtol=1e-15)


def test_fixed_bits_of_all_are_uploaded_before_anything_else():
    p = problem(1.0, 0.0, [10.0, 0.7])
    p = changed(p, fixed_upload_bits=np.array([0.5, 0.3]) * 1e6)
    a = solve(p)
    np.testing.assert_allclose(a.bandwidth_fraction, [0.5, 0.5], rtol=1e-12)
    np.testing.assert_allclose(1 - a.pruning_ratio, [0.0, 0.2 / 0.7], atol=1e-12)
    assert max(float(r) for r in residuals(certify(p, a))) <= ROUNDING


@pytest.mark.parametrize("share", [0.1, 0.9, 0.999])
def test_a_thousand_problems_with_fixed_bits_are_certified_optimal(share):
    rng = np.random.default_rng(8)
    for name, p in random_problems(1000, seed=8):
        rate = np.asarray(p.rate_bps)
        room_bits = np.maximum(p.slack_s, 0.0) * rate * (rng.random(p.shape) > 0.3)
        p = changed(p, fixed_upload_bits=share * rng.dirichlet(np.ones(p.shape[-1])) * room_bits)
        a = solve(p)
        worst = max(float(r) for r in residuals(certify(p, a)))
        assert worst <= ROUNDING, (name, p.shape, worst)
        assert not np.any(
            a.latency_s > np.asarray(p.deadline_s) * (1 + 1e-9), where=p.slack_s >= 0
        ), name


def test_fixed_bits_that_do_not_fit_are_a_result_with_a_reason():
    p = changed(
        problem(1.0, 0.5, [1.0, 1.0, 0.5]), fixed_upload_bits=[0.8e6, 0.7e6, 0.0], bandwidth_hz=1e6
    )
    a = solve(p)
    assert a.status.tolist() == ["infeasible", "infeasible", "unpruned"]
    assert (
        a.reason
        == "clients 0, 1: the fixed bits of all do not fit, 0.5 of the band (5e+05 Hz) is missing"
    )
    assert a.shortfall_hz == pytest.approx(5e5)
