"""Path-loss formulas against closed forms, ranges and refusals."""

import numpy as np
import pytest

from channel_models import free_space_db, log_distance_db, path_loss_db
from channel_models._propagation.path_loss import LargeScale
from wirelessfl.errors import InputError
from wirelessfl.values import Scenario


@pytest.mark.parametrize(
    ("distance_m", "loss_db"), [(160.0, 111.49), (530.0, 130.58), (1000.0, 140.7), (100.0, 104.0)]
)
def test_log_distance_by_hand(distance_m, loss_db):
    assert float(log_distance_db(distance_m)) == pytest.approx(loss_db, abs=0.01)


@pytest.mark.parametrize("name", ["free-space", "log-distance"])
def test_no_distance_gains_power(name):
    """At 0.1 m the log-distance formula gives -6 dB, at 1 mm free space -21 dB."""
    loss_db = path_loss_db(name, [1e-3, 0.1, 10.0])
    assert np.all(loss_db >= 0)
    assert loss_db[0] == 0
    assert loss_db[2] > 50


def test_free_space_by_hand():
    # 32.44 dB + 20 log10(d / km) + 20 log10(f / MHz), the usual engineering form
    assert float(free_space_db(1000.0, 3.5e9)) == pytest.approx(103.33, abs=0.01)
    assert float(free_space_db(1000.0, 1e6)) == pytest.approx(32.45, abs=0.01)
    assert float(free_space_db(2000.0, 3.5e9) - free_space_db(1000.0, 3.5e9)) == pytest.approx(
        20 * np.log10(2)
    )


def test_loss_keeps_the_shape_and_grows_with_distance():
    distance_m = np.linspace(10.0, 2000.0, 12).reshape(3, 4)
    for name in ("free-space", "log-distance"):
        loss_db = path_loss_db(name, distance_m)
        assert loss_db.shape == (3, 4)
        assert np.all(np.diff(loss_db.ravel()) > 0)


@pytest.mark.parametrize("bad", [0.0, -1.0, np.nan, np.inf, [100.0, 0.0], "far"])
@pytest.mark.parametrize("name", ["free-space", "log-distance"])
def test_bad_distance_is_refused(name, bad):
    with pytest.raises(InputError, match=r"^distance_m must be"):
        path_loss_db(name, bad)


def test_bad_carrier_and_name_are_refused():
    with pytest.raises(InputError, match=r"carrier_hz must be above 0, got -1"):
        path_loss_db("free-space", 100.0, carrier_hz=-1.0)
    with pytest.raises(InputError, match=r"free-space, log-distance; got 'freespace'"):
        path_loss_db("freespace", 100.0)


def test_large_scale_gain_by_hand():
    scenario = Scenario(clients=2, distance_m=(100.0, 1000.0))
    np.testing.assert_allclose(LargeScale().gain(scenario), [10**-10.4, 10**-14.07], rtol=1e-12)
    own = LargeScale(intercept_db=100.0, slope_db=20.0)
    np.testing.assert_allclose(own.gain(scenario), [1e-8, 1e-10], rtol=1e-12)
    free = LargeScale(path_loss="free-space", carrier_hz=2.4e9)
    np.testing.assert_allclose(
        free.gain(scenario), 10 ** (-free_space_db([100.0, 1000.0], 2.4e9) / 10), rtol=1e-12
    )


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("path_loss", "okumura", "channel.path_loss must be one of"),
        ("carrier_hz", 0.0, "channel.carrier_hz must be above 0"),
        ("carrier_hz", 1e300, "channel.carrier_hz must be at most"),
        ("intercept_db", np.nan, "channel.intercept_db must be finite"),
        ("intercept_db", -1e300, "channel.intercept_db must be at least -300"),
        ("slope_db", 1e300, "channel.slope_db must be at most 100"),
        ("slope_db", -1.0, "channel.slope_db must be above 0"),
    ],
)
def test_bad_large_scale_field(field, value, message):
    with pytest.raises(InputError, match=message):
        LargeScale(**{field: value})


def test_large_scale_of_the_standard():
    scenario = Scenario(clients=2, distance_m=(100.0, 1000.0))
    for sight in (True, False):
        found = LargeScale(path_loss="tr38901-uma", line_of_sight=sight).gain(scenario)
        expected_db = path_loss_db("tr38901-uma", [100.0, 1000.0], los=sight)
        np.testing.assert_allclose(found, 10 ** (-expected_db / 10), rtol=1e-12)
    with pytest.raises(
        InputError,
        match=r"^scenario\.distance_m must be within 1 and 150 for tr38901-inh, got 1000$",
    ):
        LargeScale(path_loss="tr38901-inh").gain(scenario)
    with pytest.raises(
        InputError,
        match=r"^channel\.carrier_hz must be within 5e\+08 and 1e\+11 for tr38901-umi, got 1e",
    ):
        LargeScale(path_loss="tr38901-umi", carrier_hz=1e6).gain(scenario)
