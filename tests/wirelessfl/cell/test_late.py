"""The policy `late-next-round`: what is open when a round ends goes on in the next."""

import numpy as np
import pytest
from helpers.cells import allocate, by_hand, changed, make_case, random_allocation
from hypothesis import given, settings
from hypothesis import strategies as st

from wirelessfl.cell import cell
from wirelessfl.cell import closed_form as formula
from wirelessfl.rng import Streams
from wirelessfl.rounds.one_round import delivery
from wirelessfl.values import ON_TIME, Backlog

LATE = {"deadline_policy": "late-next-round", "deadline_s": 1.0}


def backlog_of(updates, bits, pending=None):
    updates, bits = (
        np.atleast_1d(np.asarray(updates, float)),
        np.atleast_1d(np.asarray(bits, float)),
    )
    return Backlog(
        pending=np.ones(len(bits), bool) if pending is None else pending,
        updates=updates,
        upload_bits=bits,
    )


def lines_of(timing, client=0):
    return [(event, time_s) for time_s, number, event in timing.trace if number == client]


def owed(timing):
    return [
        array.tolist()
        for array in (timing.backlog.pending, timing.backlog.updates, timing.backlog.upload_bits)
    ]


def test_a_late_upload_leaves_its_open_bits():
    """After 0.4 s of work 0.6 of 1 Mbit are sent by the deadline; the rest would end at 1.4 s."""
    timing = cell.simulate(*by_hand(0.4, 1e6, **LATE))
    pending, updates, bits = owed(timing)
    assert (pending, updates) == ([True], [0.0])
    np.testing.assert_allclose(bits, [4e5], rtol=1e-6)
    assert timing.round_s == 1.0
    assert not timing.delivered[0]
    assert not timing.lost[0]
    np.testing.assert_allclose(timing.finish_s, [1.4], rtol=1e-12)
    np.testing.assert_allclose([timing.compute_s[0], timing.upload_s[0]], [0.4, 0.6], rtol=1e-6)
    np.testing.assert_allclose(timing.energy_j, [0.4 * 0.1 + 0.6], rtol=1e-6)
    assert [event for event, _ in lines_of(timing)] == ["fixed work done", "prunable work done"]
    assert timing.trace[-1] == (1.0, cell.SERVER, "deadline")


def test_late_work_leaves_its_open_updates_and_all_bits():
    pending, updates, bits = owed(cell.simulate(*by_hand(2.5, 1e6, **LATE)))
    assert (pending, bits) == ([True], [1e6])
    np.testing.assert_allclose(updates, [1.5e9], rtol=1e-6)


def test_the_old_update_goes_first_and_the_new_one_follows():
    """0.2 s of open work and 0.3 s of open bits, then 0.1 s of new work and 0.2 s of new bits."""
    timing = cell.simulate(*by_hand(0.1, 2e5, **LATE), backlog=backlog_of(2e8, 3e5))
    names, times = zip(*lines_of(timing), strict=True)
    assert names == ("late update arrived", "fixed work done", "prunable work done", "uploaded")
    np.testing.assert_allclose(times, [0.5, 0.5, 0.6, 0.8], rtol=1e-12)
    assert timing.earlier.tolist() == timing.delivered.tolist() == [True]
    assert owed(timing) == [[False], [0.0], [0.0]]
    np.testing.assert_allclose(timing.finish_s, [0.8], rtol=1e-12)
    np.testing.assert_allclose([timing.compute_s[0], timing.upload_s[0]], [0.3, 0.5], rtol=1e-12)
    np.testing.assert_allclose(timing.energy_j, [0.3 * 0.1 + 0.5], rtol=1e-12)
    assert timing.round_s == pytest.approx(0.8)


def test_a_newer_late_update_takes_the_place_of_one_that_did_not_get_through():
    timing = cell.simulate(*by_hand(0.1, 2e5, **LATE), backlog=backlog_of(2e8, 3e6))
    assert timing.earlier.tolist() == timing.delivered.tolist() == [False]
    pending, updates, bits = owed(timing)
    assert (pending, bits) == ([True], [2e5])
    np.testing.assert_allclose(updates, [1e8], rtol=1e-12)
    assert delivery(
        changed(by_hand(0.1, 1)[0], **LATE), timing, np.ones(1, bool)
    ).late.tolist() == [True]


def test_the_old_arrives_and_the_new_is_late():
    timing = cell.simulate(*by_hand(0.6, 2e5, **LATE), backlog=backlog_of(2e8, 3e5))
    assert (timing.earlier.tolist(), timing.delivered.tolist()) == ([True], [False])
    pending, updates, bits = owed(timing)
    assert (pending, bits) == ([True], [2e5])
    np.testing.assert_allclose(updates, [1e8], rtol=1e-6)


@pytest.mark.parametrize("bands", ["static", "work-conserving"])
def test_a_starved_client_keeps_what_is_pending(bands):
    """Client 0 prunes everything; its open bits wait without band, and go when the band is free."""
    case = by_hand([0.1, 0.1], 5e5, share=[0.0, 1.0], ratio=[1.0, 0.0], bands=bands, **LATE)
    old = backlog_of([0, 0], [4e6, 0], np.array([True, False]))
    timing = cell.simulate(*case, backlog=old)
    assert timing.backlog.pending.tolist() == [True, False]
    assert timing.earlier.tolist() == [False, False]
    sent = (
        0.0 if bands == "static" else 1e5 + 4e5
    )  # before client 1 starts, and after it has ended at 0.6 s
    np.testing.assert_allclose(timing.backlog.upload_bits, [4e6 - sent, 0], rtol=1e-6)
    assert timing.delivered.tolist() == [bands == "static", True]
    told = delivery(case[0], timing, np.ones(2, bool))
    assert [told.on_time.tolist(), told.late.tolist()] == [[False, True], [True, False]]


def test_a_starved_client_that_is_late_has_nothing_pending_of_its_own():
    timing = cell.simulate(*by_hand([1.5], 0.0, ratio=1.0, **LATE))
    assert (timing.delivered.tolist(), timing.backlog.pending.tolist()) == ([False], [False])


def test_who_is_lost_owes_nothing():
    case = by_hand(0.0, 5e6, dropout_probability=1.0, **LATE)
    timing = cell.simulate(*case, streams=Streams(4), backlog=backlog_of(0, 3e6))
    assert timing.lost.tolist() == [True]
    assert owed(timing) == [[False], [0.0], [0.0]]
    assert timing.round_s < 1.0


def test_packets_that_are_through_need_not_be_sent_again():
    """Packets of 100 kbit: one in transmission at the deadline starts again in the next round."""
    case = by_hand(
        0.35, 1e6, packet_error="waterfall", packet_bits=1e5, waterfall_threshold=1e-9, **LATE
    )
    np.testing.assert_allclose(cell.simulate(*case).backlog.upload_bits, [4e5], rtol=1e-9)


def test_who_would_give_up_after_the_round_has_not_given_up():
    """Every packet of 0.2 s is lost, five by the deadline; the next round restarts the packet."""
    changes = {**LATE, "packet_error": "outage", "packet_bits": 4e5}
    timing = cell.simulate(*by_hand(0.0, 1e6, snr=1.0, believed_snr=3.0, **changes))
    assert (timing.lost.tolist(), timing.finish_s.tolist()) == ([False], [np.inf])
    assert owed(timing) == [[True], [0.0], [1e6]]
    assert timing.retransmissions.tolist() == [5]


def test_the_old_update_of_a_starved_client_gets_through_where_it_has_a_band():
    case = by_hand([0.1, 0.1], 1e5, ratio=[1.0, 0.0], **LATE)
    timing = cell.simulate(*case, backlog=backlog_of([0, 0], [2e5, 0], np.array([True, False])))
    assert timing.earlier.tolist() == [True, False]
    assert not timing.backlog.pending.any()
    np.testing.assert_allclose(timing.finish_s, [0.4 + 0.1, 0.1 + 0.2], rtol=1e-12)


def test_who_finishes_at_the_last_moment_owes_nothing():
    """The server checks when the bits have arrived but the client has no acknowledgement yet."""
    timing = cell.simulate(*by_hand(0.0, ON_TIME * 1e6, **LATE))
    assert timing.finish_s.tolist() == [ON_TIME]
    assert timing.delivered.tolist() == [True]
    assert owed(timing) == [[False], [0.0], [0.0]]


def test_nobody_owes_anything_under_the_other_policies():
    for policy in ("wait", "drop"):
        case = by_hand(0.4, 1e6, deadline_s=1.0, deadline_policy=policy, coherence_s=1.0)
        assert owed(cell.simulate(*case)) == [[False], [0.0], [0.0]]


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.integers(0, 2**32), st.integers(1, 6), st.sampled_from(["static", "work-conserving"]))
def test_a_round_and_its_rest_are_the_round_followed_to_its_end(seed, clients, bands):
    """Work until the deadline plus the owed rest equal those under `wait`: energy and seconds."""
    scenario, channel, demand = make_case(seed, clients, "late-next-round")
    scenario = changed(scenario, bands=bands, deadline_s=0.01)
    allocation = random_allocation(seed, scenario, channel, demand)
    late = cell.simulate(scenario, channel, demand, allocation)
    whole, cut = (
        cell.simulate(changed(scenario, deadline_policy=policy), channel, demand, allocation)
        for policy in ("wait", "drop")
    )
    np.testing.assert_allclose(late.finish_s, whole.finish_s, rtol=1e-12)
    np.testing.assert_array_equal(late.delivered, whole.delivered)
    assert late.round_s == cut.round_s
    np.testing.assert_allclose(late.energy_j, cut.energy_j, rtol=1e-9)
    np.testing.assert_array_equal(
        late.backlog.pending, ~late.delivered & (allocation.pruning_ratio < 1)
    )
    kept = allocation.pruning_ratio < 1
    rest_s = whole.compute_s - late.compute_s
    open_s = (
        scenario.per_client("cycles_per_weight")
        / scenario.per_client("cpu_hz")
        * late.backlog.updates
    )
    np.testing.assert_allclose(open_s[kept], rest_s[kept], atol=1e-10)
    if bands == "static":
        cpu_w = scenario.effective_capacitance * scenario.per_client("cpu_hz") ** 3
        air_s = whole.upload_s - late.upload_s
        rest_j = cpu_w * rest_s + scenario.per_client("transmit_power_w") * air_s
        np.testing.assert_allclose(late.energy_j + rest_j, whole.energy_j, rtol=1e-9)
        bits = formula.upload_bits(demand, 1 - allocation.pruning_ratio)
        expected = np.divide(
            bits * air_s, whole.upload_s, out=np.zeros(clients), where=whole.upload_s > 0
        )
        np.testing.assert_allclose(late.backlog.upload_bits, expected, rtol=1e-6, atol=1e-3)


def test_a_scaled_cpu_has_the_open_work_to_do_as_well():
    """A frequency of 3/7 GHz is on time with an open update.

    The work takes 0.2 + 0.1 s at 1 GHz and the bits 0.1 + 0.2 s, which leaves 0.7 s for the work.
    """
    scenario, channel, demand, _ = by_hand(0.1, 2e5, cpu="dvfs", min_cpu_hz=1e8, **LATE)
    backlog = backlog_of(2e8, 1e5)
    allocation = allocate(scenario, channel, backlog.added_to(demand), np.ones(1), np.zeros(1))
    timing = cell.simulate(scenario, channel, demand, allocation, backlog=backlog)
    np.testing.assert_allclose([timing.finish_s[0], timing.compute_s[0]], [1.0, 0.7], rtol=1e-12)
    np.testing.assert_allclose(timing.energy_j, [1e-28 * 3e8 * (3e9 / 7) ** 2 + 0.3], rtol=1e-12)
    assert timing.earlier.tolist() == timing.delivered.tolist() == [True]
