"""Outdoor-to-indoor loss of TR 38.901: means, spreads and depths of the standard."""

import numpy as np
import pytest

from channel_models._propagation.building_entry import (
    draw_indoor_distance_m,
    draw_loss_db,
    penetration_db,
)
from wirelessfl.errors import InputError

CARRIERS_HZ = np.array([2e9, 3.5e9, 28e9])


@pytest.mark.parametrize(
    ("model", "release", "expected_db"),
    [
        ("low", 16, [11.825320, 12.697503, 17.828787]),
        ("low", 19, [11.825320, 12.697503, 17.828787]),
        ("high", 16, [22.425320, 26.849786, 37.949020]),
        ("high", 19, [22.707094, 27.499289, 35.029020]),
    ],
)
def test_penetration_on_which_implementations_agree(model, release, expected_db):
    found = penetration_db(model, CARRIERS_HZ, release=release)
    np.testing.assert_allclose(found, expected_db, atol=1e-5)
    assert [float(penetration_db(model, f, release=release)) for f in CARRIERS_HZ] == found.tolist()
    assert np.all(np.diff(found) > 0)


def test_legacy_penetration_is_20_db_below_6_ghz():
    np.testing.assert_array_equal(penetration_db("legacy", [0.7e9, 3.5e9]), [20.0, 20.0])
    with pytest.raises(
        InputError,
        match=r"^carrier_hz must be below 6e\+09 for the legacy penetration, got 6e\+09$",
    ):
        penetration_db("legacy", 6e9)


@pytest.mark.parametrize(
    ("model", "environment", "mean_m", "std_m", "deepest_m"),
    [
        ("low", "umi", 25 / 3, 25 / np.sqrt(18), 25),
        ("high", "uma", 25 / 3, 25 / np.sqrt(18), 25),
        ("low", "rma", 10 / 3, 10 / np.sqrt(18), 10),
        ("legacy", "uma", 12.5, 25 / np.sqrt(12), 25),
    ],
)
def test_depth_is_the_smaller_of_two_uniforms(model, environment, mean_m, std_m, deepest_m):
    generator = np.random.default_rng(3)
    depths_m = np.array(
        [draw_indoor_distance_m(model, environment, generator) for _ in range(4000)]
    )
    assert abs(depths_m.mean() - mean_m) < 4 * std_m / np.sqrt(4000)
    assert depths_m.min() >= 0
    assert 0.95 * deepest_m < depths_m.max() <= deepest_m
    if model != "legacy":  # P(min > x) = (1 - x/D)^2
        assert abs(np.mean(depths_m > deepest_m / 2) - 0.25) < 4 * np.sqrt(0.25 * 0.75 / 4000)


@pytest.mark.parametrize(("model", "std_db"), [("low", 4.4), ("high", 6.5), ("legacy", 0.0)])
def test_loss_of_a_client_has_the_mean_and_spread_of_its_parts(model, std_db):
    losses_db = np.array(
        [draw_loss_db(model, "umi", 3.5e9, np.random.default_rng(seed)) for seed in range(3000)]
    )
    depth_mean_m, depth_var = (12.5, 625 / 12) if model == "legacy" else (25 / 3, 625 / 18)
    spread = np.sqrt(std_db**2 + 0.25 * depth_var)
    mean_db = float(penetration_db(model, 3.5e9)) + 0.5 * depth_mean_m
    assert abs(losses_db.mean() - mean_db) < 4 * spread / np.sqrt(3000)
    assert losses_db.std() == pytest.approx(spread, rel=4 / np.sqrt(2 * 3000))


def test_every_model_takes_the_same_numbers():
    after = []
    for model in ("low", "high", "legacy"):
        generator = np.random.default_rng(7)
        draw_loss_db(model, "uma", 2e9, generator)
        after.append(generator.random())
    assert len(set(after)) == 1


def test_bad_input_is_one_line():
    with pytest.raises(
        InputError, match=r"^penetration model must be one of low, high, legacy; got 'mid'$"
    ):
        penetration_db("mid", 2e9)
    with pytest.raises(InputError, match=r"^release must be one of 16, 19; got 17$"):
        penetration_db("high", 2e9, release=17)
    with pytest.raises(InputError, match=r"^carrier_hz must be above 0, got -1$"):
        penetration_db("high", -1.0)
    with pytest.raises(InputError, match=r"^environment must be one of umi, uma, rma; got 'inh'$"):
        draw_loss_db("low", "inh", 2e9, np.random.default_rng(0))
    with pytest.raises(
        InputError, match=r"^penetration model must be low for tr38901-rma, got 'legacy'$"
    ):
        draw_loss_db("legacy", "rma", 2e9, np.random.default_rng(0))
    with pytest.raises(
        InputError, match=r"^penetration model must be low for tr38901-rma, got 'high'$"
    ):
        draw_loss_db("high", "rma", 2e9, np.random.default_rng(0))
