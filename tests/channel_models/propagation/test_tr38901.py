"""TR 38.901 against values on which independent implementations agree, and what any such formula
must obey.
"""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from channel_models import los_probability, path_loss_db
from channel_models._propagation.tr38901 import (
    ENVIRONMENTS,
    K_FACTOR_DB,
    correlation_distance_m,
    draw_effective_height_m,
    loss_db,
    shadow_std_db,
)
from wirelessfl.errors import InputError

NAMES = tuple(f"tr38901-{environment}" for environment in ENVIRONMENTS)
CARRIER_HZ = {
    "tr38901-umi": 3.5e9,
    "tr38901-uma": 3.5e9,
    "tr38901-rma": 0.7e9,
    "tr38901-inh": 3.5e9,
}
FARTHEST_M = {"tr38901-umi": 5e3, "tr38901-uma": 5e3, "tr38901-rma": 5e3, "tr38901-inh": 150.0}
# distance, loss with and without a line of sight, probability of one
VALUES = [
    ("tr38901-umi", 10, 66.761033, 73.456860, 1.0),
    ("tr38901-umi", 50, 79.089649, 94.180677, 0.51958541),
    ("tr38901-umi", 100, 85.314189, 104.643832, 0.23098475),
    ("tr38901-umi", 300, 98.244261, 121.437181, 0.06022595),
    ("tr38901-umi", 1000, 119.153068, 139.889203, 0.018),
    ("tr38901-uma", 35, 74.628595, 87.921447, 0.79296595),
    ("tr38901-uma", 200, 89.569525, 114.461973, 0.12804773),
    ("tr38901-uma", 1000, 109.411895, 141.666046, 0.01800013),
    ("tr38901-rma", 100, 70.219015, 78.694397, 0.91393119),
    ("tr38901-rma", 1000, 93.381607, 116.444906, 0.37157669),
    ("tr38901-inh", 5, 55.931104, 58.852216, 0.44552111),
    ("tr38901-inh", 20, 65.826560, 80.759497, 0.21149695),
]


@pytest.mark.parametrize(("name", "distance_m", "los_db", "nlos_db", "probability"), VALUES)
def test_values_on_which_implementations_agree(name, distance_m, los_db, nlos_db, probability):
    carrier_hz = CARRIER_HZ[name]
    assert float(path_loss_db(name, distance_m, carrier_hz=carrier_hz)) == pytest.approx(
        los_db, abs=1e-5
    )
    assert float(path_loss_db(name, distance_m, carrier_hz=carrier_hz, los=False)) == pytest.approx(
        nlos_db, abs=1e-5
    )
    assert float(los_probability(name, distance_m)) == pytest.approx(probability, abs=1e-8)


def test_the_heights_of_the_values_are_the_defaults():
    assert path_loss_db("tr38901-umi", 50, bs_height_m=10.0, ut_height_m=1.5) == path_loss_db(
        "tr38901-umi", 50
    )
    assert path_loss_db("tr38901-uma", 50, bs_height_m=25.0, ut_height_m=1.5) == path_loss_db(
        "tr38901-uma", 50
    )
    rural = {
        "bs_height_m": 35.0,
        "ut_height_m": 1.5,
        "street_width_m": 20.0,
        "building_height_m": 5.0,
    }
    assert path_loss_db("tr38901-rma", 50, los=False, **rural) == path_loss_db(
        "tr38901-rma", 50, los=False
    )
    assert path_loss_db("tr38901-inh", 50, bs_height_m=3.0, ut_height_m=1.0) == path_loss_db(
        "tr38901-inh", 50
    )
    assert path_loss_db("tr38901-uma", 50, effective_height_m=1.0) == path_loss_db(
        "tr38901-uma", 50
    )


def test_open_office():
    found = los_probability("tr38901-inh", [5.0, 20.0], office="open")
    np.testing.assert_allclose(found, [1.0, 0.80907440], atol=1e-8)
    edges = los_probability("tr38901-inh", [49.0, 49.0001], office="open")
    np.testing.assert_allclose(edges, [np.exp(-44 / 70.8), 0.54], atol=1e-5)


def _break_m(name, carrier_hz, ut_height_m=1.5):
    if name == "tr38901-rma":
        return 2 * np.pi * 35 * ut_height_m * carrier_hz / 3e8
    bs_height_m = 10 if name == "tr38901-umi" else 25
    return 4 * (bs_height_m - 1) * (ut_height_m - 1) * carrier_hz / 3e8


@pytest.mark.parametrize("carrier_hz", [0.7e9, 3.5e9, 5.9e9])
@pytest.mark.parametrize("name", ["tr38901-umi", "tr38901-uma"])
def test_the_slopes_meet_at_the_break_point(name, carrier_hz):
    at = _break_m(name, carrier_hz)
    losses = path_loss_db(name, at * (1 + np.array([-1e-9, 1e-9])), carrier_hz=carrier_hz)
    assert losses[1] - losses[0] == pytest.approx(0, abs=1e-6)
    slopes = np.diff(
        path_loss_db(name, at * np.array([0.98, 0.99, 1.01, 1.02]), carrier_hz=carrier_hz)
    )
    assert slopes[2] > 1.5 * slopes[0]


def test_the_rural_slopes_meet_but_for_the_height():
    # PL2 compares d3 with the 2-D break point: (40 - 20 - 0.03 h^1.72) log10(d3/d_BP) less 0.002
    # log10(h)(d3 - d_BP)
    at = _break_m("tr38901-rma", 0.7e9)
    losses = path_loss_db("tr38901-rma", at * (1 + np.array([-1e-12, 1e-12])), carrier_hz=0.7e9)
    d3 = np.hypot(at, 33.5)
    step_db = (20 - 0.03 * 5**1.72) * np.log10(d3 / at) - 0.002 * np.log10(5) * (d3 - at)
    assert losses[1] - losses[0] == pytest.approx(step_db, abs=1e-6)
    assert 0 < step_db < 0.01


@given(
    st.sampled_from(NAMES),
    st.floats(0.5e9, 30e9),
    st.lists(st.floats(0, 1), min_size=2, max_size=8),
    st.floats(1.5, 10.0),
)
def test_loss_grows_with_distance_and_without_a_line_of_sight(
    name, carrier_hz, shares, ut_height_m
):
    nearest_m = 1.0 if name == "tr38901-inh" else 10.0
    distance_m = np.sort(nearest_m * (FARTHEST_M[name] / nearest_m) ** np.array(shares)).clip(
        nearest_m, FARTHEST_M[name]
    )
    heights = {"ut_height_m": 1.0 if name == "tr38901-inh" else ut_height_m}
    with_sight = path_loss_db(name, distance_m, carrier_hz=carrier_hz, **heights)
    without = path_loss_db(name, distance_m, carrier_hz=carrier_hz, los=False, **heights)
    assert np.all(np.diff(with_sight) >= -1e-9)
    assert np.all(np.diff(without) >= -1e-9)
    assert np.all(without >= with_sight)


@given(
    st.sampled_from(NAMES),
    st.lists(st.floats(0, 10e3), min_size=2, max_size=8),
    st.floats(1.5, 10.0),
)
def test_probability_of_a_line_of_sight_falls_with_distance(name, distance_m, ut_height_m):
    found = los_probability(name, np.sort(distance_m), ut_height_m=ut_height_m)
    assert np.all((found >= 0) & (found <= 1))
    assert np.all(np.diff(found) <= 1e-12)


def test_probability_in_the_open_office_falls_but_for_the_step_of_the_standard():
    found = los_probability("tr38901-inh", np.linspace(0, 150, 3001), office="open")
    assert np.max(np.diff(found)) == pytest.approx(0.54 - np.exp(-44 / 70.8), abs=1e-3)
    assert np.sum(np.diff(found) > 0) == 1


def test_high_clients_of_the_urban_macro_cell_are_seen_more_often():
    low, high = los_probability("tr38901-uma", 200.0, ut_height_m=[13.0, 23.0], extrapolate=True)
    assert low == los_probability("tr38901-uma", 200.0)
    assert high == pytest.approx(low * (1 + 1.25 * 8 * np.exp(-200 / 150)), rel=1e-12)
    far = los_probability("tr38901-uma", np.linspace(1, 5000, 2000), ut_height_m=22.5)
    assert np.all((far >= 0) & (far <= 1))


@pytest.mark.parametrize("name", NAMES)
def test_an_array_is_its_scalars(name):
    distance_m = np.linspace(10.0, FARTHEST_M[name], 12).reshape(3, 4)
    los = np.arange(12).reshape(3, 4) % 2 == 0
    found = path_loss_db(name, distance_m, carrier_hz=0.6e9, los=los)
    each = [
        float(path_loss_db(name, d, carrier_hz=0.6e9, los=bool(s)))
        for d, s in zip(distance_m.flat, los.flat, strict=True)
    ]
    np.testing.assert_allclose(found.ravel(), each, rtol=1e-14)
    probability = [float(los_probability(name, d)) for d in distance_m.flat]
    np.testing.assert_allclose(los_probability(name, distance_m).ravel(), probability, rtol=1e-14)


def test_optional_formula_without_a_line_of_sight():
    d3 = np.hypot(100.0, 8.5)
    found = path_loss_db("tr38901-umi", 100.0, carrier_hz=10e9, los=False, optional_nlos=True)
    assert float(found) == pytest.approx(32.4 + 20 + 31.9 * np.log10(d3), abs=1e-9)
    d3 = np.hypot(100.0, 23.5)
    found = path_loss_db("tr38901-uma", 100.0, carrier_hz=10e9, los=False, optional_nlos=True)
    assert float(found) == pytest.approx(32.4 + 20 + 30 * np.log10(d3), abs=1e-9)
    with_sight = path_loss_db("tr38901-uma", 100.0, optional_nlos=True)
    assert with_sight == path_loss_db("tr38901-uma", 100.0)
    assert (
        float(shadow_std_db("umi", 100.0, los=False, carrier_hz=3.5e9, optional_nlos=True)) == 8.2
    )
    assert (
        float(shadow_std_db("uma", 100.0, los=False, carrier_hz=3.5e9, optional_nlos=True)) == 7.8
    )


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        (
            "tr38901-umi",
            {"distance_m": 3},
            "distance_m must be within 10 and 5000 for tr38901-umi, got 3",
        ),
        (
            "tr38901-umi",
            {"distance_m": [20, 5001]},
            "distance_m must be within 10 and 5000 for tr38901-umi, got 5001",
        ),
        (
            "tr38901-uma",
            {"distance_m": 9.9},
            "distance_m must be within 10 and 5000 for tr38901-uma, got 9.9",
        ),
        (
            "tr38901-rma",
            {"distance_m": 10_001},
            "distance_m must be within 10 and 10000 for tr38901-rma, got 10001",
        ),
        (
            "tr38901-rma",
            {"distance_m": [6000, 6001], "los": np.array([True, False])},
            "distance_m must be within 10 and 5000 for tr38901-rma, got 6001",
        ),
        (
            "tr38901-inh",
            {"distance_m": 151},
            "distance_m must be within 1 and 150 for tr38901-inh, got 151",
        ),
        (
            "tr38901-umi",
            {"carrier_hz": 0.4e9},
            "carrier_hz must be within 5e+08 and 1e+11 for tr38901-umi, got 4e+08",
        ),
        (
            "tr38901-rma",
            {"carrier_hz": 31e9},
            "carrier_hz must be within 5e+08 and 3e+10 for tr38901-rma, got 3.1e+10",
        ),
        (
            "tr38901-umi",
            {"ut_height_m": 23},
            "ut_height_m must be within 1.5 and 22.5 for tr38901-umi, got 23",
        ),
        (
            "tr38901-rma",
            {"bs_height_m": 9.0},
            "bs_height_m must be within 10 and 150 for tr38901-rma, got 9",
        ),
        (
            "tr38901-rma",
            {"street_width_m": 4.0},
            "street_width_m must be within 5 and 50 for tr38901-rma, got 4",
        ),
        (
            "tr38901-rma",
            {"building_height_m": 51.0},
            "building_height_m must be within 5 and 50 for tr38901-rma, got 51",
        ),
    ],
)
def test_outside_the_standard_is_refused_unless_asked_for(name, arguments, message):
    arguments = {"distance_m": 100, **arguments}
    with pytest.raises(InputError) as refusal:
        path_loss_db(name, **arguments)
    assert str(refusal.value) == message
    assert np.all(np.isfinite(path_loss_db(name, **arguments, extrapolate=True)))


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        (
            "tr38901-rma",
            {"building_height_m": 1e300, "extrapolate": True},
            "building_height_m must be at most 100000",
        ),
        (
            "tr38901-sma",
            {},
            "path loss must be one of tr38901-umi, tr38901-uma, tr38901-rma, tr38901-inh, free-space",
        ),
        ("tr38901-umi", {"distance_m": np.nan}, "distance_m must be finite, got nan"),
        (
            "tr38901-umi",
            {"distance_m": -1, "extrapolate": True},
            "distance_m must be at least 0, got -1",
        ),
        ("tr38901-umi", {"distance_m": "far"}, "distance_m must be a number, got 'far'"),
        ("tr38901-umi", {"ut_height_m": "tall"}, "ut_height_m must be a number, got 'tall'"),
        ("tr38901-umi", {"carrier_hz": 0}, "carrier_hz must be above 0, got 0"),
        (
            "tr38901-umi",
            {"ut_height_m": 0.5, "extrapolate": True},
            "ut_height_m less effective_height_m must be above 0",
        ),
        ("tr38901-umi", {"los": "nlos"}, "los must be True or False, got 'nlos'"),
        ("tr38901-umi", {"distance_m": [20, 30], "los": [True] * 3}, "shapes must broadcast, got "),
        (
            "tr38901-umi",
            {"street_width_m": 20.0},
            "street_width_m is not taken by tr38901-umi, got 20.0",
        ),
        (
            "tr38901-umi",
            {"effective_height_m": 2.0},
            "effective_height_m is not taken by tr38901-umi, got 2.0",
        ),
        (
            "tr38901-inh",
            {"optional_nlos": True},
            "optional_nlos is not taken by tr38901-inh, got True",
        ),
        ("free-space", {"los": False}, "los is not taken by free-space, got False"),
        ("log-distance", {"ut_height_m": 2.0}, "ut_height_m is not taken by log-distance, got 2.0"),
    ],
)
def test_bad_input_is_one_line(name, arguments, message):
    with pytest.raises(InputError) as refusal:
        path_loss_db(name, **{"distance_m": 100, **arguments})
    assert str(refusal.value).startswith(message)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        (
            "free-space",
            {},
            "line-of-sight probability must be one of tr38901-umi, tr38901-uma, tr38901-rma, tr38901-inh;",
        ),
        (
            "tr38901-uma",
            {"ut_height_m": 23.0},
            "ut_height_m must be within 1.5 and 22.5 for tr38901-uma, got 23",
        ),
        ("tr38901-uma", {"distance_m": np.inf}, "distance_m must be finite, got inf"),
        (
            "tr38901-uma",
            {"distance_m": [20.0, 30.0], "ut_height_m": [1.5] * 3},
            "shapes must broadcast, got ",
        ),
        ("tr38901-uma", {"distance_m": -1.0}, "distance_m must be at least 0, got -1"),
        ("tr38901-uma", {"office": "open"}, "office is not taken by tr38901-uma, got 'open'"),
        ("tr38901-inh", {"office": "loft"}, "office must be one of mixed, open; got 'loft'"),
    ],
)
def test_bad_input_to_the_probability_is_one_line(name, arguments, message):
    with pytest.raises(InputError) as refusal:
        los_probability(name, **{"distance_m": 100.0, **arguments})
    assert str(refusal.value).startswith(message)


def test_shadowing_and_k_factor_of_the_table():
    sight = np.array([True, False])
    expected = {"umi": [4, 7.82], "uma": [4, 6], "rma": [4, 8], "inh": [3, 8.03]}
    for environment in ENVIRONMENTS:
        np.testing.assert_array_equal(
            shadow_std_db(environment, 100.0, los=sight, carrier_hz=0.7e9), expected[environment]
        )
    at = _break_m("tr38901-rma", 0.7e9)
    found = shadow_std_db(
        "rma",
        at * np.array([0.99, 1.01, 1.01]),
        los=np.array([True, True, False]),
        carrier_hz=0.7e9,
    )
    np.testing.assert_array_equal(found, [4, 6, 8])
    distances = {"umi": [10, 13, 7], "uma": [37, 50, 7], "rma": [37, 120, 120], "inh": [10, 6, 6]}
    for environment in ENVIRONMENTS:
        indoor = np.array([False, False, True])
        found = correlation_distance_m(
            environment, los=np.array([True, False, False]), indoor=indoor
        )
        np.testing.assert_array_equal(found, distances[environment])
    assert K_FACTOR_DB == {"umi": (9, 5), "uma": (9, 3.5), "rma": (7, 4), "inh": (7, 4)}


def test_effective_height_is_drawn_as_the_standard_says():
    generator = np.random.default_rng(1)
    links, ut_height_m, distance_m = 40_000, 22.5, 200.0
    drawn = draw_effective_height_m(np.full(links, distance_m), ut_height_m, generator)
    assert set(drawn) == {1.0, 12.0, 15.0, 18.0, 21.0}
    high = (0.95**1.5) * 1.25 * 8 * np.exp(-distance_m / 150)
    shares = {1.0: 1 / (1 + high), **dict.fromkeys((12.0, 15.0, 18.0, 21.0), high / (1 + high) / 4)}
    for height_m, share in shares.items():
        assert abs(np.mean(drawn == height_m) - share) < 4 * np.sqrt(share * (1 - share) / links)


def test_effective_height_of_low_or_near_clients_is_one_metre():
    generator = np.random.default_rng(1)
    assert np.all(draw_effective_height_m(np.full(500, 450.0), 13.0, generator) == 1)
    assert np.all(draw_effective_height_m(np.full(500, 450.0), 13.4, generator) == 1)
    assert np.all(draw_effective_height_m(np.full(500, 18.0), 22.5, generator) == 1)
    one = draw_effective_height_m([300.0, 400.0], 20.0, np.random.default_rng(5))
    more = draw_effective_height_m([300.0, 400.0, 500.0], 20.0, np.random.default_rng(5))
    np.testing.assert_array_equal(one, more[:2])


def test_effective_height_moves_the_break_point_alone():
    near, far = 50.0, 3000.0
    changed = loss_db(
        "uma",
        [near, far],
        carrier_hz=3.5e9,
        los=True,
        ut_height_m=20.0,
        effective_height_m=[18.0, 18.0],
    )
    plain = loss_db("uma", [near, far], carrier_hz=3.5e9, los=True, ut_height_m=20.0)
    assert changed[0] == plain[0]
    assert changed[1] > plain[1]
