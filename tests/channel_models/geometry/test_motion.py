"""Motion: straight lines with reflection, random waypoints, reproducibility."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy import stats

from channel_models._geometry import motion as _motion
from channel_models._geometry.motion import Motion
from wirelessfl.errors import InputError
from wirelessfl.rng import Streams
from wirelessfl.values import Scenario

START = np.array([[160.0, 0.0], [0.0, 300.0], [-500.0, 0.0], [20.0, -900.0]])
SCENARIO = Scenario(clients=4, deadline_s=0.5)
KINDS = ("velocity", "random-waypoint")


def path(motion, rounds, *, start=START, seed=1, scenario=SCENARIO):
    """Positions (rounds, K, 2) and metres moved (rounds, K)."""
    streams = [Streams(seed, round) for round in range(rounds)]
    positions = [motion.positions(start, scenario, rng) for rng in streams]
    return np.array(positions), np.array([motion.moved_m(start, scenario, rng) for rng in streams])


def lengths(vectors):
    return np.hypot(vectors[..., 0], vectors[..., 1])


def test_still_clients_stay():
    positions, moved = path(Motion(speed_m_s=100.0), 3)
    np.testing.assert_array_equal(positions, np.broadcast_to(START, positions.shape))
    assert not moved.any()


def test_given_velocity_is_a_straight_line_at_the_scenarios_pace():
    motion = Motion(motion="velocity", speed_m_s=3.0, heading_deg=30.0, roam_radius_m=1e6)
    positions, moved = path(motion, 10)
    step = 1.5 * np.array([np.sqrt(0.75), 0.5])
    np.testing.assert_allclose(positions, START + np.arange(10)[:, None, None] * step, atol=1e-9)
    np.testing.assert_allclose(moved[1:], 1.5, rtol=1e-12)
    assert not moved[0].any()
    later = motion.positions(START, SCENARIO, Streams(1, 4), later_s=0.25)
    np.testing.assert_allclose(later, (positions[4] + positions[5]) / 2, atol=1e-9)


def test_interval_between_rounds_may_be_given():
    motion = Motion(motion="velocity", speed_m_s=3.0, round_interval_s=2.0, roam_radius_m=1e6)
    np.testing.assert_allclose(path(motion, 3)[1][1:], 6.0)


def test_headings_are_uniform_and_each_clients_own():
    start = np.tile([100.0, 0.0], (2000, 1))
    motion = Motion(motion="velocity", roam_radius_m=1e6)
    moved = motion.positions(start, Scenario(clients=2000, deadline_s=1.0), Streams(3, 1)) - start
    angle = np.arctan2(moved[:, 1], moved[:, 0])
    assert stats.kstest(angle, stats.uniform(-np.pi, 2 * np.pi).cdf).pvalue > 0.01


@settings(max_examples=30, deadline=None)
@example(x=202.9054437711451, y=0.0, heading=0.0, step=89.0)  # a diameter
@given(
    x=st.floats(-450, 450),
    y=st.floats(-200, 200),
    heading=st.floats(0, 360),
    step=st.floats(1.0, 400.0),
)
def test_reflection_is_that_of_a_mirror(x, y, heading, step):
    """Against a walk from bounce to bounce: v' = v - 2 (v.n) n at the circle."""
    radius, start = 500.0, np.array([[x, y]])
    motion = Motion(
        motion="velocity",
        speed_m_s=step,
        heading_deg=heading,
        roam_radius_m=radius,
        roam_min_m=1e-9,
    )
    scenario = Scenario(clients=1, deadline_s=1.0)
    positions, _ = path(motion, 12, start=start, scenario=scenario)
    at, velocity = start[0], np.array([np.cos(np.deg2rad(heading)), np.sin(np.deg2rad(heading))])
    for found in positions[1:, 0]:
        left = step
        while True:
            along = at @ velocity
            to_edge = -along + np.sqrt(along**2 + radius**2 - at @ at)
            if left <= to_edge:
                at = at + left * velocity
                break
            at, left = at + to_edge * velocity, left - to_edge
            normal = at / radius
            at, velocity = (
                normal * radius * (1 - 1e-15),
                velocity - 2 * (velocity @ normal) * normal,
            )
        np.testing.assert_allclose(found, at, atol=1e-6)


def test_walk_along_the_rim_follows_it():
    motion = Motion(
        motion="velocity",
        speed_m_s=10.0,
        heading_deg=90.0,
        round_interval_s=1.0,
        roam_radius_m=100.0,
    )
    positions, _ = path(motion, 100, start=np.array([[100.0, 0.0]]), scenario=Scenario(clients=1))
    angle = 0.1 * np.arange(100)
    np.testing.assert_allclose(
        positions[:, 0], 100.0 * np.stack([np.cos(angle), np.sin(angle)], axis=1), atol=1e-6
    )


@pytest.mark.parametrize("kind", KINDS)
def test_nobody_leaves_the_area_nor_jumps(kind):
    motion = Motion(motion=kind, speed_m_s=40.0, pause_s=1.0)
    positions, moved = path(motion, 600)
    distance = lengths(positions)
    assert np.all(distance >= 10.0 - 1e-9)
    assert np.all(distance <= np.maximum(500.0, lengths(START)) + 1e-9)
    np.testing.assert_allclose(positions[0], START, atol=1e-9)
    # going round the hole takes at most half its circumference more than the straight line
    assert np.all(lengths(np.diff(positions, axis=0)) <= moved[1:] + 20.0)
    far = np.minimum(distance[1:], distance[:-1]) > 40.0
    assert np.all((lengths(np.diff(positions, axis=0)) - moved[1:])[far] < 1e-9)


def test_random_waypoints_are_uniform_over_the_area():
    """Resting places of walkers that are so fast that they nearly always rest."""
    clients = 2000
    start = np.tile([100.0, 0.0], (clients, 1))
    motion = Motion(
        motion="random-waypoint",
        speed_m_s=1e3,
        pause_s=1e3,
        round_interval_s=1.5e3,
        roam_min_m=50.0,
    )
    rest = motion.positions(start, Scenario(clients=clients), Streams(2, 3))
    assert (
        stats.kstest(lengths(rest) ** 2, stats.uniform(50.0**2, 500.0**2 - 50.0**2).cdf).pvalue
        > 0.01
    )
    angle = np.arctan2(rest[:, 1], rest[:, 0])
    assert stats.kstest(angle, stats.uniform(-np.pi, 2 * np.pi).cdf).pvalue > 0.01


def test_walker_rests_at_a_waypoint_and_goes_on():
    motion = Motion(motion="random-waypoint", speed_m_s=50.0, pause_s=5.0)
    _, moved = path(motion, 200)
    assert np.any(moved[1:] == 0.0)
    assert np.all(moved <= 25.0 + 1e-9)
    assert np.isclose(moved[1:], 25.0).mean() > 0.3


@pytest.mark.parametrize("kind", KINDS)
def test_position_depends_on_seed_round_and_client_alone(kind):
    motion = Motion(motion=kind, speed_m_s=30.0)
    positions, moved = path(motion, 90)
    for cached in (_motion._walk, _motion._headings):
        cached.cache_clear()
    np.testing.assert_array_equal(motion.positions(START, SCENARIO, Streams(1, 80)), positions[80])
    np.testing.assert_array_equal(motion.moved_m(START, SCENARIO, Streams(1, 80)), moved[80])
    few = Scenario(clients=2, deadline_s=0.5)
    np.testing.assert_array_equal(
        motion.positions(START[:2], few, Streams(1, 80)), positions[80, :2]
    )
    assert not np.any(motion.positions(START, SCENARIO, Streams(2, 80)) == positions[80])


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"motion": "swim"},
            "channel.motion must be one of still, velocity, random-waypoint; got 'swim'",
        ),
        ({"speed_m_s": 0.0}, "channel.speed_m_s must be above 0, got 0"),
        ({"speed_m_s": 3e8}, "channel.speed_m_s must be at most 1000, got 3e+08"),
        ({"heading_deg": float("nan")}, "channel.heading_deg must be finite, got nan"),
        ({"round_interval_s": 0.0}, "channel.round_interval_s must be at least 1e-09, got 0"),
        ({"roam_min_m": 0.0}, "channel.roam_min_m must be above 0, got 0"),
        ({"roam_radius_m": 5.0}, "channel.roam_radius_m must be above 10, got 5"),
        ({"pause_s": -1.0}, "channel.pause_s must be at least 0, got -1"),
    ],
)
def test_bad_input_is_one_line(fields, message):
    with pytest.raises(InputError) as caught:
        Motion(**fields)
    assert str(caught.value) == message


@pytest.mark.slow
def test_a_walk_of_too_many_legs_is_one_line():
    motion = Motion(motion="random-waypoint", round_interval_s=1e9)
    with pytest.raises(
        InputError,
        match=r"^channel.speed_m_s must be lower, .* a walk of 1e\+09 s at 1 m/s has too many",
    ):
        motion.positions(START, SCENARIO, Streams(0, 1))
