"""The preset `physical`: powers, rates and resource blocks within the limits of a handset."""

from dataclasses import replace

import numpy as np
import pytest

from studies.presets import scenario_tables
from wirelessfl.cell import closed_form as formula
from wirelessfl.config.scenario_file import from_tables
from wirelessfl.planning import plan
from wirelessfl.radio.numerology import resource_blocks
from wirelessfl.values import ON_TIME


def planned(seed, rounds=10):
    experiment = from_tables(scenario_tables("physical"))
    experiment = replace(experiment, run=replace(experiment.run, seed=seed))
    demand = experiment.algorithm.demand(experiment.scenario.clients)
    return experiment.scenario, demand, [plan(experiment, demand, round) for round in range(rounds)]


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_physical_preset_prunes_some_of_everything_and_meets_its_deadline(seed):
    scenario, demand, rounds = planned(seed)
    ratios = np.array([round.allocation.pruning_ratio for round in rounds])
    assert 0.1 < ratios.mean() < 0.6
    assert (ratios >= 0.95).mean() < 0.1
    for round in rounds:
        spent = formula.phases(scenario, round.channel, demand, round.allocation)
        happened_s = spent.download_s + spent.fixed_s + spent.prunable_s + spent.upload_s
        np.testing.assert_allclose(happened_s, round.allocation.latency_s, rtol=1e-12)
        assert np.all(happened_s <= scenario.deadline_s * ON_TIME)


def test_the_physical_preset_keeps_to_what_a_handset_may_do():
    """At most 23 dBm, 10 (bit/s)/Hz on a client's band, and 25 resource blocks, 2 per client."""
    scenario, _, rounds = planned(0)
    assert resource_blocks(scenario.bandwidth_hz, scenario.link.subcarrier_spacing_hz) == 25
    for round in rounds:
        share = round.allocation.bandwidth_fraction
        power_w = formula.transmit_power_w(scenario, round.channel)
        rate_bps = formula.rate_bps(scenario, round.channel, round.channel.gain, share)
        assert np.all((power_w > 0) & (power_w <= 10**-0.7 * (1 + 1e-12)))
        assert np.all(rate_bps / (share * scenario.bandwidth_hz) < 10)
