"""Bands that are divided over the transmitting clients at every moment."""

import itertools

import numpy as np
import pytest
from helpers.cells import by_hand, changed, fading, make_case, random_allocation
from hypothesis import given, settings
from hypothesis import strategies as st

from wirelessfl.cell import cell
from wirelessfl.cell import closed_form as formula
from wirelessfl.rng import Streams

CHECKED = settings(max_examples=60, deadline=None, derandomize=True)


def finish_s(work_s, bits, **changes):
    return cell.simulate(*by_hand(work_s, bits, bands="work-conserving", **changes)).finish_s


@pytest.mark.parametrize(
    ("work_s", "bits", "share", "expected_s"),
    [
        (
            [0, 0],
            [1e6, 3e6],
            [0.5, 0.5],
            [2.0, 4.0],
        ),  # half each until 2 s, then 2 Mbit over all of it
        ([0, 0], [1e6, 3e6], [0.25, 0.75], [4.0, 4.0]),
        ([0, 0], [1e6, 3e6], [0.1, 0.1], [2.0, 4.0]),  # nothing is left unused
        ([0, 1], [2e6, 1e6], [0.5, 0.5], [3.0, 3.0]),  # alone for 1 s, then half each
        ([0, 1], [2e6, 1e6], [0.75, 0.25], [1 + 4 / 3, 3.0]),
        ([0, 0, 0], [3e5, 6e5, 9e5], [1 / 3] * 3, [0.9, 1.5, 1.8]),  # processor sharing
        ([0, 0], [1e6, 1e6], [1.0, 0.0], [1.0, 2.0]),  # no share: after the others
        ([0, 0], [1e6, 1e6], [0.0, 0.0], [2.0, 2.0]),  # no client has a band: the same for all
    ],
)
def test_processor_sharing_by_hand(work_s, bits, share, expected_s):
    np.testing.assert_allclose(finish_s(work_s, bits, share=share), expected_s, rtol=1e-12)


def test_rates_of_unequal_clients_by_hand():
    """A client gets the whole band when the other one has finished.

    SNR 3 and 1 on half the band each: 1 and 0.5 Mbit/s; then 1.5 Mbit at 1 Mbit/s over all of it.
    """
    np.testing.assert_allclose(finish_s([0, 0], [1e6, 2e6], snr=[3.0, 1.0]), [1.0, 2.5], rtol=1e-12)


def test_blocks_change_the_rate_of_a_shared_band():
    """Half the band at 1 Mbit/s until 1 s, at 2 Mbit/s afterwards."""
    found = finish_s(
        [0, 0], [1e6, 2e6], blocks=lambda block: 1.0 if block == 0 else 3.0, coherence_s=1.0
    )
    np.testing.assert_allclose(found, [1.5, 1.5 + 1.0 / 2.0], rtol=1e-12)


def test_noise_with_a_density_is_that_of_the_share_of_the_moment():
    """0.5 B log2(1 + SNR / 0.5) while both send, B log2(1 + SNR) afterwards."""
    shared_bps, alone_bps = 0.5e6 * np.log2(1 + 2 * 1.0), 1e6 * np.log2(1 + 1.0)
    found = finish_s([0, 0], [1e6, 2e6], noise_psd_w_per_hz=1e-18)
    np.testing.assert_allclose(
        found, [1e6 / shared_bps, 1e6 / shared_bps + 1e6 / alone_bps], rtol=1e-12
    )


def test_who_drops_out_leaves_the_band_to_the_others():
    case = by_hand(
        [0, 0], [8e6, 1.5e6], bands="work-conserving", deadline_s=2.0, dropout_probability=0.5
    )
    for seed in range(30):
        timing = cell.simulate(*case, streams=Streams(seed))
        if timing.lost.tolist() == [True, False]:
            gone_s = next(time_s for time_s, _, event in timing.trace if event == "dropped out")
            np.testing.assert_allclose(timing.finish_s[1], max(gone_s, 0) / 2 + 1.5, rtol=1e-12)
            return
    pytest.fail("no seed lost client 0 alone")


@CHECKED
@given(st.integers(0, 2**32), st.integers(1, 7))
def test_nobody_is_slower_than_with_its_own_band_and_the_band_is_never_idle(seed, clients):
    """With noise independent of the band, bits and transmitted energy are conserved."""
    scenario, channel, demand = make_case(seed, clients)
    allocation = random_allocation(seed, scenario, channel, demand)
    own = cell.simulate(scenario, channel, demand, allocation)
    shared = cell.simulate(changed(scenario, bands="work-conserving"), channel, demand, allocation)
    assert np.all(shared.finish_s <= own.finish_s * (1 + 1e-12))
    begin_s, busy_s, until_s = shared.finish_s - shared.upload_s, 0.0, 0.0
    for k in np.argsort(begin_s):
        if shared.upload_s[k] > 0:
            busy_s += max(shared.finish_s[k] - max(begin_s[k], until_s), 0.0)
            until_s = max(until_s, shared.finish_s[k])
    assert shared.band_utilisation * shared.round_s == pytest.approx(busy_s, rel=1e-9)
    bits = formula.upload_bits(demand, 1 - allocation.pruning_ratio)
    whole_band_s = bits / formula.full_band_rate_bps(scenario, channel, channel.gain)
    assert whole_band_s.sum() == pytest.approx(busy_s, rel=1e-9)


@settings(max_examples=20, deadline=None, derandomize=True)
@given(st.integers(0, 1000), st.integers(1, 5))
def test_bits_are_conserved_over_blocks_and_shares(seed, clients):
    """With equal gains the total bits are the rate of the whole band over the time it is used."""
    scenario, _, demand = make_case(seed, clients)
    scenario = changed(
        scenario, bands="work-conserving", coherence_s=1e-3, transmit_power_w=0.5, deadline_s=10.0
    )
    one = fading(seed, 1)
    alike = type(one)(
        gain=np.repeat(one.gain, clients),
        believed_gain=np.repeat(one.gain, clients),
        block_gain=lambda block: np.repeat(one.block_gain(block), clients),
    )
    allocation = random_allocation(seed, scenario, alike, demand)
    timing = cell.simulate(scenario, alike, demand, allocation)
    sending = timing.upload_s > 0
    edges = np.concatenate(
        [[0.0], np.sort(np.concatenate([timing.finish_s - timing.upload_s, timing.finish_s]))]
    )
    sent = 0.0
    for start_s, end_s in itertools.pairwise(edges):
        middle_s = (start_s + end_s) / 2
        if np.any(
            sending & (timing.finish_s - timing.upload_s < middle_s) & (middle_s < timing.finish_s)
        ):
            for block in range(int(start_s / 1e-3), int(end_s / 1e-3) + 1):
                seconds = min(end_s, (block + 1) * 1e-3) - max(start_s, block * 1e-3)
                rate = formula.full_band_rate_bps(scenario, alike, alike.block_gain(block))[0]
                sent += max(seconds, 0.0) * rate
    assert sent == pytest.approx(
        formula.upload_bits(demand, 1 - allocation.pruning_ratio).sum(), rel=1e-9
    )
