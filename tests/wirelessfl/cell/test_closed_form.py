"""Rates, seconds and joules in closed form against formulas written out."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wirelessfl.allocation.allocation import Allocation
from wirelessfl.allocation.noise_psd import NoisePsdProblem
from wirelessfl.allocation.problem import AllocationProblem
from wirelessfl.cell import closed_form as formula
from wirelessfl.planning import allocation_problem
from wirelessfl.scenario.link import PACKET_ERRORS, RATE_MODELS, Link
from wirelessfl.scenario.medium import Medium
from wirelessfl.values import ChannelState, Demand, Scenario

CHECKED = settings(max_examples=80, deadline=None, derandomize=True)
DEMAND = {
    "fixed_updates": 1e4,
    "prunable_updates": 2e4,
    "fixed_upload_bits": 0,
    "prunable_upload_bits": 1e5,
}
SIX = np.full(6, 1 / 6)
links = st.builds(
    Link,
    rate_model=st.sampled_from(RATE_MODELS),
    snr_gap_db=st.sampled_from([0.0, 2.0]),
    max_bps_hz=st.sampled_from([None, 4.0]),
    packet_error=st.sampled_from(PACKET_ERRORS),
    power_control=st.sampled_from(["fixed", "open-loop"]),
)
noises = st.sampled_from([{}, {"noise_figure_db": 5.0}, {"noise_psd_w_per_hz": 1e-20}])


def make_channel(seed, clients=6):
    rng = np.random.default_rng(seed)
    path_gain = 10 ** rng.uniform(-14, -9, clients)
    return ChannelState(
        gain=path_gain * rng.exponential(1, clients), believed_gain=path_gain, path_gain=path_gain
    )


def actual_s(scenario, channel, demand, band, ratio):
    """Seconds until the upload is through, 1 / (1 - q) transmissions of every bit on average."""
    allocation = Allocation(
        problem=allocation_problem(scenario, channel, demand),
        bandwidth_fraction=band,
        pruning_ratio=ratio,
        bandwidth_price=np.zeros(()),
        deadline_price=np.zeros(()),
    )
    spent = formula.phases(scenario, channel, demand, allocation)
    loss = formula.packet_loss(scenario, channel, channel.gain, band)
    with np.errstate(divide="ignore"):
        sent_s = spent.upload_s / (1.0 - loss)
    return allocation.latency_s, spent.download_s + spent.fixed_s + spent.prunable_s + sent_s


@CHECKED
@given(links, noises, st.integers(0, 2**32))
def test_the_plan_has_the_latencies_of_the_cell_when_the_server_knows_the_channel(
    link, noise, seed
):
    """For any bands and ratios, whatever the rate model, the noise and the packet errors."""
    scenario = Scenario(clients=6, link=link, **noise)
    channel = make_channel(seed)
    channel = dataclasses.replace(channel, believed_gain=channel.gain)
    rng = np.random.default_rng(seed)
    demand = Demand.same_for_all(6, **DEMAND)
    planned_s, happened_s = actual_s(
        scenario, channel, demand, rng.dirichlet(np.ones(6)), rng.uniform(0, 0.9, 6)
    )
    np.testing.assert_allclose(happened_s, planned_s, rtol=1e-12)


def test_by_default_the_rate_is_equation_13():
    scenario, channel = Scenario(clients=6), make_channel(1)
    band = np.random.default_rng(1).dirichlet(np.ones(6))
    expected = band * (
        20e6 * (np.log1p(channel.gain * scenario.transmit_power_w / 1e-14) / np.log(2.0))
    )
    np.testing.assert_array_equal(formula.rate_bps(scenario, channel, channel.gain, band), expected)
    np.testing.assert_array_equal(
        formula.sending_rate_bps(scenario, channel, channel.gain, band), expected
    )
    np.testing.assert_array_equal(
        formula.packet_loss(scenario, channel, channel.gain, band), np.zeros(6)
    )
    np.testing.assert_array_equal(
        formula.transmit_power_w(scenario, channel), np.full(6, scenario.transmit_power_w)
    )


def test_a_noise_density_raises_the_snr_of_a_smaller_share():
    """Rate b B log2(1 + SNR / (b gap)) written out, with limit p h / (N0 gap ln 2) at b = 0."""
    scenario = Scenario(clients=6, noise_psd_w_per_hz=1e-20, link=Link(snr_gap_db=3.0))
    channel = make_channel(2)
    signal_hz = channel.gain * scenario.transmit_power_w / 1e-20 / 10**0.3
    rate_bps = formula.rate_bps(scenario, channel, channel.gain, SIX)
    np.testing.assert_allclose(rate_bps, 20e6 / 6 * np.log2(1 + signal_hz / (20e6 / 6)), rtol=1e-12)
    tiny = formula.rate_bps(scenario, channel, channel.gain, np.full(6, 1e-9))
    np.testing.assert_array_less(tiny, signal_hz / np.log(2))
    assert np.all(formula.rate_bps(scenario, channel, channel.gain, np.zeros(6)) == 0)


@pytest.mark.parametrize(
    "link", [Link(rate_model="cqi"), Link(rate_model="mcs"), Link(max_bps_hz=3.0)]
)
def test_tables_and_caps_see_the_snr_in_the_clients_own_band(link):
    scenario = Scenario(clients=6, noise_psd_w_per_hz=1e-20, link=link)
    channel = make_channel(3)
    in_band = channel.gain * scenario.transmit_power_w / (1e-20 * 20e6 / 6)
    rate_bps = formula.rate_bps(scenario, channel, channel.gain, SIX)
    np.testing.assert_allclose(rate_bps, 20e6 / 6 * link.efficiency_bps_hz(in_band), rtol=1e-12)
    assert np.all(formula.rate_bps(scenario, channel, channel.gain, np.zeros(6)) == 0)


def test_noise_figure_is_thermal_noise_and_planned_as_a_density():
    figure = Scenario(clients=6, noise_figure_db=6.0, link=Link(snr_gap_db=2.0))
    density = Scenario(clients=6, noise_psd_w_per_hz=10**-19.8, link=Link(snr_gap_db=2.0))
    channel, demand = make_channel(4), Demand.same_for_all(6, **DEMAND)
    problems = [allocation_problem(scenario, channel, demand) for scenario in (figure, density)]
    assert all(isinstance(problem, NoisePsdProblem) for problem in problems)
    np.testing.assert_allclose(problems[0].snr, problems[1].snr, rtol=1e-12)
    whole = 10**-19.8 * 20e6 * 10**0.2
    np.testing.assert_allclose(
        problems[0].snr, channel.believed_gain * figure.transmit_power_w / whole, rtol=1e-12
    )


def test_the_server_plans_with_goodput_at_the_believed_gain():
    link = Link(rate_model="cqi", packet_error="waterfall", waterfall_threshold=0.5)
    scenario, channel = Scenario(clients=6, link=link), make_channel(5)
    problem = allocation_problem(scenario, channel, Demand.same_for_all(6, **DEMAND))
    assert isinstance(problem, AllocationProblem)
    snr = channel.believed_gain * scenario.transmit_power_w / 1e-14
    np.testing.assert_allclose(
        problem.rate_bps, 20e6 * link.efficiency_bps_hz(snr) * np.exp(-0.5 / snr), rtol=1e-12
    )


@pytest.mark.parametrize("noise", [{}, {"noise_figure_db": 5.0}])
def test_outage_is_a_gain_below_the_believed_one(noise):
    scenario = Scenario(clients=6, link=Link(packet_error="outage"), **noise)
    channel = make_channel(6)
    loss = formula.packet_loss(scenario, channel, channel.gain, SIX)
    np.testing.assert_array_equal(loss, channel.gain < channel.believed_gain)
    assert 0 < loss.sum() < 6
    sent_bps = formula.sending_rate_bps(scenario, channel, channel.gain, SIX)
    np.testing.assert_array_equal(
        sent_bps, formula.rate_bps(scenario, channel, channel.believed_gain, SIX)
    )


def test_open_loop_power_follows_the_path_within_the_class():
    """Target of -80 dBm in each of the 6 resource blocks (20 MHz / 18 / 180 kHz).

    Half of the path loss is compensated; the power class is PC3.
    """
    link = Link(
        power_control="open-loop", power_class="pc3", p0_dbm=-40.0, path_loss_compensation=0.5
    )
    scenario = Scenario(clients=18, link=link)
    path_loss_db = np.linspace(60, 145, 18)
    gain = 10 ** (-path_loss_db / 10)
    channel = ChannelState(gain=3 * gain, believed_gain=2 * gain, path_gain=gain)
    expected_dbm = np.minimum(-40 + 0.5 * path_loss_db + 10 * np.log10(6), 23)
    assert expected_dbm[0] < 0 < 23 == expected_dbm[-1]
    np.testing.assert_allclose(
        formula.transmit_power_w(scenario, channel), 10 ** ((expected_dbm - 30) / 10), rtol=1e-12
    )
    believed = ChannelState(gain=3 * gain, believed_gain=gain)
    np.testing.assert_array_equal(
        formula.transmit_power_w(scenario, believed), formula.transmit_power_w(scenario, channel)
    )
    wider = dataclasses.replace(
        scenario, link=dataclasses.replace(link, subcarrier_spacing_hz=30e3)
    )
    np.testing.assert_allclose(  # 3 blocks of 360 kHz are as wide as 6 of 180 kHz
        formula.transmit_power_w(wider, channel),
        formula.transmit_power_w(scenario, channel),
        rtol=1e-12,
    )
    many = dataclasses.replace(scenario, clients=1000)  # 20 kHz each: still one block
    first = ChannelState.perfect_csi(np.full(1000, gain[0]))
    np.testing.assert_allclose(formula.transmit_power_w(many, first), 10 ** (-1 - 3), rtol=1e-12)


def test_a_power_class_limits_a_fixed_power():
    scenario = Scenario(clients=2, transmit_power_w=(0.1, 0.63), link=Link(power_class="pc3"))
    power_w = formula.transmit_power_w(scenario, ChannelState.perfect_csi(np.ones(2)))
    np.testing.assert_allclose(power_w, [0.1, 10**-0.7], rtol=1e-12)


def test_many_draws_are_as_one_by_one():
    for link in (
        Link(power_control="open-loop", packet_error="waterfall", rate_model="mcs"),
        Link(),
    ):
        scenario = Scenario(clients=6, noise_figure_db=5.0, link=link)
        draws = [make_channel(seed) for seed in range(4)]
        stacked = ChannelState(
            **{
                name: np.stack([getattr(d, name) for d in draws])
                for name in ("gain", "believed_gain", "path_gain")
            }
        )
        for of in (formula.rate_bps, formula.packet_loss, formula.sending_rate_bps):
            together = of(scenario, stacked, stacked.gain, SIX)
            np.testing.assert_array_equal(
                together, np.stack([of(scenario, d, d.gain, SIX) for d in draws])
            )


def test_a_broadcast_is_the_largest_copy_at_the_slowest_rate_whatever_is_pruned():
    scenario = Scenario(
        clients=2, downlink_rate_bps=(1e6, 2e6), medium=Medium(downlink_broadcast=True)
    )
    zero = np.zeros(2)
    demand = Demand(
        fixed_updates=zero,
        prunable_updates=zero,
        fixed_upload_bits=zero,
        prunable_upload_bits=zero,
        fixed_download_bits=np.array([1e3, 0.0]),
        prunable_download_bits=np.array([2e3, 5e3]),
    )
    np.testing.assert_allclose(formula.fixed_s(scenario, demand), [5e-3, 5e-3])
    np.testing.assert_array_equal(formula.prunable_s(scenario, demand), [0, 0])
    own = dataclasses.replace(scenario, medium=Medium())
    np.testing.assert_allclose(formula.fixed_s(own, demand), [1e-3, 0])
    np.testing.assert_allclose(formula.prunable_s(own, demand), [2e-3, 2.5e-3])
    _, happened_s = actual_s(
        scenario,
        ChannelState.perfect_csi(np.ones(2)),
        demand,
        np.full(2, 0.5),
        np.array([0.5, 1.0]),
    )
    np.testing.assert_allclose(happened_s, [5e-3, 5e-3])
    second = demand.restricted_to(np.array([False, True]))  # the slow client takes no part
    np.testing.assert_allclose(formula.fixed_s(scenario, second), [0, 2.5e-3])
    assert formula.fixed_s(Scenario(clients=2, medium=scenario.medium), demand).tolist() == [0, 0]
