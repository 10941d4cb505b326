"""Energy of a round: CPU and transmission up to the end of the round, on every path."""

import dataclasses

import numpy as np
import pytest
from helpers.cell_options import BY_FORMULA, OPTIONS, POLICIES
from helpers.cells import allocate, by_hand, changed, fading, make_case, random_allocation
from hypothesis import given, settings
from hypothesis import strategies as st

from wirelessfl.cell import cell, closed_form, vectorised
from wirelessfl.rng import Streams
from wirelessfl.values import Backlog

CHECKED = settings(max_examples=150, deadline=None, derandomize=True)


def bound_j(scenario, channel, round_s):
    """(P + kappa f^3) x round: a client that computed and transmitted all the time."""
    cpu_w = scenario.effective_capacitance * scenario.per_client("cpu_hz") ** 3
    return (closed_form.transmit_power_w(scenario, channel) + cpu_w) * round_s


@CHECKED
@given(
    st.integers(0, 2**32),
    st.integers(1, 5),
    st.sampled_from(POLICIES),
    st.sampled_from(sorted(OPTIONS)),
    st.sampled_from([0.005, 0.025, 0.1]),
)
def test_no_client_spends_more_than_its_power_over_the_round(
    seed, clients, policy, option, deadline_s
):
    """Three rounds in a row, so that a late update's rest is paid for in the next one."""
    scenario, _, demand = make_case(seed, clients, policy)
    scenario, channel = (
        changed(scenario, deadline_s=deadline_s, **OPTIONS[option]),
        fading(seed % 1000, clients),
    )
    allocation, owed = random_allocation(seed, scenario, channel, demand), Backlog.none(clients)
    for round_index in range(3):
        streams = Streams(seed, round_index)
        timing = cell.simulate(scenario, channel, demand, allocation, streams=streams, backlog=owed)
        assert np.all(np.isfinite(timing.energy_j))
        assert np.all(timing.energy_j >= 0)
        assert np.all(timing.energy_j <= bound_j(scenario, channel, timing.round_s))
        owed = timing.backlog


@CHECKED
@given(
    st.integers(0, 2**32),
    st.integers(1, 5),
    st.sampled_from(["wait", "drop"]),
    st.sampled_from(sorted(BY_FORMULA)),
)
@pytest.mark.slow
def test_many_rounds_at_once_cost_what_each_costs_as_events(seed, clients, policy, option):
    """Vectorised, by timeouts and on the event path: one energy, bounded."""
    scenario, channel, demand = make_case(seed, clients, policy)
    scenario = changed(scenario, deadline_s=0.02, **BY_FORMULA[option])
    allocation = random_allocation(seed, scenario, channel, demand)
    shares = (allocation.bandwidth_fraction, allocation.pruning_ratio)
    many = vectorised.round_times(scenario, np.stack([channel.gain] * 2), demand, *shares)
    plain = cell.simulate(scenario, channel, demand, allocation)
    blocks = dataclasses.replace(channel, block_gain=lambda block: channel.gain)
    events = cell.simulate(changed(scenario, coherence_s=1.0), blocks, demand, allocation)
    for energy_j in (*many.energy_j, events.energy_j):
        np.testing.assert_allclose(energy_j, plain.energy_j, rtol=1e-12)
    assert np.all(many.energy_j <= bound_j(scenario, channel, plain.round_s))


PATHS = {"timeouts": {}, "events": {"coherence_s": 100.0}}


@pytest.mark.parametrize("extra", PATHS.values(), ids=PATHS)
@pytest.mark.parametrize(
    ("policy", "deadline_s", "cpu_s", "transmit_s"),
    [
        ("wait", 1.0, 0.4, 2.0),
        ("drop", 5.0, 0.4, 2.0),
        ("drop", 1.0, 0.4, 0.6),
        ("drop", 0.25, 0.25, 0.0),
        ("late-next-round", 1.0, 0.4, 0.6),
    ],
)
def test_a_late_upload_is_charged_up_to_the_end_of_the_round(
    extra, policy, deadline_s, cpu_s, transmit_s
):
    """0.4 s of work at 0.1 W, then 2 Mbit at 1 Mbit/s and 1 W."""
    timing = cell.simulate(
        *by_hand(0.4, 2e6, deadline_s=deadline_s, deadline_policy=policy, **extra)
    )
    np.testing.assert_allclose(timing.energy_j, [0.1 * cpu_s + transmit_s], rtol=1e-8)


@pytest.mark.parametrize("extra", PATHS.values(), ids=PATHS)
@pytest.mark.parametrize("policy", POLICIES)
def test_a_client_without_a_rate_transmits_nothing(extra, policy):
    """0.1 s of work at 0.1 W, then bits that no rate carries."""
    case = by_hand([0.1, 0.2], 1e5, snr=[0.0, 1.0], deadline_s=1.0, deadline_policy=policy, **extra)
    timing = cell.simulate(*case)
    np.testing.assert_allclose(timing.energy_j, [0.1 * 0.1, 0.1 * 0.2 + 0.2], rtol=1e-9)
    many = vectorised.round_times(
        changed(case[0], coherence_s=None, deadline_policy="drop"),
        case[1].gain,
        case[2],
        [0.5, 0.5],
        0.0,
    )
    np.testing.assert_allclose(many.energy_j, timing.energy_j, rtol=1e-9)


def test_blocks_sent_again_after_the_end_of_the_round_do_not_count():
    """Packets of 0.1 s that are always lost: ten losses by the deadline, each sent again."""
    changes = {
        "packet_error": "outage",
        "packet_bits": 2e5,
        "max_transmissions": 1000,
        "deadline_s": 1.05,
    }
    case = by_hand(0.0, 1e6, snr=1.0, believed_snr=3.0, deadline_policy="drop", **changes)
    timing = cell.simulate(*case)
    assert timing.retransmissions.tolist() == [10]
    np.testing.assert_allclose(timing.energy_j, [1.05], rtol=1e-8)


def test_the_utilisation_of_the_band_is_that_of_transmissions():
    """Half the band at 0.6 of 1 s: what is charged is what uses the band."""
    case = by_hand([0.4, 0.0], [2e6, 0.0], deadline_s=1.0, deadline_policy="drop")
    scenario, channel, demand, _ = case
    timing = cell.simulate(
        scenario, channel, demand, allocate(scenario, channel, demand, [0.5, 0.5], [0.0, 0.0])
    )
    assert timing.band_utilisation == pytest.approx(0.3)


def test_the_end_of_the_round_does_not_move_the_end_of_an_upload():
    """10 000 packets of 1 kbit, followed to 10 s although the round ends at 25 ms."""
    changes = {"packet_error": "waterfall", "waterfall_threshold": 1e-12, "packet_bits": 1e3}
    for policy in POLICIES:
        timing = cell.simulate(
            *by_hand(0.0, 1e7, deadline_s=0.025, deadline_policy=policy, **changes)
        )
        np.testing.assert_allclose(timing.finish_s, [10.0], rtol=1e-9)
