"""Channel knowledge of the server, and its effect on deadlines in the simulated cell."""

import numpy as np
import pytest
from helpers.contracts import check_channel
from scipy import stats

from channel_models._csi import KINDS, Csi
from channel_models.rayleigh import Rayleigh
from channel_models.static import Static
from optimizers.exact import Exact
from wirelessfl.cell import cell
from wirelessfl.config.scenario_file import experiment_hash, from_tables
from wirelessfl.errors import InputError
from wirelessfl.planning import allocation_problem
from wirelessfl.radio.csi import outage_gain
from wirelessfl.rng import Streams
from wirelessfl.units import linear_to_db
from wirelessfl.values import Demand, Scenario

ROUNDS = 300
DEMAND = Demand.same_for_all(
    10,
    fixed_updates=43_000,
    prunable_updates=82_800,
    fixed_upload_bits=0,
    prunable_upload_bits=530_000,
)


def late_share(model, scenario=None):
    """Share of the active clients, over ROUNDS rounds, that miss the deadline on the true channel;
    and their number.
    """
    scenario = scenario or Scenario()
    late = count = 0
    for round in range(ROUNDS):
        channel = model.sample(scenario, Streams(9, round))
        allocation = Exact().solve(allocation_problem(scenario, channel, DEMAND))
        active = allocation.status == "active"
        delivered = cell.simulate(scenario, channel, DEMAND, allocation).delivered
        late, count = late + (~delivered & active).sum(), count + active.sum()
    assert count >= 2 * ROUNDS
    return late / count, count


@pytest.mark.parametrize("antennas", [1, 4])
@pytest.mark.parametrize("outage", [0.02, 0.2])
def test_the_outage_is_what_was_asked_for(antennas, outage):
    share, count = late_share(Rayleigh(antennas=antennas, csi=Csi(csi="quantile", outage=outage)))
    assert abs(share - outage) <= 4 * np.sqrt(outage * (1 - outage) / count)


def test_planning_with_the_mean_is_late_as_often_as_fading_is_below_it():
    expected = 1 - np.exp(-1)
    share, count = late_share(Rayleigh(antennas=1, csi=Csi(csi="mean")))
    assert abs(share - expected) <= 4 * np.sqrt(expected * (1 - expected) / count)


@pytest.mark.parametrize("model", [Rayleigh, Static])
def test_planning_with_an_unbiased_estimate_is_late_half_of_the_time(model):
    share, count = late_share(model(csi=Csi(csi="estimate")))
    assert abs(share - 0.5) <= 4 * 0.5 / np.sqrt(count)


@pytest.mark.parametrize("model", [Rayleigh, Static])
def test_with_a_bounded_error_or_perfect_knowledge_nobody_is_late(model):
    assert late_share(model(csi=Csi(csi="bounded", gain_error=0.5)))[0] == 0
    assert late_share(model())[0] == 0


def test_an_estimate_of_bounded_error_is_within_its_bound_and_never_trusted_too_much():
    model, scenario = Rayleigh(csi=Csi(csi="bounded", gain_error=0.4)), Scenario()
    states = [model.sample(scenario, Streams(1, round)) for round in range(100)]
    estimate = np.array([state.believed_gain / (1 - 0.4) for state in states])
    truth = np.array([state.gain for state in states])
    relative = truth / estimate - 1
    assert np.abs(relative).max() <= 0.4 * (1 + 1e-12)
    assert relative.min() < -0.35
    assert relative.max() > 0.35


def test_an_estimate_is_unbiased_and_normal_in_db():
    model, scenario = Rayleigh(csi=Csi(csi="estimate", estimate_error_db=3.0)), Scenario()
    states = [model.sample(scenario, Streams(1, round)) for round in range(ROUNDS)]
    error_db = linear_to_db(np.ravel([state.believed_gain / state.gain for state in states]))
    assert abs(error_db.mean()) <= 4 * 3.0 / np.sqrt(error_db.size)
    assert abs(error_db.std() - 3.0) <= 4 * 3.0 / np.sqrt(2 * error_db.size)
    assert stats.kstest(error_db / 3.0, "norm").pvalue > 6e-5
    exact = Rayleigh(csi=Csi(csi="estimate", estimate_error_db=0.0)).sample(scenario, Streams(1, 2))
    np.testing.assert_array_equal(exact.believed_gain, exact.gain)


@pytest.mark.parametrize("kind", KINDS)
def test_path_gain_and_coherence_blocks_pass_through(kind):
    gain, path_gain = np.array([1e-11, 2e-11]), np.array([3e-11, 4e-11])

    def block_gain(block):
        return (block + 1) * gain

    known = {"mean": gain, "quantile": lambda outage: outage * gain}
    state = Csi(csi=kind).state(
        gain, Streams(0), path_gain=path_gain, block_gain=block_gain, **known
    )
    assert state.path_gain is path_gain
    assert state.block_gain is block_gain
    without = Csi(csi=kind).state(gain, Streams(0), **known)
    assert (without.path_gain, without.block_gain) == (None, None)
    np.testing.assert_array_equal(without.believed_gain, state.believed_gain)


def test_what_the_server_knows_does_not_change_the_channel():
    scenario = Scenario()
    gains = [Rayleigh(csi=Csi(csi=kind)).sample(scenario, Streams(4, 5)).gain for kind in KINDS]
    for gain in gains[1:]:
        np.testing.assert_array_equal(gain, gains[0])


def test_what_is_believed():
    scenario, mean = Scenario(), Rayleigh().mean_gain(Scenario(), Streams(0))
    believed = {
        kind: Rayleigh(csi=Csi(csi=kind)).sample(scenario, Streams(4, 5)).believed_gain
        for kind in KINDS
    }
    np.testing.assert_array_equal(believed["mean"], mean)
    np.testing.assert_array_equal(believed["quantile"], outage_gain(mean, 0.05, 4))
    for kind in ("perfect", "mean", "quantile"):
        np.testing.assert_array_equal(
            Static(csi=Csi(csi=kind)).sample(scenario, Streams(4, 5)).believed_gain, mean
        )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("model", [Rayleigh, Static])
def test_every_kind_keeps_the_contract_of_channels(kind, model):
    check_channel(model(csi=Csi(csi=kind)))


def test_scenario_files_name_it_and_its_defaults_are_no_part_of_an_experiments_name():
    plain = experiment_hash(from_tables({}))
    assert (
        experiment_hash(
            from_tables({"channel": {"csi": "perfect", "outage": 0.05, "gain_error": 0.1}})
        )
        == plain
    )
    robust = from_tables({"channel": {"csi": "quantile", "outage": 0.1}})
    assert robust.channel.csi == Csi(csi="quantile", outage=0.1)
    assert experiment_hash(robust) != plain


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"csi": "guessed"},
            "channel.csi must be one of perfect, mean, quantile, bounded, estimate",
        ),
        ({"outage": 0.0}, "channel.outage must be above 0, got 0"),
        ({"gain_error": 1.0}, "channel.gain_error must be at most 0.99, got 1"),
        ({"estimate_error_db": -1.0}, "channel.estimate_error_db must be at least 0, got -1"),
    ],
)
def test_bad_fields_are_one_line(fields, message):
    with pytest.raises(InputError, match=message):
        Csi(**fields)
    with pytest.raises(InputError, match=message.split(" must")[0]):
        from_tables({"channel": fields})
