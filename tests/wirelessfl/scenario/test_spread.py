"""Values of the clients as ranges and distributions."""

import json
import pickle
from dataclasses import replace

import numpy as np
import pytest

from wirelessfl.config.scenario_file import experiment_hash, from_tables, merge, to_tables
from wirelessfl.errors import InputError
from wirelessfl.scenario.scenario import Scenario


def experiment(run_seed=0, clients=6, **fields):
    return from_tables({"scenario": {"clients": clients, **fields}, "run": {"seed": run_seed}})


def test_ranges_are_evenly_spaced():
    scenario = experiment(cpu_hz="1GHz:3.5GHz", distance_m="log:10:1000", clients=3).scenario
    assert scenario.per_client("cpu_hz").tolist() == [1e9, 2.25e9, 3.5e9]
    np.testing.assert_allclose(scenario.per_client("distance_m"), [10, 100, 1000], rtol=1e-12)


@pytest.mark.parametrize(
    ("text", "low", "high", "cdf"),
    [
        ("uniform(1GHz, 3GHz)", 1e9, 3e9, lambda hz: (hz - 1e9) / 2e9),
        ("log-uniform(1e8, 1e10)", 1e8, 1e10, lambda hz: np.log10(hz / 1e8) / 2),
    ],
)
def test_draws_have_the_distribution(text, low, high, cdf):
    hz = np.sort(experiment(cpu_hz=text, clients=4000).scenario.per_client("cpu_hz"))
    assert low <= hz[0] < hz[-1] <= high
    gap = np.abs(cdf(hz) - np.arange(1, 4001) / 4000).max()
    assert gap < 1.95 / 4000**0.5  # Kolmogorov-Smirnov at 0.1 %


def test_choices_are_equally_probable():
    hz = experiment(cpu_hz="choice(1GHz, 2GHz, 4GHz)", clients=3000).scenario.per_client("cpu_hz")
    values, counts = np.unique(hz, return_counts=True)
    assert values.tolist() == [1e9, 2e9, 4e9]
    assert np.abs(counts - 1000).max() < 4 * (3000 * 2 / 9) ** 0.5


def test_draws_depend_on_the_seed_alone():
    text = "uniform(1GHz, 3GHz)"

    def hz(**fields):
        return experiment(cpu_hz=text, **fields).scenario.per_client("cpu_hz")

    assert np.array_equal(hz(), hz(deadline_s=0.1))
    assert np.array_equal(hz(), hz(clients=9)[:6])
    assert not np.array_equal(hz(), hz(run_seed=1))
    fields = {"scenario": {"clients": 6, "cpu_hz": text, "seed": 7}}
    one, two = (from_tables({**fields, "run": {"seed": seed}}).scenario for seed in (0, 1))
    assert np.array_equal(one.per_client("cpu_hz"), two.per_client("cpu_hz"))
    other = experiment(cpu_hz=text, cycles_per_weight="uniform(1, 3)").scenario
    assert not np.allclose(other.per_client("cycles_per_weight") * 1e9, hz())


def test_another_seed_of_the_run_draws_other_values():
    """A sweep over seeds and a recorded file with another seed draw anew; an own seed stays."""
    fields = {"clients": 6, "cpu_hz": "uniform(1GHz, 3GHz)"}
    first = from_tables({"scenario": fields, "run": {"seed": 0}})
    fresh = experiment(run_seed=1, cpu_hz="uniform(1GHz, 3GHz)")
    moved = replace(first, run=replace(first.run, seed=1))
    recorded = from_tables(merge(to_tables(first), {"run": {"seed": 1}}))
    for other in (moved, recorded):
        hz = other.scenario.per_client("cpu_hz")
        assert np.array_equal(hz, fresh.scenario.per_client("cpu_hz"))
        assert not np.array_equal(hz, first.scenario.per_client("cpu_hz"))
        assert experiment_hash(other) == experiment_hash(fresh)
    own = from_tables({"scenario": {**fields, "seed": 3}, "run": {"seed": 0}})
    again = replace(own, run=replace(own.run, seed=1))
    assert np.array_equal(own.scenario.per_client("cpu_hz"), again.scenario.per_client("cpu_hz"))
    restored = pickle.loads(pickle.dumps(moved.scenario))
    assert np.array_equal(restored.per_client("cpu_hz"), moved.scenario.per_client("cpu_hz"))


def test_levels_are_drawn_as_levels():
    scenario = experiment(transmit_power_dbm="uniform(10dBm, 20)", clients=2000).scenario
    dbm = 10 * np.log10(scenario.per_client("transmit_power_w")) + 30
    assert dbm.min() >= 10 - 1e-9
    assert dbm.max() <= 20 + 1e-9
    assert dbm.mean() == pytest.approx(15, abs=0.3)


def test_a_recorded_experiment_has_the_same_values():
    first = experiment(run_seed=3, cpu_hz="uniform(1GHz, 3GHz)", distance_m="50:300")
    tables = to_tables(first)
    assert json.loads(json.dumps(tables))["scenario"]["cpu_hz"] == "uniform(1e+09, 3e+09)"
    again = from_tables(tables)
    assert again == first
    assert (
        experiment_hash(again) == experiment_hash(first) != experiment_hash(experiment(run_seed=3))
    )
    assert np.array_equal(again.scenario.per_client("cpu_hz"), first.scenario.per_client("cpu_hz"))


def test_a_scenario_in_python_takes_the_same_texts():
    assert Scenario(clients=3, cpu_hz="1GHz:2GHz").per_client("cpu_hz").tolist() == [
        1e9,
        1.5e9,
        2e9,
    ]


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"cpu_hz": "fast"}, r"scenario\.cpu_hz must be a number, a list of numbers.*got 'fast'"),
        ({"cpu_hz": "uniform(1GHz)"}, r"scenario\.cpu_hz must be .*got 'uniform\(1GHz\)'"),
        ({"cpu_hz": "normal(1, 2)"}, r"scenario\.cpu_hz must be .*got 'normal\(1, 2\)'"),
        ({"cpu_hz": "uniform(1GHz, 3s)"}, r"scenario\.cpu_hz takes Hz, .*; got '\s*3s'"),
        ({"cpu_hz": "uniform(1GHz, b)"}, r"scenario\.cpu_hz must have numbers in .*, got 'b'"),
        ({"cpu_hz": "uniform(0, 3GHz)"}, r"scenario\.cpu_hz must be above 0, got 0"),
        ({"cpu_hz": "log:0:3GHz"}, r"scenario\.cpu_hz: ends of a logarithm must be above 0, got 0"),
        ({"distance_m": "uniform(1, 1e10)"}, r"scenario\.distance_m must be at most 1e\+09"),
        ({"transmit_power_dbm": "log:1:2"}, r"scenario\.transmit_power_dbm is a level"),
        (
            {"cpu_hz": "1GHz:3GHz", "cpu": "dvfs", "min_cpu_hz": 2e9},
            r"scenario\.min_cpu_hz must be",
        ),
        ({"seed": -1}, r"scenario\.seed must be a whole number of at least 0, got -1"),
    ],
)
def test_bad_texts_are_one_line(fields, words):
    with pytest.raises(InputError, match=words) as error:
        experiment(**fields)
    assert "\n" not in str(error.value)
