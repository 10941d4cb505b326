"""The cell with coherence blocks, packet losses, dropouts and background load."""

import dataclasses

import numpy as np
import pytest
from helpers.cells import allocate, by_hand, changed, fading, make_case, permuted, random_allocation
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from wirelessfl.cell import cell
from wirelessfl.cell import closed_form as formula
from wirelessfl.rng import Streams
from wirelessfl.values import ChannelState

CHECKED = settings(max_examples=40, deadline=None, derandomize=True)
cases = st.tuples(st.integers(0, 2**32), st.integers(1, 7))
LOSSY = {"packet_error": "waterfall", "packet_bits": 1e3, "max_transmissions": 1000}


def lines_of(timing, event):
    return [(time_s, client) for time_s, client, told in timing.trace if told == event]


def threshold(loss, snr=1.0):
    """The waterfall's threshold with which packets are lost with this probability."""
    return -snr * np.log1p(-loss)


@CHECKED
@given(
    cases,
    st.sampled_from(["wait", "drop"]),
    st.sampled_from([None, 2e6]),
    st.sampled_from([None, 6.0]),
)
def test_events_are_the_formula_where_nothing_happens(
    case, policy, downlink_rate_bps, noise_figure_db
):
    """The event path on a gain that never changes gives the round of timeouts alone."""
    scenario, channel, demand = make_case(*case, policy)
    scenario = changed(
        scenario, downlink_rate_bps=downlink_rate_bps, noise_figure_db=noise_figure_db
    )
    demand = dataclasses.replace(demand, fixed_download_bits=np.full(case[1], 5e3))
    allocation = random_allocation(case[0], scenario, channel, demand)
    plain = cell.simulate(scenario, channel, demand, allocation)
    block = changed(scenario, coherence_s=1e-3)
    still = dataclasses.replace(channel, block_gain=lambda block: channel.gain)
    for other in (channel, still):
        timing = cell.simulate(block, other, demand, allocation)
        for field in dataclasses.fields(timing):
            if field.name not in ("trace", "backlog"):
                rtol = (
                    1e-8 if field.name == "band_utilisation" else 1e-12
                )  # the server looks a billionth late
                np.testing.assert_allclose(
                    getattr(timing, field.name),
                    getattr(plain, field.name),
                    rtol=rtol,
                    err_msg=field.name,
                )
        by_client = [
            sorted((who, event, round(time_s, 12)) for time_s, who, event in told.trace)
            for told in (plain, timing)
        ]
        assert by_client[0] == by_client[1]


def test_the_rate_changes_at_the_borders_of_blocks():
    """Upload through blocks of 1 s with 1 and 2 Mbit/s in turn.

    4 Mbit from 0.5 s on are 0.5 + 2 + 1 Mbit until 3 s, then 0.25 s.
    """
    case = by_hand(0.5, 4e6, blocks=lambda block: 3.0 if block % 2 else 1.0, coherence_s=1.0)
    timing = cell.simulate(*case)
    np.testing.assert_allclose(timing.finish_s, [0.5 + 0.5 + 1 + 1 + 0.25], rtol=1e-12)
    np.testing.assert_allclose(timing.upload_s, [2.75], rtol=1e-12)
    np.testing.assert_allclose(timing.energy_j, [0.5 * 1e-28 * 1e27 + 2.75 * 1.0], rtol=1e-12)


@settings(max_examples=20, deadline=None, derandomize=True)
@given(cases, st.floats(5e-4, 1e-2))
def test_bits_are_conserved_over_blocks(case, coherence_s):
    """The rate, written out block by block, summed over the upload is what was to be sent."""
    scenario, _, demand = make_case(*case)
    scenario, channel = changed(scenario, coherence_s=coherence_s), fading(case[0] % 1000, case[1])
    allocation = random_allocation(case[0], scenario, channel, demand)
    timing = cell.simulate(scenario, channel, demand, allocation)
    sent = np.zeros(case[1])
    for block in range(int(timing.finish_s.max() / coherence_s) + 1):
        rate_bps = formula.rate_bps(
            scenario, channel, channel.block_gain(block), allocation.bandwidth_fraction
        )
        first_s = np.maximum(timing.finish_s - timing.upload_s, block * coherence_s)
        sent += rate_bps * np.maximum(
            np.minimum(timing.finish_s, (block + 1) * coherence_s) - first_s, 0.0
        )
    asked = formula.upload_bits(demand, 1 - allocation.pruning_ratio)
    np.testing.assert_allclose(sent, asked, rtol=1e-9)


def test_an_upload_waits_for_a_block_that_carries_it_and_for_ever_where_none_does():
    silent = by_hand(
        [0, 0], 1e6, blocks=lambda block: [0.0, 1.0 if block >= 7 else 0.0], coherence_s=0.1
    )
    timing = cell.simulate(*silent)
    np.testing.assert_allclose(timing.finish_s, [np.inf, 0.7 + 2.0], rtol=1e-12)
    np.testing.assert_allclose(timing.energy_j[1], 2.0, rtol=1e-12)  # silence costs no power
    assert timing.round_s == np.inf
    assert not timing.lost.any()
    dropped = cell.simulate(changed(silent[0], deadline_policy="drop", deadline_s=1.0), *silent[1:])
    assert dropped.round_s == 1.0


@pytest.mark.parametrize("loss", [0.05, 0.5])
def test_a_packet_is_sent_1_over_1_minus_q_times_and_a_client_loses_a_negative_binomial_number(
    loss,
):
    packets, clients = 20, 600
    case = by_hand(np.zeros(clients), packets * 1e3, **LOSSY, waterfall_threshold=threshold(loss))
    timing = cell.simulate(*case, streams=Streams(3))
    lost = timing.retransmissions
    law = stats.nbinom(packets, 1 - loss)
    assert lost.mean() == pytest.approx(
        packets * loss / (1 - loss), abs=4 * law.std() / np.sqrt(clients)
    )
    for most in law.ppf([0.1, 0.5, 0.9]):
        expected = law.cdf(most)
        assert np.mean(lost <= most) == pytest.approx(
            expected, abs=4 * np.sqrt(expected * (1 - expected) / clients)
        )
    np.testing.assert_allclose(timing.upload_s, (packets + lost) * 1e3 * clients / 1e6, rtol=1e-9)
    np.testing.assert_allclose(
        timing.energy_j, timing.upload_s, rtol=1e-12
    )  # 1 W, retransmissions included
    assert len(lines_of(timing, "block lost")) == lost.sum()


def packet_by_packet(scenario, channel, bits, start_s, uniform, share):
    """End of the upload and number of lost packets of client 0, packet by packet."""
    clock_s, lost, packet, left_bits = start_s, 0, 0, bits
    while left_bits > 1e-9:
        to_send = min(1e3, left_bits)
        while to_send > 1e-9:
            block = int(clock_s / scenario.medium.coherence_s + 1e-9)
            gain = channel.block_gain(block)
            rate_bps = formula.sending_rate_bps(scenario, channel, gain, share)[0]
            seconds = min(to_send / rate_bps, (block + 1) * scenario.medium.coherence_s - clock_s)
            clock_s, to_send = clock_s + seconds, to_send - seconds * rate_bps
        if uniform[packet] < formula.packet_loss(scenario, channel, gain, share)[0]:
            lost += 1
        else:
            left_bits -= 1e3
        packet += 1
    return clock_s, lost


@settings(max_examples=30, deadline=None, derandomize=True)
@given(
    st.integers(0, 1000),
    st.floats(1e2, 5e4),
    st.floats(1e-3, 0.3),
    st.sampled_from(["waterfall", "outage"]),
)
def test_runs_of_packets_are_the_same_as_packet_by_packet(seed, bits, coherence_s, packet_error):
    """Losses found in runs end like the same draws one by one, with another loss per block."""

    def blocks(block):
        return np.random.default_rng((seed, block)).uniform(0.5, 3.0)

    changes = {**LOSSY, "packet_error": packet_error, "waterfall_threshold": threshold(0.3)}
    start_s = 0.0123457  # no packet ends at a border, where either block could be asked
    case = by_hand(
        start_s,
        bits,
        blocks=blocks,
        believed_snr=1.0,
        share=[0.3],
        coherence_s=coherence_s,
        **changes,
    )
    timing = cell.simulate(*case, streams=Streams(seed))
    uniform = Streams(seed).generator("packets", 0).random(5000)
    finish_s, lost = packet_by_packet(*case[:2], bits, start_s, uniform, case[3].bandwidth_fraction)
    assert timing.retransmissions.tolist() == [lost]
    np.testing.assert_allclose(timing.finish_s, finish_s, rtol=1e-9)


def test_long_uploads_are_looked_at_in_parts():
    """10 000 packets of 1 kbit, more than one run: the time without errors, and the mean."""
    case = by_hand(0.0, 1e7, **LOSSY, waterfall_threshold=1e-12)
    np.testing.assert_allclose(cell.simulate(*case).finish_s, [10.0], rtol=1e-9)
    again = cell.simulate(
        changed(case[0], waterfall_threshold=threshold(0.2)), *case[1:]
    ).retransmissions[0]
    assert again == pytest.approx(2500, abs=4 * np.sqrt(1e4 * 0.2 / 0.8**2))


def test_who_gives_up_is_lost_and_nobody_waits_for_it():
    """Client 0 sends at 2 Mbit/s, which its gain does not carry.

    It loses 8 packets of 500 bits at half the band.
    """
    case = by_hand(
        [0.001, 0.01], [1e4, 1e3], snr=[1.0, 3.0], believed_snr=[3.0, 3.0], packet_error="outage"
    )
    case = (changed(case[0], packet_bits=500.0, deadline_s=1.0), *case[1:])
    timing = cell.simulate(*case)
    assert timing.lost.tolist() == [True, False]
    assert timing.delivered.tolist() == [False, True]
    assert timing.finish_s[0] == np.inf
    assert timing.retransmissions.tolist() == [7, 0]
    told = [(time_s, event) for time_s, client, event in timing.trace if client == 0]
    assert [event for _, event in told] == [
        "fixed work done",
        "prunable work done",
        *["block lost"] * 7,
        "gave up",
    ]
    np.testing.assert_allclose(
        [time_s for time_s, _ in told[2:]], 0.001 + 0.0005 * np.arange(1, 9), rtol=1e-9
    )
    assert timing.round_s == pytest.approx(0.011, rel=1e-12)
    np.testing.assert_allclose(
        timing.energy_j, [0.1 * 0.001 + 0.004, 0.1 * 0.01 + 0.001], rtol=1e-9
    )
    once = cell.simulate(changed(case[0], max_transmissions=1), *case[1:])
    assert once.retransmissions.tolist() == [0, 0]
    assert lines_of(once, "block lost") == []


def test_dropouts_come_with_their_probability_at_a_moment_uniform_over_the_deadline():
    clients, probability = 2000, 0.3
    case = by_hand(np.full(clients, 2.0), 0.0, deadline_s=1.0, dropout_probability=probability)
    timing = cell.simulate(*case, streams=Streams(1))
    assert timing.lost.mean() == pytest.approx(probability, abs=4 * np.sqrt(0.21 / clients))
    moments = [time_s for time_s, _ in lines_of(timing, "dropped out")]
    assert len(moments) == timing.lost.sum()
    assert stats.kstest(moments, "uniform").pvalue > 1e-4
    energy_j = np.full(clients, 2.0 * 0.1)
    for time_s, client in lines_of(timing, "dropped out"):
        energy_j[client] = time_s * 0.1  # the cycles done until then
    np.testing.assert_allclose(timing.energy_j, energy_j, rtol=1e-9)
    np.testing.assert_array_equal(timing.lost, ~np.isfinite(timing.finish_s))
    everybody = cell.simulate(
        changed(case[0], dropout_probability=1.0), *case[1:], streams=Streams(1)
    )
    assert everybody.lost.all()
    assert (
        everybody.round_s == max(time_s for time_s, _ in lines_of(everybody, "dropped out")) < 1.0
    )


def test_a_dropout_matters_only_before_the_finish_and_stops_the_upload():
    timing = cell.simulate(
        *by_hand([0.01], 0.0, deadline_s=1.0, dropout_probability=1.0), streams=Streams(0)
    )
    assert timing.delivered.all()
    case = by_hand([0.0], 5e6, deadline_s=1.0, dropout_probability=1.0)
    gone = cell.simulate(*case, streams=Streams(0))
    ((moment_s, _),) = lines_of(gone, "dropped out")
    np.testing.assert_allclose(gone.energy_j, [moment_s])  # 1 W until then
    np.testing.assert_allclose(gone.upload_s, [moment_s])
    assert gone.band_utilisation == pytest.approx(1.0)


EVERYTHING = {
    "packet_error": "waterfall",
    "waterfall_threshold": 1e2,
    "packet_bits": 2e3,
    "coherence_s": 1e-3,
    "dropout_probability": 0.2,
    "cpu": "loaded",
    "bands": "work-conserving",
}


@CHECKED
@given(st.integers(0, 2**32), st.sampled_from(["wait", "drop", "late-next-round"]))
def test_the_same_seed_is_the_same_round_and_the_trace_is_in_order(seed, policy):
    scenario, _, demand = make_case(seed, 6, policy)
    scenario, channel = changed(scenario, **EVERYTHING), fading(seed % 1000, 6)
    allocation = random_allocation(seed, scenario, channel, demand)
    timing, again, other = (
        cell.simulate(scenario, channel, demand, allocation, streams=Streams(seed, round))
        for round in (0, 0, 1)
    )
    assert timing.trace == again.trace
    assert timing.trace != other.trace
    times = [time_s for time_s, _, _ in timing.trace]
    assert times == sorted(times)
    assert all(type(time_s) is float and type(client) is int for time_s, client, _ in timing.trace)
    assert 0 < timing.band_utilisation <= 1
    if policy != "wait":
        assert timing.round_s <= scenario.deadline_s


def test_policies_and_bands_see_the_same_losses():
    """Another rate shifts losses in time, but the same transmissions and clients are lost."""
    case = by_hand(np.zeros(5), 2e4, **LOSSY, waterfall_threshold=threshold(0.4), deadline_s=0.1)
    timings = [
        cell.simulate(
            changed(case[0], deadline_policy=policy, bands=bands), *case[1:], streams=Streams(5)
        )
        for policy in ("wait", "drop")
        for bands in ("static", "work-conserving")
    ]
    assert timings[0].retransmissions.sum() > 20
    for policy, timing in zip(("wait", "wait", "drop", "drop"), timings, strict=True):
        lost = np.bincount([client for _, client in lines_of(timing, "block lost")], minlength=5)
        np.testing.assert_array_equal(lost, timings[0].retransmissions)
        by_s = np.inf if policy == "wait" else 0.1 * (1 - 1e-9)
        in_time = [client for time_s, client in lines_of(timing, "block lost") if time_s < by_s]
        np.testing.assert_array_equal(timing.retransmissions, np.bincount(in_time, minlength=5))
    fewer = by_hand(np.zeros(3), 2e4, **LOSSY, waterfall_threshold=threshold(0.4))
    np.testing.assert_array_equal(
        cell.simulate(*fewer, streams=Streams(5)).retransmissions, timings[0].retransmissions[:3]
    )


@CHECKED
@given(cases, st.sampled_from(["static", "work-conserving"]))
def test_permuting_clients_permutes_the_events(case, bands):
    scenario, _, demand = make_case(*case)
    scenario, channel = (
        changed(scenario, coherence_s=1e-3, bands=bands),
        fading(case[0] % 1000, case[1]),
    )
    allocation = random_allocation(case[0], scenario, channel, demand)
    order = np.random.default_rng(case[0]).permutation(case[1])
    other, asked = permuted(scenario, demand, order)
    gains = ChannelState(
        gain=channel.gain[order],
        believed_gain=channel.believed_gain[order],
        block_gain=lambda block: channel.block_gain(block)[order],
    )
    swapped = allocate(
        other, gains, asked, allocation.bandwidth_fraction[order], allocation.pruning_ratio[order]
    )
    timing, swap = (
        cell.simulate(scenario, channel, demand, allocation),
        cell.simulate(other, gains, asked, swapped),
    )
    for name in ("compute_s", "upload_s", "finish_s", "energy_j"):
        np.testing.assert_allclose(getattr(swap, name), getattr(timing, name)[order], rtol=1e-9)
    assert swap.band_utilisation == pytest.approx(timing.band_utilisation, rel=1e-9)


def test_background_load_takes_time_and_no_energy_of_training():
    case = by_hand(np.full(50, 0.1), 1e3, cpu="loaded")
    free, loaded = (
        cell.simulate(changed(case[0], cpu="fixed"), *case[1:]),
        cell.simulate(*case, streams=Streams(2)),
    )
    assert loaded.compute_s.mean() == pytest.approx(0.1 / 0.8, rel=0.1)
    np.testing.assert_allclose(loaded.energy_j, free.energy_j, rtol=1e-9)
    np.testing.assert_allclose(loaded.finish_s, loaded.compute_s + loaded.upload_s, rtol=1e-12)
    interrupted, resumed = lines_of(loaded, "interrupted"), lines_of(loaded, "resumed")
    assert len(interrupted) == len(resumed) > 50
    held_s = sum(time_s for time_s, _ in resumed) - sum(time_s for time_s, _ in interrupted)
    assert held_s == pytest.approx((loaded.compute_s - 0.1).sum(), rel=1e-9)


def test_a_dropout_under_load_has_cost_the_cycles_done():
    case = by_hand(np.full(20, 5.0), 0.0, cpu="loaded", dropout_probability=1.0, deadline_s=1.0)
    timing = cell.simulate(*case, streams=Streams(2))
    assert timing.lost.all()
    held_s = np.zeros(20)
    for time_s, client, event in timing.trace:
        held_s[client] += {"interrupted": -time_s, "resumed": time_s}.get(event, 0.0)
    for client in range(20):
        mine = [(time_s, event) for time_s, who, event in timing.trace if who == client]
        if len(mine) > 1 and mine[-2][1] == "interrupted":
            held_s[client] += mine[-1][0]
    np.testing.assert_allclose(timing.energy_j, 0.1 * (timing.compute_s - held_s), rtol=1e-9)


@pytest.mark.parametrize("extra", [{}, {"coherence_s": 1.0}])
def test_frequency_scaling_takes_until_the_deadline_and_saves_energy(extra):
    """Work of 0.2 s at 1 GHz takes 0.4 s at 500 MHz, with a quarter of the CPU's energy.

    The upload takes 0.5 s and the deadline is 0.9 s.
    """
    case = by_hand(0.2, 5e5, deadline_s=0.9, cpu="dvfs", **extra)
    timing = cell.simulate(*case)
    np.testing.assert_allclose(timing.finish_s, [0.9], rtol=1e-12)
    assert timing.delivered.all()
    np.testing.assert_allclose(timing.compute_s, [0.4], rtol=1e-12)
    np.testing.assert_allclose(timing.energy_j, [1e-28 * 2e8 * 5e8**2 + 0.5], rtol=1e-12)


@pytest.mark.parametrize(
    ("deadline_s", "policy", "expected"),
    [(9.0, "wait", (0.25 * 2 + 0.75 * 1) / 2.5), (1.75, "drop", (0.25 * 1.25 + 0.75 * 1) / 1.75)],
)
@pytest.mark.parametrize("extra", [{}, {"coherence_s": 1.0}])
def test_utilisation_by_hand(deadline_s, policy, expected, extra):
    """A quarter of the band for 2 s from 0.5 s on, three quarters for 1 s from 0.25 s on."""
    case = by_hand([0.5, 0.25], [5e5, 7.5e5], share=[0.25, 0.75], **extra)
    scenario = changed(case[0], deadline_s=deadline_s, deadline_policy=policy)
    timing = cell.simulate(scenario, *case[1:])
    np.testing.assert_allclose(timing.upload_s, [2.0, 1.0], rtol=1e-12)
    assert timing.band_utilisation == pytest.approx(expected, rel=1e-8)
