"""The exact optimum under a noise spectral density, against certificates, finite differences and
random points.
"""

from dataclasses import replace

import numpy as np
import pytest
from helpers.cli import call
from helpers.problems import CLASSES, scenario_s
from helpers.psd_problems import random_psd_problems, scenario_psd, with_psd
from hypothesis import given, settings
from hypothesis import strategies as st

from optimizers import MinLatency, NoisePsdProblem, certify, solve
from wirelessfl import plugins

ROUNDING = 1e-12


def worst(p, a):
    certificate = certify(p, a)
    return max(float(np.max(value)) for value in vars(certificate).values())


def kept_sum(p, a):
    return (np.asarray(p.weight) * (1.0 - a.pruning_ratio)).sum(axis=-1)


def client_subset(p, order):
    names = (
        "deadline_s",
        "fixed_s",
        "prunable_s",
        "upload_bits",
        "snr",
        "weight",
        "max_pruning_ratio",
    )
    return replace(p, **{name: np.asarray(getattr(p, name))[..., order] for name in names})


def stacked(problems):
    names = (
        "deadline_s",
        "fixed_s",
        "prunable_s",
        "upload_bits",
        "snr",
        "weight",
        "max_pruning_ratio",
    )
    return NoisePsdProblem(
        bandwidth_hz=1e6, **{name: np.stack([getattr(p, name) for p in problems]) for name in names}
    )


# Every degenerate class


@pytest.mark.parametrize(("most_clients", "decades"), [(12, 0.1), (12, 3), (12, 8), (100, 3)])
def test_random_problems_are_certified_optimal(most_clients, decades):
    for name, p in random_psd_problems(
        300, seed=most_clients, most_clients=most_clients, decades=decades
    ):
        assert worst(p, solve(p)) <= ROUNDING, (name, p.shape)


@pytest.mark.parametrize("decades", [3, 12, 60])
def test_scales_far_apart_cost_no_accuracy(decades):
    rng = np.random.default_rng(decades)
    for _ in range(100):
        clients = int(rng.integers(1, 9))
        c, a, s, w = 10.0 ** rng.uniform(-decades, decades, (4, clients)) * (
            rng.random((4, clients)) > 0.1
        )
        snr = 10.0 ** rng.uniform(-6, 6, clients)
        p = NoisePsdProblem(
            deadline_s=2 * c.max() + 1e-3,
            fixed_s=2 * c.max() + 1e-3 - c,
            prunable_s=a,
            upload_bits=s * np.log2(1 + snr),
            snr=snr,
            bandwidth_hz=1.0,
            weight=w,
        )
        assert worst(p, solve(p)) <= ROUNDING


def test_fixed_bits_are_certified_too_and_may_not_fit():
    rng = np.random.default_rng(4)
    crowded = 0
    for _ in range(200):
        clients = int(rng.integers(1, 9))
        snr = 10.0 ** rng.uniform(-3, 3, clients)
        bits_per_s = 1e6 * np.log2(1 + snr)
        p = NoisePsdProblem(
            deadline_s=3.0,
            fixed_s=3.0 - rng.uniform(0.5, 1.5, clients),
            prunable_s=rng.uniform(0.0, 2.0, clients),
            upload_bits=rng.uniform(0.02, 2.0, clients) * bits_per_s,
            fixed_upload_bits=rng.uniform(0, 2 / clients, clients)
            * (rng.random(clients) > 0.3)
            * bits_per_s,
            snr=snr,
            bandwidth_hz=1e6,
            max_pruning_ratio=rng.choice([1.0, 0.95]),
        )
        a = solve(p)
        assert worst(p, a) <= ROUNDING
        crowded += "do not fit" in a.reason
    assert 5 <= crowded <= 150


def test_a_client_next_to_no_band_is_left_with_none():
    """The second client's optimal share is about exp(-1e6), below the smallest number there is."""
    p = NoisePsdProblem(
        deadline_s=2.0,
        fixed_s=1.0,
        prunable_s=0.0,
        upload_bits=[2e6, 2e12],
        snr=1.0,
        bandwidth_hz=1e6,
    )
    a = solve(p)
    assert list(a.status) == ["active", "starved"]
    assert worst(p, a) <= ROUNDING


def test_a_batch_equals_its_rows():
    rng = np.random.default_rng(1)
    problems = [with_psd(CLASSES[name](rng, 5), rng) for name in CLASSES]
    batch = solve(stacked(problems))
    for index, p in enumerate(problems):
        alone = solve(replace(p, bandwidth_hz=1e6))
        np.testing.assert_allclose(
            batch.bandwidth_fraction[index], alone.bandwidth_fraction, rtol=1e-10, atol=1e-300
        )
        np.testing.assert_allclose(batch.pruning_ratio[index], alone.pruning_ratio, atol=1e-13)
        assert batch.bandwidth_price[index] == pytest.approx(alone.bandwidth_price, rel=1e-10)


def test_no_random_point_is_better():
    rng = np.random.default_rng(2)
    for name, p in random_psd_problems(60, seed=3):
        if name in ("caps_fit", "caps_clash"):
            continue
        best = kept_sum(p, solve(p))
        band = rng.dirichlet(np.ones(p.shape[-1]), size=300)
        room_s, speed = np.maximum(p.slack_s, 0.0), np.maximum(p.speed(band), 1e-300)
        uploads = np.asarray(p.upload_bits) > 0
        work_s = p.prunable_s + np.where(uploads, np.where(uploads, p.upload_s, 1.0) / speed, 0.0)
        kept = np.where(
            work_s <= room_s, p.slack_s >= 0, room_s / np.where(work_s > 0, work_s, 1.0)
        )
        assert (np.asarray(p.weight) * kept).sum(axis=-1).max() <= best * (1 + 1e-12) + 1e-12, name


# Prices


def test_prices_equal_finite_differences():
    rng = np.random.default_rng(8)
    checked = 0
    for name in (
        "regular",
        "late_some",
        "compute_bound",
        "weight_zero",
        "bits_zero",
        "some_compute",
        "caps_fit",
    ):
        for _ in range(8):
            p = with_psd(CLASSES[name](rng, 5), rng, 2)
            for price, change in (
                (float(solve(p).bandwidth_price), lambda p, d: wider(p, d)),
                (
                    float(solve(p).deadline_price),
                    lambda p, d: replace(p, deadline_s=np.asarray(p.deadline_s) + d),
                ),
            ):
                low, here, high = (
                    kept_sum(p, solve(change(p, step))) for step in (-1e-5, 0.0, 1e-5)
                )
                if abs((high - here) - (here - low)) <= 1e-3 * abs(
                    high - here
                ):  # no kink within the step
                    assert price == pytest.approx((high - low) / 2e-5, rel=1e-5, abs=1e-8)
                    checked += 1
    assert checked >= 70


def wider(p, share):
    """The band wider at the same power and noise per hertz: the SNR over the whole band falls."""
    return replace(
        p, bandwidth_hz=p.bandwidth_hz * (1 + share), snr=np.asarray(p.snr) / (1 + share)
    )


def test_a_wrong_price_and_a_wrong_band_are_seen():
    p = scenario_psd()
    a = solve(p)
    assert worst(p, replace(a, bandwidth_price=a.bandwidth_price * 1.1)) >= 0.09
    moved = a.bandwidth_fraction + 0.005 * np.where(np.arange(10) % 2 == 0, 1, -1)
    ratio = 1 - p.slack_s / (p.prunable_s + p.upload_s / p.speed(moved))
    certificate = certify(p, replace(a, bandwidth_fraction=moved, pruning_ratio=ratio))
    assert certificate.primal_residual <= 1e-14
    assert certificate.stationarity > 1e-3
    assert certificate.duality_gap == pytest.approx((ratio - a.pruning_ratio).mean(), rel=1e-9)


# Scenario S of [WFL]


def test_anchor_of_scenario_s():
    """Mean ratio 0.574 against 0.575 with fixed noise, bands 0.156 ... 0.048 instead of 0.151 ...
    0.025 ([WFL] erratum W7).
    """
    a = solve(scenario_psd())
    assert a.pruning_ratio.mean() == pytest.approx(0.574, abs=6e-4)
    assert a.pruning_ratio.mean() < solve(scenario_s()).pruning_ratio.mean()
    np.testing.assert_allclose(a.bandwidth_fraction[[0, -1]], [0.156, 0.048], atol=5e-4)
    np.testing.assert_allclose(a.latency_s, 0.025, rtol=1e-12)
    assert (a.reason, set(a.status)) == ("", {"active"})


def test_infeasible_clients_and_caps_have_a_reason_in_hertz():
    late = solve(scenario_psd(fixed_s=np.linspace(0.005, 0.026, 10)))
    assert list(late.status[-2:]) == ["active", "infeasible"]
    assert "client 9: its fixed work alone misses the deadline of 25 ms by 1 ms" in late.reason
    p = scenario_psd(deadline_s=0.015, max_pruning_ratio=0.5)
    a = solve(p)
    missing = p.min_bandwidth.sum() - 1
    assert a.shortfall_hz == pytest.approx(20e6 * missing)
    assert missing > 0
    assert solve(wider(p, missing * 1.0001)).reason == ""
    assert solve(wider(p, missing * 0.9999)).reason != ""


# Properties

sizes = st.tuples(st.integers(0, 2**32 - 1), st.integers(2, 7))
CHECKED = settings(max_examples=30, deadline=None)


def drawn(case):
    rng = np.random.default_rng(case[0])
    names = sorted(set(CLASSES) - {"caps_fit", "caps_clash"})
    return with_psd(CLASSES[names[case[0] % len(names)]](rng, case[1]), rng), rng


@CHECKED
@given(sizes)
def test_permuting_clients_permutes_the_answer(case):
    p, rng = drawn(case)
    order = rng.permutation(case[1])
    a, b = solve(p), solve(client_subset(p, order))
    np.testing.assert_allclose(b.pruning_ratio, a.pruning_ratio[order], atol=1e-9)


@CHECKED
@given(sizes)
def test_more_of_anything_never_hurts(case):
    p, rng = drawn(case)
    here, more = kept_sum(p, solve(p)), 1.0 + rng.uniform(0.01, 1.0)
    least = here - 1e-12 * max(here, 1.0)
    assert kept_sum(p, solve(wider(p, more - 1))) >= least
    assert kept_sum(p, solve(replace(p, snr=np.asarray(p.snr) * more))) >= least
    assert kept_sum(p, solve(replace(p, deadline_s=np.asarray(p.deadline_s) * more))) >= least
    assert kept_sum(p, solve(replace(p, prunable_s=np.asarray(p.prunable_s) / more))) >= least


@CHECKED
@given(sizes)
def test_scaling_hertz_and_bits_together_changes_nothing(case):
    p, rng = drawn(case)
    factor = 10.0 ** rng.uniform(-3, 3)
    scaled = replace(
        p, bandwidth_hz=p.bandwidth_hz * factor, upload_bits=np.asarray(p.upload_bits) * factor
    )
    np.testing.assert_allclose(solve(scaled).pruning_ratio, solve(p).pruning_ratio, atol=1e-9)


# The other allocators


@pytest.mark.parametrize("name", plugins.names("allocators"))
def test_every_allocator_knows_the_rate(name):
    p = scenario_psd()
    a = solve(p, name)
    assert a.problem is p
    assert a.bandwidth_fraction.sum() <= 1 + 1e-12
    assert kept_sum(p, a) <= kept_sum(p, solve(p)) + 1e-6 or np.max(a.latency_s) > 0.025 * (
        1 + 1e-9
    )


def test_equal_shares_are_those_of_fixed_noise():
    np.testing.assert_allclose(
        solve(scenario_psd(), "equal").pruning_ratio,
        solve(scenario_s(), "equal").pruning_ratio,
        rtol=1e-12,
    )


@pytest.mark.parametrize("bits", [5e5, [5e5] + [1e2] * 9])
@pytest.mark.parametrize("snr", [0.01, 1e4])
def test_all_finish_together_in_the_fastest_band(bits, snr):
    a = solve(
        scenario_psd(fixed_s=np.linspace(0.0, 0.01, 10), upload_bits=bits, snr=snr),
        MinLatency(pruning_ratio=0.2),
    )
    np.testing.assert_allclose(a.latency_s, a.latency_s[0], rtol=1e-12)
    assert a.bandwidth_fraction.sum() == pytest.approx(1, rel=1e-12)


# The command line


def test_allocate_under_a_spectral_density(capsys, monkeypatch):
    arguments = ("allocate", "wfl-mnist", "--set", "channel.model=static", "--json")
    fixed = call(capsys, monkeypatch, *arguments).json()
    psd = call(capsys, monkeypatch, *arguments, "--set", "scenario.noise_psd_w_per_hz=5e-21").json()
    assert np.mean(fixed["pruning_ratio"]) == pytest.approx(0.575, abs=6e-4)
    assert psd["bandwidth_fraction"][0] == pytest.approx(0.156, abs=5e-4)
    assert psd["bandwidth_fraction"][-1] == pytest.approx(0.048, abs=5e-4)
    assert max(psd["certificate"].values()) <= ROUNDING
    wrong = call(capsys, monkeypatch, "allocate", "--set", "scenario.noise_psd_w_per_hz=-1")
    assert wrong.status == 2
    assert "scenario.noise_psd_w_per_hz must be above 0, got -1" in wrong.err


def test_a_run_under_a_spectral_density_meets_the_deadline(capsys, monkeypatch, tmp_path):
    settings = ("run.train=false", "run.rounds=3", "scenario.noise_psd_w_per_hz=5e-21")
    arguments = [part for setting in settings for part in ("--set", setting)]
    ended = call(
        capsys, monkeypatch, "run", "wfl-mnist", *arguments, "--out", tmp_path / "run", "--json"
    )
    assert ended.status == 0, ended.err
    rounds = [line for line in (tmp_path / "run" / "rounds.jsonl").read_text().splitlines() if line]
    assert len(rounds) == 3
    assert "noise_psd_w_per_hz = 5e-21" in (tmp_path / "run" / "experiment.toml").read_text()
    assert ended.json()["max_latency_s"] == pytest.approx(0.025, rel=1e-9)
