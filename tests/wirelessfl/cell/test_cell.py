"""A round of the cell without impairments against [WFL] eq. (16)-(18)."""

import dataclasses

import numpy as np
import pytest
from helpers.cells import allocate, make_case, permuted, random_allocation
from hypothesis import given, settings
from hypothesis import strategies as st

from wirelessfl.cell import cell
from wirelessfl.cell import closed_form as formula
from wirelessfl.planning import allocation_problem
from wirelessfl.values import ChannelState, Demand, Scenario

CHECKED = settings(max_examples=60, deadline=None, derandomize=True)

cases = st.tuples(st.integers(0, 2**32), st.integers(1, 7))


@CHECKED
@given(cases)
def test_a_round_is_the_formula(case):
    """The times are those of the formulas, to 1e-12.

    finish_s is T_k of [WFL] eq. (16)-(17) written out here, round_s their maximum [WFL] eq. (18).
    """
    scenario, channel, demand = make_case(*case)
    allocation = random_allocation(case[0], scenario, channel, demand)
    timing = cell.simulate(scenario, channel, demand, allocation)
    kept = 1 - allocation.pruning_ratio
    seconds_per_update = np.array(scenario.cycles_per_weight) / np.array(scenario.cpu_hz)
    signal_to_noise = channel.gain * scenario.transmit_power_w / scenario.noise_power_w
    bits = np.where(kept > 0, demand.fixed_upload_bits + kept * demand.prunable_upload_bits, 0)
    rate_bps = (
        np.where(kept > 0, allocation.bandwidth_fraction, 1) * 20e6 * np.log2(1 + signal_to_noise)
    )
    expected_s = (
        seconds_per_update * (demand.fixed_updates + kept * demand.prunable_updates)
        + bits / rate_bps
    )
    np.testing.assert_allclose(timing.finish_s, expected_s, rtol=1e-12)
    np.testing.assert_allclose(timing.finish_s, allocation.latency_s, rtol=1e-12)
    np.testing.assert_allclose(timing.compute_s + timing.upload_s, expected_s, rtol=1e-12)
    assert timing.round_s == pytest.approx(expected_s.max(), rel=1e-12)
    np.testing.assert_array_equal(timing.delivered, timing.finish_s <= 0.025 * (1 + 1e-9))


@CHECKED
@given(cases, st.sampled_from(["wait", "drop"]))
def test_the_trace_tells_the_round_in_order_of_time(case, policy):
    scenario, channel, demand = make_case(*case, policy)
    timing = cell.simulate(
        scenario, channel, demand, random_allocation(case[0], scenario, channel, demand)
    )
    times = [time_s for time_s, _, _ in timing.trace]
    assert times == sorted(times)
    for client in range(scenario.clients):
        mine = [(time_s, event) for time_s, number, event in timing.trace if number == client]
        assert [event for _, event in mine] == ["fixed work done", "prunable work done", "uploaded"]
        assert mine[1][0] == pytest.approx(timing.compute_s[client], rel=1e-12)
        assert mine[2][0] == timing.finish_s[client]
    late = [(scenario.deadline_s, cell.SERVER, "deadline")] if not timing.delivered.all() else []
    assert [line for line in timing.trace if line[1] == cell.SERVER] == late


@CHECKED
@given(cases)
def test_the_downlink_comes_first_and_takes_its_time(case):
    """Download written out.

    A client receives fixed and kept prunable bits at its own rate before it starts to work.
    """
    scenario, channel, demand = make_case(*case)
    rng = np.random.default_rng(case[0])
    rate_bps, fixed, prunable = (
        rng.uniform(low, high, case[1]) for low, high in ((1e6, 1e8), (0, 1e5), (1, 9e5))
    )
    scenario = dataclasses.replace(scenario, downlink_rate_bps=rate_bps)
    demand = dataclasses.replace(demand, fixed_download_bits=fixed, prunable_download_bits=prunable)
    allocation = random_allocation(case[0], scenario, channel, demand)
    timing = cell.simulate(scenario, channel, demand, allocation)
    expected_s = (fixed + (1 - allocation.pruning_ratio) * prunable) / rate_bps
    np.testing.assert_allclose(timing.download_s, expected_s, rtol=1e-12)
    np.testing.assert_allclose(
        timing.finish_s, expected_s + timing.compute_s + timing.upload_s, rtol=1e-12
    )
    np.testing.assert_allclose(timing.finish_s, allocation.latency_s, rtol=1e-12)
    downloaded = {client: time_s for time_s, client, event in timing.trace if event == "downloaded"}
    np.testing.assert_array_equal(
        [downloaded[client] for client in range(case[1])], timing.download_s
    )
    free = cell.simulate(
        dataclasses.replace(scenario, downlink_rate_bps=None), channel, demand, allocation
    )
    np.testing.assert_array_equal(free.download_s, np.zeros(case[1]))
    np.testing.assert_array_equal(
        free.energy_j, timing.energy_j
    )  # receiving costs the client no joules here


def test_a_downlink_that_alone_misses_the_deadline_is_infeasible():
    scenario, channel, demand = make_case(3, 2)
    scenario = dataclasses.replace(scenario, downlink_rate_bps=(1e3, 1e9))
    demand = dataclasses.replace(demand, fixed_download_bits=np.full(2, 1e3))
    status = allocate(scenario, channel, demand, [0.0, 1.0], [1.0, 0.99]).status
    assert status.tolist() == ["infeasible", "active"]


@CHECKED
@given(cases)
def test_bits_are_conserved(case):
    """Transmitted bits, seconds times rate, equal the payload of the training."""
    scenario, channel, demand = make_case(*case)
    allocation = random_allocation(case[0], scenario, channel, demand)
    timing = cell.simulate(scenario, channel, demand, allocation)
    sent = timing.upload_s * formula.rate_bps(
        scenario, channel, channel.gain, allocation.bandwidth_fraction
    )
    kept = 1 - allocation.pruning_ratio
    asked = (demand.fixed_upload_bits + kept * demand.prunable_upload_bits) * (kept > 0)
    np.testing.assert_allclose(sent, asked, rtol=1e-12)


@CHECKED
@given(cases)
def test_permuting_clients_permutes_the_round(case):
    scenario, channel, demand = make_case(*case)
    allocation = random_allocation(case[0], scenario, channel, demand)
    order = np.random.default_rng(case[0]).permutation(scenario.clients)
    other, asked = permuted(scenario, demand, order)
    gain = ChannelState.perfect_csi(channel.gain[order])
    swapped = allocate(
        other, gain, asked, allocation.bandwidth_fraction[order], allocation.pruning_ratio[order]
    )
    timing, swap = (
        cell.simulate(scenario, channel, demand, allocation),
        cell.simulate(other, gain, asked, swapped),
    )
    for name in ("compute_s", "upload_s", "finish_s", "delivered", "energy_j"):
        np.testing.assert_array_equal(getattr(swap, name), getattr(timing, name)[order])
    assert swap.round_s == timing.round_s


@CHECKED
@given(st.integers(0, 2**32), st.floats(0.005, 0.1))
def test_who_finishes_exactly_at_the_deadline_is_on_time(seed, deadline_s):
    """The ratio that solves T_k = deadline for a given band, as at an optimum, despite rounding."""
    scenario, channel, demand = make_case(seed, 6, "drop")
    demand = dataclasses.replace(demand, fixed_upload_bits=np.zeros(6))
    scenario = dataclasses.replace(scenario, deadline_s=deadline_s)
    problem = allocation_problem(scenario, channel, demand)
    band = np.random.default_rng(seed).dirichlet(np.ones(6))
    ratio = np.clip(1 - problem.slack_s / (problem.prunable_s + problem.upload_s / band), 0, 1)
    timing = cell.simulate(
        scenario, channel, demand, allocate(scenario, channel, demand, band, ratio)
    )
    np.testing.assert_array_equal(timing.delivered, problem.slack_s >= 0)


def compute_only(deadline_s, finish_s, policy="wait"):
    """Clients that finish at the given seconds and upload nothing: 1 GHz, one cycle per update."""
    finish_s = np.asarray(finish_s, dtype=float)
    scenario = Scenario(
        clients=len(finish_s),
        deadline_s=deadline_s,
        cpu_hz=1e9,
        cycles_per_weight=1.0,
        deadline_policy=policy,
    )
    zeros = np.zeros(len(finish_s))
    demand = Demand(
        fixed_updates=finish_s * 1e9,
        prunable_updates=zeros,
        fixed_upload_bits=zeros,
        prunable_upload_bits=zeros,
    )
    channel = ChannelState.perfect_csi(zeros + 1e-12)
    return cell.simulate(
        scenario, channel, demand, allocate(scenario, channel, demand, zeros, zeros)
    )


@pytest.mark.parametrize("policy", ["wait", "drop"])
def test_on_time_means_within_a_billionth(policy):
    timing = compute_only(0.02, [0.01, 0.02, 0.02 * (1 + 5e-10), 0.02 * (1 + 3e-9)], policy)
    assert timing.delivered.tolist() == [True, True, True, False]
    times = [time_s for time_s, _, _ in timing.trace]
    assert times == sorted(times)


@pytest.mark.parametrize(
    ("finish_s", "policy", "round_s"),
    [
        ([0.01, 0.015], "wait", 0.015),
        ([0.01, 0.015], "drop", 0.015),
        ([0.01, 0.05], "wait", 0.05),
        ([0.01, 0.05], "drop", 0.02),
        ([0.04, 0.05], "drop", 0.02),
    ],
)
def test_policies(finish_s, policy, round_s):
    """The server goes on when all have finished; under `drop` at the deadline at the latest."""
    timing = compute_only(0.02, finish_s, policy)
    np.testing.assert_allclose(timing.finish_s, finish_s, rtol=1e-12)
    assert timing.delivered.tolist() == [second <= 0.02 for second in finish_s]
    assert timing.round_s == pytest.approx(round_s, rel=1e-12)


@pytest.mark.parametrize("policy", ["wait", "drop"])
def test_an_infeasible_client_finishes_with_its_fixed_work(policy):
    """Band b = 0 and rho = 1: nothing prunable is computed and nothing is sent."""
    scenario, channel, demand = make_case(3, 2, policy)
    fixed_s = formula.compute_s(scenario, demand.fixed_updates)
    scenario = dataclasses.replace(scenario, deadline_s=float(fixed_s[0]) / 2)
    timing = cell.simulate(
        scenario, channel, demand, allocate(scenario, channel, demand, [0, 0], [1, 1])
    )
    np.testing.assert_array_equal(timing.finish_s, fixed_s)
    np.testing.assert_array_equal(timing.upload_s, [0, 0])
    assert not timing.delivered[0]
    worked_s = fixed_s if policy == "wait" else np.minimum(fixed_s, scenario.deadline_s)
    np.testing.assert_allclose(
        timing.energy_j, 1e-28 * scenario.per_client("cpu_hz") ** 3 * worked_s
    )


def test_bits_without_a_band_never_arrive():
    for policy, round_s in (("wait", np.inf), ("drop", 0.025)):
        scenario, channel, demand = make_case(4, 2, policy)
        demand = dataclasses.replace(demand, fixed_updates=np.zeros(2))
        timing = cell.simulate(
            scenario, channel, demand, allocate(scenario, channel, demand, [0.9, 0.0], [1.0, 0.5])
        )
        assert timing.finish_s[1] == np.inf
        assert timing.delivered.tolist() == [True, False]
        assert timing.round_s == round_s


def test_the_cell_uses_the_true_channel_not_the_believed_one():
    scenario, channel, demand = make_case(5, 3)
    wrong = ChannelState(gain=channel.gain, believed_gain=10 * channel.gain)
    claim = allocate(scenario, wrong, demand, np.full(3, 1 / 3), np.zeros(3))
    truth = allocate(scenario, channel, demand, np.full(3, 1 / 3), np.zeros(3))
    timing = cell.simulate(scenario, wrong, demand, claim)
    np.testing.assert_allclose(timing.finish_s, truth.latency_s, rtol=1e-12)
    assert np.all(timing.finish_s > claim.latency_s)


def test_energy_by_hand():
    """Energy of 12 mJ for the CPU and 5 mJ for the radio.

    kappa * cycles * f^2 = 1e-28 * (2e5 + 0.5 * 4e5) * 300 * 1e18 = 12 mJ; 0.5 W for 10 ms: 5 mJ.
    """
    scenario = Scenario(
        clients=1, cpu_hz=1e9, cycles_per_weight=300.0, transmit_power_w=0.5, bandwidth_hz=1e6
    )
    channel = ChannelState.perfect_csi(
        np.array([3 * 1e-14 / 0.5])
    )  # SNR 3: 2 bit/s/Hz, 2 Mbit/s over the whole band
    demand = Demand.same_for_all(
        1, fixed_updates=2e5, prunable_updates=4e5, fixed_upload_bits=0, prunable_upload_bits=20e3
    )
    timing = cell.simulate(
        scenario, channel, demand, allocate(scenario, channel, demand, [0.5], [0.5])
    )
    np.testing.assert_allclose(timing.compute_s, [0.06 + 0.06], rtol=1e-12)
    np.testing.assert_allclose(timing.upload_s, [0.01], rtol=1e-12)
    np.testing.assert_allclose(timing.energy_j, [0.012 + 0.005], rtol=1e-12)


def test_scenario_s_by_hand():
    """T_v = 3.168 ms, T_hat = 1.987 ms, T_c = 9.936 ms: NOTES 1.6."""
    scenario = Scenario()
    ones = np.ones(10)
    np.testing.assert_allclose(formula.compute_s(scenario, 5 * 5280 * ones), 3.168e-3 * ones)
    np.testing.assert_allclose(formula.compute_s(scenario, 16_560 * ones), 1.9872e-3 * ones)
    np.testing.assert_allclose(formula.compute_s(scenario, 5 * 16_560 * ones), 9.936e-3 * ones)
