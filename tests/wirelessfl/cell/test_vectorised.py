"""Many rounds in closed form against the simulation by events."""

import dataclasses

import numpy as np
import pytest
from helpers.cells import allocate, changed, make_case, random_allocation
from hypothesis import given, settings
from hypothesis import strategies as st

from wirelessfl.cell import cell
from wirelessfl.cell import vectorised as fast
from wirelessfl.errors import InputError
from wirelessfl.values import ChannelState


@settings(max_examples=80, deadline=None, derandomize=True)
@given(
    st.integers(0, 2**32),
    st.integers(1, 7),
    st.sampled_from(["wait", "drop"]),
    st.fixed_dictionaries(
        {},
        optional={
            "downlink_rate_bps": st.just(3e6),
            "downlink_broadcast": st.booleans(),
            "noise_figure_db": st.just(7.0),
            "rate_model": st.sampled_from(["shannon", "cqi", "mcs"]),
            "power_control": st.sampled_from(["fixed", "open-loop"]),
            "deadline_s": st.floats(0.005, 0.1),
        },
    ),
)
def test_the_two_clocks_agree_round_by_round(seed, clients, policy, changes):
    """A batch of 2 x 3 rounds by formula is each of them as events, to 1e-12."""
    scenario, _, demand = make_case(seed, clients, policy)
    scenario = changed(scenario, **changes)
    demand = dataclasses.replace(demand, fixed_download_bits=np.full(clients, 1e4))
    draw = np.random.default_rng(seed)
    gain, path_gain = 10 ** draw.uniform(-13, -10, (2, 2, 3, clients))
    allocations = np.empty((2, 3), dtype=object)
    for index in np.ndindex(2, 3):
        channel = ChannelState(
            gain=gain[index], believed_gain=gain[index], path_gain=path_gain[index]
        )
        allocations[index] = random_allocation(seed + sum(index), scenario, channel, demand)
    band, ratio = (
        np.array([[getattr(a, name) for a in row] for row in allocations])
        for name in ("bandwidth_fraction", "pruning_ratio")
    )
    times = fast.round_times(scenario, gain, demand, band, ratio, path_gain=path_gain)
    for index in np.ndindex(2, 3):
        channel = ChannelState(
            gain=gain[index], believed_gain=gain[index], path_gain=path_gain[index]
        )
        events = cell.simulate(scenario, channel, demand, allocations[index])
        for field in dataclasses.fields(times):
            found, expected = getattr(times, field.name)[index], getattr(events, field.name)
            np.testing.assert_allclose(found, expected, rtol=1e-12, err_msg=field.name)


def test_shapes_broadcast_and_batches_larger_than_a_chunk_are_whole(monkeypatch):
    scenario, channel, demand = make_case(1, 5)
    share, ratio = np.full(5, 0.2), np.full(5, 0.5)
    one = fast.round_times(scenario, channel.gain, demand, share, 0.5)
    assert (one.finish_s.shape, one.round_s.shape) == ((5,), ())
    assert (
        one.round_s
        == cell.simulate(
            scenario, channel, demand, allocate(scenario, channel, demand, share, ratio)
        ).round_s
    )
    gain = channel.gain * np.random.default_rng(0).exponential(size=(9, 5))
    whole = fast.round_times(scenario, gain, demand, share, np.linspace(0, 0.9, 9)[:, None])
    monkeypatch.setattr(fast, "_AT_ONCE", 11)
    parts = fast.round_times(scenario, gain, demand, share, np.linspace(0, 0.9, 9)[:, None])
    for field in dataclasses.fields(whole):
        np.testing.assert_array_equal(getattr(parts, field.name), getattr(whole, field.name))
    assert whole.round_s.shape == (9,)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"packet_error": "outage"}, "scenario.packet_error must be none, got outage"),
        ({"bands": "work-conserving"}, "scenario.bands must be static, got work-conserving"),
        ({"coherence_s": 0.1}, "scenario.coherence_s must be left out, got 0.1"),
        ({"dropout_probability": 0.1}, "scenario.dropout_probability must be 0, got 0.1"),
        ({"cpu": "loaded"}, "scenario.cpu must be fixed, got loaded"),
        ({"cpu": "dvfs"}, "scenario.cpu must be fixed, got dvfs"),
        (
            {"deadline_policy": "late-next-round"},
            "scenario.deadline_policy must be wait or drop, got late-next-round",
        ),
    ],
)
def test_what_needs_events_is_refused_in_one_line(changes, message):
    scenario, channel, demand = make_case(1, 3)
    with pytest.raises(InputError) as caught:
        fast.round_times(changed(scenario, **changes), channel.gain, demand, 1 / 3, 0.5)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


def test_shapes_that_do_not_fit_are_one_line():
    scenario, channel, demand = make_case(1, 3)
    with pytest.raises(InputError, match=r"must fit \(\.\.\., 3\), got \(3,\), \(2,\), \(\)"):
        fast.round_times(scenario, channel.gain, demand, np.full(2, 0.5), 0.5)
