"""Drops: uniform positions in discs and hexagons, given positions."""

import numpy as np
import pytest
from scipy import stats

from channel_models._geometry.drop import Drop
from wirelessfl.errors import InputError
from wirelessfl.rng import Streams
from wirelessfl.values import Scenario

CLIENTS = 4000


def polar(positions):
    return np.hypot(positions[:, 0], positions[:, 1]), np.arctan2(positions[:, 1], positions[:, 0])


def angles_are_uniform(angle):
    return stats.kstest(angle, stats.uniform(-np.pi, 2 * np.pi).cdf).pvalue > 0.01


def test_scenario_drop_keeps_the_distances_at_uniform_angles():
    scenario = Scenario(clients=CLIENTS)
    distance, angle = polar(Drop().positions(scenario, Streams(1)))
    np.testing.assert_allclose(distance, scenario.per_client("distance_m"), rtol=1e-14)
    assert angles_are_uniform(angle)


def test_disc_is_uniform_over_its_area():
    drop = Drop(drop="disc", radius_m=200.0, min_distance_m=50.0)
    distance, angle = polar(drop.positions(Scenario(clients=CLIENTS), Streams(2)))
    assert stats.kstest(distance**2, stats.uniform(50.0**2, 200.0**2 - 50.0**2).cdf).pvalue > 0.01
    assert angles_are_uniform(angle)


def test_hexagon_is_uniform_over_its_area():
    radius, near = 100.0, 20.0
    drop = Drop(drop="hexagon", radius_m=radius, min_distance_m=near)
    points = drop.positions(Scenario(clients=CLIENTS), Streams(3))
    distance, angle = polar(points)
    assert distance.min() >= near
    apothem = radius * np.sqrt(0.75)
    for normal in np.deg2rad(np.arange(30, 390, 60)):
        assert np.all(points @ [np.cos(normal), np.sin(normal)] <= apothem + 1e-9)
    assert distance.max() > apothem  # the corners belong to it
    area = 1.5 * np.sqrt(3.0) * radius**2 - np.pi * near**2
    for reach in (40.0, 60.0, apothem):  # circles inside the hexagon
        share = np.pi * (reach**2 - near**2) / area
        assert np.mean(distance <= reach) == pytest.approx(
            share, abs=4 * np.sqrt(share * (1 - share) / CLIENTS)
        )
    for turn in range(6):  # six triangles, alike
        count = np.sum((angle - turn * np.pi / 3) % (2 * np.pi) < np.pi / 3)
        assert count == pytest.approx(CLIENTS / 6, abs=4 * np.sqrt(CLIENTS * 5 / 36))


@pytest.mark.parametrize("drop", [Drop(), Drop(drop="disc"), Drop(drop="hexagon")])
def test_position_depends_on_seed_and_client_alone(drop):
    few = Scenario(clients=3, distance_m=(100.0, 200.0, 300.0))
    many = Scenario(clients=4, distance_m=(100.0, 200.0, 300.0, 50.0))
    first = drop.positions(few, Streams(5))
    np.testing.assert_array_equal(drop.positions(many, Streams(5, 17))[:3], first)
    assert not np.any(drop.positions(few, Streams(6)) == first)


def test_given_positions_are_taken_as_they_are():
    drop = Drop(drop="given", positions_m=[[1.0, 2], [-3, 4.5]])
    np.testing.assert_array_equal(
        drop.positions(Scenario(clients=2), Streams(0)), [[1.0, 2.0], [-3.0, 4.5]]
    )
    assert hash(drop) == hash(Drop(drop="given", positions_m=((1.0, 2.0), (-3.0, 4.5))))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: Drop(drop="square"),
            "channel.drop must be one of scenario, disc, hexagon, given; got 'square'",
        ),
        (lambda: Drop(radius_m=0), "channel.radius_m must be above 0, got 0"),
        (lambda: Drop(min_distance_m=-1), "channel.min_distance_m must be at least 0, got -1"),
        (
            lambda: Drop(drop="disc", radius_m=10, min_distance_m=10),
            "channel.min_distance_m must be below 10 in a disc of channel.radius_m 10, got 10",
        ),
        (
            lambda: Drop(drop="hexagon", radius_m=100, min_distance_m=90),
            "channel.min_distance_m must be below 86.6025 in a hexagon of channel.radius_m 100, got 90",
        ),
        (
            lambda: Drop(drop="given"),
            "channel.positions_m must be given with channel.drop given and not else, got none",
        ),
        (
            lambda: Drop(positions_m=((1.0, 2.0),)),
            "channel.positions_m must be given with channel.drop given and not else, got 1 with channel.drop scenario",
        ),
        (
            lambda: Drop(drop="given", positions_m=((1.0, 2.0, 3.0),)),
            "channel.positions_m must be pairs of metres, got ((1.0, 2.0, 3.0),)",
        ),
        (
            lambda: Drop(drop="given", positions_m=((1.0, float("nan")),)),
            "channel.positions_m must be finite, got nan",
        ),
        (
            lambda: Drop(drop="given", positions_m=((1.0, 2.0),)).positions(
                Scenario(clients=3), Streams(0)
            ),
            "channel.positions_m must hold 3 positions (scenario.clients), got 1",
        ),
    ],
)
def test_bad_input_is_one_line(make, message):
    with pytest.raises(InputError) as caught:
        make()
    assert str(caught.value) == message
