"""The four environments of TR 38.901 as channels."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from channel_models import _tr38901_clients
from channel_models._geometry import drop as _drop
from channel_models._geometry import motion as _motion
from channel_models._geometry.drop import Drop
from channel_models._geometry.motion import Motion
from channel_models._geometry.sector import Sector
from channel_models._propagation import shadowing as _shadowing
from channel_models._propagation.building_entry import PENETRATION_STD_DB, penetration_db
from channel_models._propagation.fading import Fading
from channel_models._propagation.tr38901 import K_FACTOR_DB, los_probability, loss_db, shadow_std_db
from channel_models._tr38901_channel import SIGHT_CORRELATION_M, Site
from channel_models._tr38901_clients import Indoor
from channel_models.tr38901_inh import Tr38901Inh
from channel_models.tr38901_rma import Tr38901Rma
from channel_models.tr38901_uma import Tr38901Uma
from channel_models.tr38901_umi import Tr38901Umi
from wirelessfl.config.scenario_file import experiment_hash, from_tables, to_tables
from wirelessfl.errors import InputError
from wirelessfl.rng import Streams
from wirelessfl.scenario.medium import Medium
from wirelessfl.units import linear_to_db
from wirelessfl.values import Scenario

MODELS = {"umi": Tr38901Umi, "uma": Tr38901Uma, "rma": Tr38901Rma, "inh": Tr38901Inh}
NO_FADING = Fading(fading="none")
CLIENTS = 3000
CARRIER_HZ = 3.5e9
DISTANCE_M = {"umi": 60.0, "uma": 120.0, "rma": 700.0, "inh": 12.0}
environments = pytest.mark.parametrize("environment", MODELS)
walks = pytest.mark.parametrize(
    "motion",
    [
        Motion(motion="velocity", speed_m_s=20.0, round_interval_s=1.0),
        Motion(motion="random-waypoint", speed_m_s=20.0, round_interval_s=1.0, pause_s=1.0),
    ],
    ids=lambda motion: motion.motion,
)


def site(**fields):
    return Site(**{"drop": Drop(), "carrier_hz": CARRIER_HZ, **fields})


def crowd(distance_m, clients=CLIENTS):
    return Scenario(clients=clients, distance_m=distance_m)


def loss(model, scenario, rng):
    """Large-scale loss in dB, what fading comes on top of; (K,)."""
    return -linear_to_db(model.sample(scenario, rng).path_gain)


def along_the_rim(distance_m, step_m):
    """All clients walk `step_m` a round at the same distance from the base station."""
    drop = Drop(drop="given", positions_m=((distance_m, 0.0),) * CLIENTS)
    walk = Motion(
        motion="velocity",
        speed_m_s=step_m,
        heading_deg=90.0,
        round_interval_s=1.0,
        roam_radius_m=distance_m,
        roam_min_m=1.0,
    )
    return {"drop": drop, "motion": walk, "extrapolate": True}


def forget():
    """Leave nothing behind that an earlier call has worked out."""
    _shadowing._latest.clear()
    for cached in (
        _shadowing._innovations,
        _drop._drawn,
        _motion._walk,
        _motion._headings,
        _tr38901_clients.kept_for_the_run,
    ):
        cached.cache_clear()


@environments
@pytest.mark.parametrize("sight", ["always", "never"])
def test_without_chance_it_is_the_standards_path_loss(environment, sight):
    model = MODELS[environment](site=site(sight=sight, shadowing=False, fading=NO_FADING))
    distance = np.array([20.0, 60.0, 149.0])
    scenario = Scenario(clients=3, distance_m=tuple(distance))
    expected = loss_db(environment, distance, carrier_hz=CARRIER_HZ, los=sight == "always")
    state = model.sample(scenario, Streams(1, 2))
    np.testing.assert_allclose(linear_to_db(state.gain), -expected, atol=1e-6)
    np.testing.assert_array_equal(state.path_gain, state.gain)
    assert np.all(model.line_of_sight(scenario, Streams(1, 2)) == (sight == "always"))


@environments
def test_line_of_sight_has_the_standards_frequency_in_every_round(environment):
    distance = DISTANCE_M[environment]
    probability = float(los_probability(environment, distance))
    scenario = crowd(distance)
    model = MODELS[environment](site=site(**along_the_rim(distance, step_m=15.0)))
    for round in (0, 1, 10):
        share = model.line_of_sight(scenario, Streams(6, round)).mean()
        assert share == pytest.approx(
            probability, abs=4 * np.sqrt(probability * (1 - probability) / CLIENTS)
        )


def test_line_of_sight_frequency_follows_the_walk_away():
    walk = Motion(motion="velocity", speed_m_s=30.0, heading_deg=0.0, round_interval_s=1.0)
    drop = Drop(drop="given", positions_m=((30.0, 0.0),) * CLIENTS)
    model = Tr38901Umi(site=site(drop=drop, motion=walk))
    for round in (0, 1, 4):
        probability = float(los_probability("umi", 30.0 * (round + 1)))
        share = model.line_of_sight(crowd(1.0), Streams(8, round)).mean()
        assert share == pytest.approx(
            probability, abs=4 * np.sqrt(probability * (1 - probability) / CLIENTS)
        )


@environments
def test_line_of_sight_persists_over_the_distance_moved(environment):
    """Both now and then: P(x < q, x' < q) of two normals with correlation exp(-d / d_corr)."""
    distance, step = DISTANCE_M[environment], 3.0
    model = MODELS[environment](site=site(**along_the_rim(distance, step)))
    now, then = (model.line_of_sight(crowd(distance), Streams(2, round)) for round in (0, 1))
    level, correlation = (
        stats.norm.ppf(los_probability(environment, distance)),
        np.exp(-step / SIGHT_CORRELATION_M[environment]),
    )
    both = stats.multivariate_normal([0, 0], [[1, correlation], [correlation, 1]]).cdf(
        [level, level]
    )
    assert np.mean(now & then) == pytest.approx(both, abs=4 * np.sqrt(both * (1 - both) / CLIENTS))


@environments
@pytest.mark.parametrize("sight", ["always", "never"])
def test_shadowing_is_normal_in_db(environment, sight):
    distance = DISTANCE_M[environment]
    with_shadowing = MODELS[environment](site=site(sight=sight, fading=NO_FADING))
    without = replace(with_shadowing, site=replace(with_shadowing.site, shadowing=False))
    difference = loss(with_shadowing, crowd(distance), Streams(3)) - loss(
        without, crowd(distance), Streams(3)
    )
    std = float(shadow_std_db(environment, distance, los=sight == "always", carrier_hz=CARRIER_HZ))
    assert stats.kstest(difference / std, stats.norm.cdf).pvalue > 0.01


def test_shadowing_of_walkers_has_the_standards_correlation():
    distance, step = 60.0, 4.0
    model = Tr38901Umi(site=site(sight="always", fading=NO_FADING, **along_the_rim(distance, step)))
    mean = float(loss_db("umi", distance, carrier_hz=CARRIER_HZ, los=True))
    first, second = (
        (loss(model, crowd(distance), Streams(5, round)) - mean) / 4.0 for round in (0, 2)
    )
    correlation = np.exp(-2 * step / 10.0)
    assert np.mean(first * second) == pytest.approx(
        correlation, abs=4 * np.sqrt((1 + correlation**2) / CLIENTS)
    )


@environments
def test_k_factor_is_normal_in_db_with_a_line_of_sight_and_zero_without(environment):
    mean, std = K_FACTOR_DB[environment]
    for sight in ("always", "never"):
        model = MODELS[environment](site=site(sight=sight))
        k = model.site.links(model._place, crowd(DISTANCE_M[environment]), Streams(4)).k_factor
        if sight == "never":
            assert not k.any()
        else:
            assert stats.kstest((linear_to_db(k) - mean) / std, stats.norm.cdf).pvalue > 0.01


def test_fading_without_a_line_of_sight_is_that_of_rayleigh_branches():
    model = Tr38901Umi(site=site(sight="never"))
    state = model.sample(crowd(100.0), Streams(9, 3))
    assert stats.kstest(state.gain / state.path_gain, stats.gamma(4).cdf).pvalue > 0.01
    np.testing.assert_allclose(
        model.mean_gain(crowd(100.0), Streams(9, 3)), 4 * state.path_gain, rtol=1e-12
    )


@pytest.mark.parametrize("penetration", ["low", "high"])
def test_loss_into_buildings(penetration):
    """Mean and variance of wall + 0.5 dB/m x smaller of two U(0, 25 m) + N(0, sigma_P)."""
    outside = Tr38901Uma(site=site(sight="never", shadowing=False))
    inside = replace(outside, indoor=Indoor(indoor_share=1.0, penetration=penetration))
    scenario = crowd(200.0)
    extra = loss(inside, scenario, Streams(7)) - loss(outside, scenario, Streams(7))
    mean = float(penetration_db(penetration, CARRIER_HZ)) + 0.5 * 25.0 / 3.0
    std = np.sqrt(PENETRATION_STD_DB[penetration] ** 2 + 0.25 * 25.0**2 / 18.0)
    assert extra.mean() == pytest.approx(mean, abs=4 * std / np.sqrt(CLIENTS))
    assert extra.std() == pytest.approx(std, abs=4 * std / np.sqrt(2 * CLIENTS))


def test_share_of_clients_is_indoors_without_a_rician_factor():
    mixed = Tr38901Umi(indoor=Indoor(indoor_share=0.3), site=site(sight="always"))
    scenario = crowd(200.0)
    links = mixed.site.links(mixed._place, scenario, Streams(1))
    indoors = links.k_factor == 0
    assert indoors.mean() == pytest.approx(0.3, abs=4 * np.sqrt(0.21 / CLIENTS))
    outdoor = Tr38901Umi(site=site(sight="always", shadowing=False))
    without = replace(mixed, site=outdoor.site)
    np.testing.assert_array_equal(
        loss(without, scenario, Streams(1)) > loss(outdoor, scenario, Streams(1)) + 1e-9, indoors
    )


def test_line_of_sight_of_a_client_indoors_is_asked_at_the_wall():
    outside = Tr38901Umi(site=site())
    inside = replace(outside, indoor=Indoor(indoor_share=1.0))
    seen, from_wall = (model.line_of_sight(crowd(40.0), Streams(3)) for model in (outside, inside))
    assert np.all(from_wall[seen])
    assert from_wall.mean() > seen.mean() + 4 * np.sqrt(0.25 / CLIENTS)


def test_sectors_add_their_gain():
    plain = Tr38901Uma(site=site())
    sectors = replace(plain, site=replace(plain.site, sector=Sector(sectors=3)))
    scenario = crowd(200.0, clients=50)
    gain = loss(plain, scenario, Streams(2)) - loss(sectors, scenario, Streams(2))
    np.testing.assert_allclose(
        gain, Sector(sectors=3).gain_db(plain.positions_m(scenario, Streams(2))), atol=1e-9
    )
    assert np.ptp(gain) > 3


def test_high_clients_of_uma_draw_an_effective_height():
    model = Tr38901Uma(ut_height_m=22.5, site=site(sight="always", shadowing=False))
    distance = 2000.0  # beyond the break point of the higher ones
    possible = [
        float(
            loss_db(
                "uma",
                distance,
                carrier_hz=CARRIER_HZ,
                los=True,
                ut_height_m=22.5,
                effective_height_m=height,
            )
        )
        for height in (1.0, 12.0, 15.0, 18.0, 21.0)
    ]
    losses = loss(model, crowd(distance, clients=300), Streams(1))
    nearest = np.abs(losses[:, None] - possible)
    assert nearest.min(axis=1).max() < 1e-6
    np.testing.assert_array_equal(losses, loss(model, crowd(distance, clients=300), Streams(1, 5)))
    assert Tr38901Uma(ut_height_m=13.4, site=model.site).sample(
        crowd(distance, 2), Streams(0)
    ).gain.shape == (2,)


@environments
def test_who_stands_still_sees_only_fading_change(environment):
    model, scenario = MODELS[environment](), Scenario(clients=6)
    first, second = (model.sample(scenario, Streams(2, round)) for round in (0, 1))
    np.testing.assert_array_equal(first.path_gain, second.path_gain)
    np.testing.assert_array_equal(
        model.mean_gain(scenario, Streams(2)), model.mean_gain(scenario, Streams(2, 9))
    )
    assert not np.any(first.gain == second.gain)
    assert not np.any(first.block_gain(1) == first.gain)


@walks
def test_who_moves_sees_the_large_scale_change(motion):
    model, scenario = Tr38901Umi(site=site(motion=motion)), Scenario(clients=6)
    first, second = (model.sample(scenario, Streams(2, round)) for round in (0, 5))
    assert not np.any(first.path_gain == second.path_gain)
    assert not np.any(
        model.positions_m(scenario, Streams(2)) == model.positions_m(scenario, Streams(2, 5))
    )


@walks
@environments
def test_resumed_and_repeated_runs_are_the_same_run(environment, motion):
    if environment == "inh":
        motion = replace(motion, roam_radius_m=50.0, roam_min_m=1.0, speed_m_s=1.0)
    model = MODELS[environment]()
    model = replace(model, site=replace(model.site, motion=motion))
    scenario = Scenario(clients=4, medium=Medium(coherence_s=0.1))
    straight = [model.sample(scenario, Streams(3, round)) for round in range(12)]
    forget()
    for round in (11, 4, 5):
        again = model.sample(scenario, Streams(3, round))
        np.testing.assert_array_equal(again.gain, straight[round].gain)
        np.testing.assert_array_equal(again.believed_gain, straight[round].believed_gain)
        np.testing.assert_array_equal(again.block_gain(2), straight[round].block_gain(2))
    few = replace(scenario, clients=2, distance_m=tuple(scenario.per_client("distance_m")[:2]))
    np.testing.assert_array_equal(model.sample(few, Streams(3, 5)).gain, straight[5].gain[:2])


def test_coherence_blocks_move_on_within_the_round():
    """A block one round's interval later has the fading of the next round."""
    motion = Motion(motion="velocity", speed_m_s=2.0, round_interval_s=0.2)
    model, scenario = (
        Tr38901Umi(site=site(motion=motion, sight="never")),
        Scenario(clients=4, medium=Medium(coherence_s=0.05)),
    )
    now, then = (model.sample(scenario, Streams(1, round)) for round in (3, 4))
    np.testing.assert_array_equal(now.block_gain(0), now.gain)
    np.testing.assert_allclose(
        now.block_gain(4) / now.path_gain, then.gain / then.path_gain, rtol=1e-6
    )
    assert not np.any(np.isclose(now.block_gain(1), now.gain, rtol=1e-6, atol=0))


def test_client_keeps_its_draws_wherever_it_is_put():
    places = ((50.0, 0.0), (0.0, 120.0), (-200.0, 10.0), (-80.0, -90.0))
    models = [
        Tr38901Umi(site=site(sight="never", drop=Drop(drop="given", positions_m=order)))
        for order in (places, places[::-1])
    ]
    states = [model.sample(Scenario(clients=4), Streams(6, 2)) for model in models]
    np.testing.assert_allclose(
        states[0].gain / states[0].path_gain, states[1].gain / states[1].path_gain, rtol=1e-12
    )
    distances = [
        np.hypot(*model.positions_m(Scenario(clients=4), Streams(6, 2)).T) for model in models
    ]
    shadowing = [
        -linear_to_db(state.path_gain) - loss_db("umi", distance, carrier_hz=CARRIER_HZ, los=False)
        for state, distance in zip(states, distances, strict=True)
    ]
    np.testing.assert_allclose(shadowing[0], shadowing[1], atol=1e-6)
    assert not np.any(np.isclose(states[0].path_gain, states[1].path_gain, atol=0))


def test_office_drops_its_clients_in_the_office():
    assert np.all(np.hypot(*Tr38901Inh().positions_m(Scenario(clients=100), Streams(0)).T) <= 50.0)
    open_office, mixed = (Tr38901Inh(office=office, site=site()) for office in ("open", "mixed"))
    share = [model.line_of_sight(crowd(20.0), Streams(0)).mean() for model in (open_office, mixed)]
    assert share[0] > share[1] + 0.5


def test_edges_of_the_range_belong_to_it():
    for environment, near, far in (("umi", 10.0, 5e3), ("rma", 10.0, 5e3), ("inh", 1.0, 150.0)):
        for edge in (near, far):
            MODELS[environment](site=site()).sample(crowd(edge, clients=200), Streams(0))


def test_scenario_file_changes_one_field_of_a_plugins_own_default():
    tables = {"channel": {"model": "tr38901-inh", "radius_m": 30.0, "antennas": 2}}
    channel = from_tables(tables).channel
    assert (
        channel.site.drop.drop,
        channel.site.drop.radius_m,
        channel.site.drop.min_distance_m,
    ) == ("disc", 30.0, 1.0)
    assert channel.site.fading == Fading(fading="rician", antennas=2)
    assert from_tables({"channel": {"model": "tr38901-inh"}}).channel == Tr38901Inh()


def test_scenario_file_gives_positions():
    tables = {
        "scenario": {"clients": 2},
        "channel": {
            "model": "tr38901-umi",
            "drop": "given",
            "positions_m": [[100.0, 5], [20, -300.0]],
        },
    }
    experiment = from_tables(tables)
    assert from_tables(to_tables(experiment)) == experiment
    assert experiment_hash(experiment) != experiment_hash(from_tables({"scenario": {"clients": 2}}))
    np.testing.assert_array_equal(
        experiment.channel.positions_m(experiment.scenario, Streams(0)),
        [[100.0, 5.0], [20.0, -300.0]],
    )


@pytest.mark.parametrize(
    ("channel", "message"),
    [
        (
            {"model": "tr38901-umi", "carrier_hz": 2e11},
            "channel.carrier_hz must be within 5e+08 and 1e+11 for tr38901-umi, got 2e+11",
        ),
        ({"model": "tr38901-umi", "carrier_hz": 0.0}, "channel.carrier_hz must be above 0, got 0"),
        (
            {"model": "tr38901-uma", "ut_height_m": 30.0},
            "channel.ut_height_m must be within 1.5 and 22.5 for tr38901-uma, got 30",
        ),
        (
            {"model": "tr38901-inh", "radius_m": 200.0},
            "channel.radius_m must be within 1 and 150 for tr38901-inh, got 200",
        ),
        (
            {"model": "tr38901-umi", "drop": "disc", "min_distance_m": 3.0},
            "channel.min_distance_m must be within 10 and 5000 for tr38901-umi, got 3",
        ),
        (
            {"model": "tr38901-inh", "motion": "velocity", "roam_radius_m": 500.0},
            "channel.roam_radius_m must be within 1 and 150 for tr38901-inh, got 500",
        ),
        (
            {"model": "tr38901-umi", "indoor_share": 1.5},
            "channel.indoor_share must be at most 1, got 1.5",
        ),
        (
            {
                "model": "tr38901-umi",
                "indoor_share": 0.5,
                "penetration": "legacy",
                "carrier_hz": 28e9,
            },
            "channel.carrier_hz must be below 6e+09 for the legacy penetration, got 2.8e+10",
        ),
        (
            {"model": "tr38901-umi", "drop": "given", "positions_m": [[1.0, 2.0], [3.0]]},
            "channel.positions_m must be a list of pairs of numbers, got [[1.0, 2.0], [3.0]]",
        ),
        (
            {"model": "tr38901-rma", "indoor_share": 0.5, "penetration": "legacy"},
            "channel.penetration must be low for tr38901-rma, got 'legacy'",
        ),
        ({"model": "tr38901-umi", "sectors": 2}, "channel.sectors must be one of 1, 3, got 2"),
    ],
)
def test_bad_input_is_one_line(channel, message):
    with pytest.raises(InputError) as caught:
        from_tables({"channel": channel})
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("drop", "message"),
    [
        (Drop(), "scenario.distance_m must be within 10 and 5000 for tr38901-umi, got 9"),
        (
            Drop(drop="given", positions_m=((3.0, 4.0),)),
            "channel.positions_m: the distance must be within 10 and 5000 for tr38901-umi, got 5",
        ),
    ],
)
def test_distance_outside_the_range_is_refused_or_extrapolated(drop, message):
    with pytest.raises(InputError) as caught:
        Tr38901Umi(site=Site(drop=drop)).sample(crowd(9.0, clients=1), Streams(0))
    assert str(caught.value) == message
    assert (
        Tr38901Umi(site=Site(drop=drop, extrapolate=True))
        .sample(crowd(9.0, clients=1), Streams(0))
        .gain[0]
        > 0
    )
