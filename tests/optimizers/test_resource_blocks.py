"""Allocation in whole blocks against brute force and a mixed-integer solver."""

import itertools

import numpy as np
import pytest
from helpers.cones import with_fixed_bits
from helpers.problems import CLASSES, changed, problem, random_problems, scenario_rates, scenario_s
from scipy.optimize import Bounds, LinearConstraint, milp

from optimizers import solve
from optimizers.resource_blocks import ResourceBlocks, assign_blocks
from wirelessfl.allocation.noise_psd import NoisePsdProblem
from wirelessfl.errors import InputError


def kept_by_hand(p, band):
    """x = min(1, (c b - e) / (a b + s)), and None where the client cannot take part so; plain
    floats.
    """
    c, a, s, e = p
    if c * band < e * (1 - 1e-14):
        return None
    if e == s == 0:
        return min(1.0, c / a) if a else 1.0
    return min(1.0, (c * band - e) / (a * band + s)) if a * band + s > 0 else 1.0


def by_milp(p, blocks):
    """Maximum of sum w x(n/N) with one binary a client and a number of blocks (HiGHS).

    None where no client's needs fit.
    """
    clients = list(zip(p.slack_s, p.prunable_s, p.upload_s, p.fixed_upload_s, strict=True))
    value, used, rows = [], [], []
    for k, client in enumerate(clients):
        for count in range(blocks + 1):
            kept = kept_by_hand(client, count / blocks)
            if kept is not None and kept >= (1 - p.max_pruning_ratio[k]) * (1 - 1e-14):
                value.append(p.weight[k] * kept)
                used.append(count)
                rows.append(k)
    one_each = (np.arange(p.shape[-1])[:, None] == np.array(rows)).astype(float)
    found = milp(
        -np.array(value),
        integrality=np.ones(len(value)),
        bounds=Bounds(0, 1),
        constraints=[
            LinearConstraint(one_each, 1, 1),
            LinearConstraint(np.array(used)[None], ub=blocks),
        ],
        options={"mip_rel_gap": 0.0},
    )
    return None if found.x is None else float(np.array(value)[found.x > 0.5].sum())


@pytest.mark.parametrize(
    "name", ["regular", "ties", "no_compute", "compute_bound", "caps_fit", "spare_band"]
)
def test_a_mixed_integer_programme_finds_nothing_better(name):
    rng = np.random.default_rng(1)
    solved = 0
    for _ in range(10):
        blocks = int(rng.integers(1, 51))
        p = CLASSES[name](rng, int(rng.integers(1, 8)))
        if name != "caps_fit":
            p = changed(p, fixed_upload_bits=with_fixed_bits(rng, p, rng.choice([0.0, 0.4])))
        a = ResourceBlocks(blocks=blocks).solve(p)
        count = a.bandwidth_fraction * blocks
        np.testing.assert_allclose(count, np.round(count), atol=1e-12)
        assert count.sum() <= blocks + 1e-9
        reference = by_milp(p, blocks)
        assert (reference is None) == (a.reason != ""), (blocks, p)
        if reference is not None:
            assert (p.weight * (1 - a.pruning_ratio)).sum() == pytest.approx(
                reference, abs=1e-9 * p.weight.sum()
            )
            assert np.all(a.latency_s <= p.deadline_s * (1 + 1e-12))
            solved += 1
    assert solved >= 4


def test_scenario_s_loses_little_to_the_continuous_optimum():
    best, a = solve(scenario_s()), solve(scenario_s(), "resource-blocks")
    loss = a.pruning_ratio.mean() - best.pruning_ratio.mean()
    assert 0 < loss < 2e-4
    assert (106 * a.bandwidth_fraction).round().sum() == 106
    assert a.bandwidth_price == pytest.approx(best.bandwidth_price, rel=0.05)


def test_more_blocks_come_closer_and_never_beyond():
    gain = np.random.default_rng(0).gamma(4.0, 1.0, (50, 10))
    p = scenario_s(rate_bps=scenario_rates(gain))
    best = solve(p).pruning_ratio.mean()
    losses = [
        ResourceBlocks(blocks=n).solve(p).pruning_ratio.mean() - best
        for n in (10, 20, 40, 160, 640)
    ]
    assert losses == sorted(losses, reverse=True)
    assert 0 <= losses[-1] < 1e-5
    assert losses[0] > 1e-3


def test_rounding_down_is_worse():
    p = scenario_s()
    best, a = solve(p), ResourceBlocks(blocks=25).solve(p)
    down = np.floor(best.bandwidth_fraction * 25) / 25
    kept = np.minimum(1.0, p.slack_s * down / (p.prunable_s * down + p.upload_s))
    assert (1 - a.pruning_ratio).sum() > kept.sum() * 1.01


def test_by_hand():
    # 4 blocks, x = b / s: the gains of a block are 1/4, 1/6, 1/8 and client 0 is full after 4.
    a = ResourceBlocks(blocks=4).solve(problem(1.0, 0.0, [1.0, 1.5, 2.0]))
    np.testing.assert_array_equal(a.bandwidth_fraction, [1, 0, 0])
    a = ResourceBlocks(blocks=4).solve(problem(1.0, 0.0, [0.5, 1.5, 2.0]))
    np.testing.assert_allclose(a.bandwidth_fraction, [0.5, 0.5, 0])
    assert a.status.tolist() == ["unpruned", "active", "starved"]
    assert a.bandwidth_price == pytest.approx(1 / 1.5)


def test_blocks_worth_nothing_are_not_given():
    a = ResourceBlocks(blocks=10).solve(problem(1.0, 0.0, [0.2, 0.3]))
    np.testing.assert_allclose(a.bandwidth_fraction, [0.2, 0.3])
    assert a.bandwidth_price == a.deadline_price == 0


def test_caps_that_only_a_finer_division_could_keep_are_given_up_with_the_reason():
    p = problem(
        1.0, 0.0, [1.0, 1.0, 1.0], cap=0.7
    )  # 0.3 each: of 3 blocks one each, of 4 blocks two each
    assert ResourceBlocks(blocks=3).solve(p).reason == ""
    a = ResourceBlocks(blocks=4).solve(p)
    assert (
        a.reason
        == "clients 1, 2: max_pruning_ratio cannot be kept, the band is enough, but not as it is divided here"
    )
    assert a.pruning_ratio.sum() == pytest.approx(2.0)


def test_fixed_bits_that_need_more_blocks_than_there_are_exclude_their_clients():
    p = changed(problem(1.0, 0.0, 1.0, [1.0, 1.0, 0.5]), fixed_upload_bits=[0.3e6, 0.3e6, 0.0])
    a = ResourceBlocks(blocks=3).solve(p)
    assert a.status.tolist() == ["active", "active", "starved"]
    a = ResourceBlocks(blocks=2).solve(changed(p, fixed_upload_bits=[0.51e6, 0.4e6, 0.0]))
    assert a.status.tolist() == ["infeasible", "infeasible", "unpruned"]


def test_noise_that_grows_with_the_band():
    p = NoisePsdProblem(
        deadline_s=1.0,
        fixed_s=0.2,
        prunable_s=0.5,
        upload_bits=[4e5, 1e6, 2e6],
        snr=[8.0, 2.0, 0.5],
        bandwidth_hz=1e6,
    )
    a, best = ResourceBlocks(blocks=12).solve(p), solve(p)
    counts = (n for n in itertools.product(range(13), repeat=3) if sum(n) <= 12)

    def kept(count):
        upload_s = [
            bits / (n / 12 * 1e6 * np.log2(1 + snr / (n / 12))) if n else np.inf
            for n, bits, snr in zip(count, p.upload_bits, p.snr, strict=True)
        ]
        return sum(min(1.0, 0.8 / (0.5 + second)) for second in upload_s)

    assert (1 - a.pruning_ratio).sum() == pytest.approx(max(kept(n) for n in counts), abs=1e-12)
    assert best.pruning_ratio.sum() <= a.pruning_ratio.sum()


def test_the_deadline_price_is_the_derivative_with_the_blocks_as_they_are():
    p, step = scenario_s(), 1e-6
    a = solve(p, "resource-blocks")
    ratio = [
        solve(changed(p, deadline_s=0.025 * (1 + h)), "resource-blocks").pruning_ratio.sum()
        for h in (step, -step)
    ]
    assert a.deadline_price == pytest.approx((ratio[1] - ratio[0]) / (2 * step * 0.025), rel=1e-6)


def test_never_better_than_exact_and_a_batch_is_its_rows():
    for name, p in random_problems(100, seed=6):
        if name in ("caps_fit", "caps_clash"):
            continue
        a = ResourceBlocks(blocks=30).solve(changed(p, fixed_s=np.stack([p.fixed_s, p.fixed_s])))
        best = solve(p)
        assert (
            p.weight * (a.pruning_ratio[0] - best.pruning_ratio)
        ).sum() >= -1e-12 * p.weight.sum(), name
        np.testing.assert_array_equal(
            a.pruning_ratio[1], ResourceBlocks(blocks=30).solve(p).pruning_ratio
        )


def test_one_block_a_client_by_brute_force():
    rng = np.random.default_rng(2)
    for clients, blocks in [(1, 1), (3, 3), (4, 6), (5, 3)]:
        value = rng.random((clients, blocks))
        block = assign_blocks(value)
        served = block >= 0
        assert served.sum() == len(set(block[served])) == min(clients, blocks)
        more, fewer = max(clients, blocks), min(clients, blocks)
        table = value if clients <= blocks else value.T
        best = max(
            table[range(fewer), order].sum() for order in itertools.permutations(range(more), fewer)
        )
        assert value[served, block[served]].sum() == pytest.approx(best, rel=1e-14)


@pytest.mark.parametrize(
    ("value", "words"),
    [([1.0, 2.0], r"shape \(clients, blocks\), got \(2,\)"), ([[np.nan]], "finite, got nan")],
)
def test_bad_values_of_blocks(value, words):
    with pytest.raises(InputError, match=f"value must (have|be) {words}"):
        assign_blocks(value)


@pytest.mark.parametrize("blocks", [0, -3, 2.5, True])
def test_a_bad_number_of_blocks(blocks):
    with pytest.raises(InputError, match="blocks must be a whole number of at least 1"):
        ResourceBlocks(blocks=blocks)
