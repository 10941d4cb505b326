"""Error bars of `simulate` and `whatif` against what other drops and other stretches of time give."""

from dataclasses import replace

import numpy as np
import pytest
from helpers.cli import call

from studies.cli.options.scenario import scenario_tables
from studies.report.drops import drop_seeds, has_drops, period
from studies.views.simulation.simulation import rate_interval
from studies.views.whatif.vary import Vary
from studies.views.whatif.whatif import Sweep
from wirelessfl.config.scenario_file import from_tables, merge
from wirelessfl.errors import InputError


@pytest.fixture
def wirelessfl(capsys, monkeypatch, tmp_path):
    """`wirelessfl ARGUMENTS` in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: call(capsys, monkeypatch, *arguments)


DEADLINE = (Vary.parse("scenario.deadline_s=0.02"),)


def trace(folder, rows, *, rho=0.0, seed=0):
    """The tables of two clients on a recorded, possibly correlated, fading channel."""
    rng = np.random.default_rng(seed)
    level_db = [rng.standard_normal(2)]
    for _ in range(rows - 1):
        level_db.append(rho * level_db[-1] + np.sqrt(1 - rho**2) * rng.standard_normal(2))
    file = folder / f"{rows}-{rho}-{seed}.npz"
    np.savez(file, gain_db=6.0 * np.array(level_db) - 121.0)
    channel = {"model": "trace", "file": str(file), "repeat": True}
    scenario = {"clients": 2, "bandwidth_hz": 2e6}
    return merge(scenario_tables("digits"), {"channel": channel, "scenario": scenario})


def test_rows_that_are_repeated_add_no_precision(tmp_path):
    tables = trace(tmp_path, 20)
    few, many = Sweep(tables, DEADLINE, 20), Sweep(tables, DEADLINE, 2000)
    once, again = few.run(), many.run()
    assert once.standard_error("mean_ratio") > 0
    for name in ("mean_ratio", "latency_s"):
        np.testing.assert_array_equal(once.mean(name), again.mean(name))
        np.testing.assert_array_equal(once.standard_error(name), again.standard_error(name))
    assert many.varies.startswith("20 rounds in order (all that there are, of 2000 asked for)")


def test_the_spread_over_correlated_rows_is_that_of_other_recordings(tmp_path):
    found = [
        Sweep(trace(tmp_path, 300, rho=0.8, seed=seed), DEADLINE, 300).run() for seed in range(12)
    ]
    means = np.array([float(one.mean("mean_ratio")[0]) for one in found])
    errors = np.array([float(one.standard_error("mean_ratio")[0]) for one in found])
    assert 0.5 < means.std(ddof=1) / np.sqrt((errors**2).mean()) < 1.6
    alone = [one.measured["mean_ratio"].std() / np.sqrt(300) for one in found]
    assert means.std(ddof=1) > 1.8 * np.mean(alone)


def test_the_interval_of_misses_covers_the_truth_where_rounds_are_correlated():
    rng, covered, rounds = np.random.default_rng(3), [], 700
    for _ in range(80):
        level = [rng.standard_normal(3)]
        for _ in range(rounds - 1):
            level.append(0.8 * level[-1] + 0.6 * rng.standard_normal(3))
        _, low, high = rate_interval(np.array(level) < -0.6744897501960817)  # a quarter of them
        covered.append(low <= 0.25 <= high)
    assert np.mean(covered) > 0.88


def test_the_interval_of_a_channel_that_starts_over_is_that_of_one_pass():
    once = np.random.default_rng(4).random((30, 4)) < 0.3
    found = rate_interval(np.tile(once, (50, 1)), period=30)
    assert found == pytest.approx(rate_interval(once))
    none = np.zeros((3000, 4), dtype=bool)
    assert rate_interval(none, period=30) == rate_interval(none[:30])


def test_simulate_says_what_its_rounds_are_worth(wirelessfl, tmp_path):
    trace(tmp_path, 20)
    changes = {
        "channel.model": "trace",
        "channel.file": "20-0.0-0.npz",
        "channel.repeat": "true",
        "channel.csi": "mean",
        "scenario.clients": 2,
        "scenario.bandwidth_hz": 2e6,
    }
    options = [text for name, value in changes.items() for text in ("--set", f"{name}={value}")]
    few = wirelessfl("simulate", *options, "--rounds", 20, "--json").json()
    many = wirelessfl("simulate", *options, "--rounds", 400, "--json").json()
    assert many["miss_rate_interval"] == pytest.approx(few["miss_rate_interval"])
    assert 0 < few["miss_rate"] < 1
    assert few["effective_rounds"] <= 20
    assert (many["period_rounds"], many["one_drop"]) == (20, False)
    printed = " ".join(wirelessfl("simulate", *options, "--rounds", 40).out.split())
    assert "the channel starts over after 20" in printed
    assert "95 % interval over 5 rounds" in wirelessfl("simulate", "--rounds", 5).out
    assert "those of one drop" in wirelessfl("simulate", "physical", "--rounds", 2).out


def test_the_error_over_drops_is_that_of_other_seeds():
    """Six scenarios that differ in their seed alone, as far apart as each of them says."""
    base = merge(scenario_tables("physical"), {"scenario": {"clients": 4}})
    means, errors, stuck = [], [], []
    for seed in range(6):
        tables = merge(base, {"run": {"seed": seed}})
        found = Sweep(tables, (Vary.parse("scenario.deadline_s=0.05"),), 25).run()
        means.append(float(found.mean("mean_ratio")[0]))
        errors.append(float(found.standard_error("mean_ratio")[0]))
        one = Sweep(tables, (Vary.parse("scenario.deadline_s=0.05"),), 25, 1).run()
        stuck.append(float(one.standard_error("mean_ratio")[0]))
    spread = np.std(means, ddof=1)
    assert 0.4 < spread / np.sqrt(np.mean(np.square(errors))) < 1.9
    assert np.mean(errors) > 2 * np.mean(stuck)


def test_drops_are_independent_runs_and_the_first_is_the_scenario():
    tables = merge(scenario_tables("physical"), {"scenario": {"clients": 3}})
    asked = Sweep(tables, (Vary.parse("scenario.deadline_s=0.05,0.06"),), 6, 3)
    assert (len(asked.seeds), asked.rounds, asked.sampled) == (3, 2, 6)
    found = asked.run()
    assert found.measured["mean_ratio"].shape == (2, 3)
    for drop, seed in enumerate(asked.seeds):
        alone = Sweep(merge(tables, {"run": {"seed": seed}}), asked.axes, 2, 1).run()
        np.testing.assert_allclose(
            found.measured["mean_ratio"][:, drop], alone.mean("mean_ratio"), rtol=1e-12
        )
    assert asked.seeds[0] == 0
    assert len({*drop_seeds(0, 50), *drop_seeds(1, 50)}) == 100


CHANNELS = {
    "tr38901-umi": ({}, True),
    "tr38901-inh": ({"drop": "disc", "radius_m": 30.0, "extrapolate": True}, True),
    "peer-to-peer": ({}, True),
    "rayleigh": ({}, False),
    "static": ({}, False),
}


@pytest.mark.parametrize(("model", "fields", "expected"), [(n, *v) for n, v in CHANNELS.items()])
def test_channels_that_have_drops(model, fields, expected):
    experiment = from_tables({"channel": {"model": model, **fields}})
    assert has_drops(experiment) == expected
    assert period(experiment) is None


class OneSeed:
    """A channel of which every drop but that of seed 0 is refused, as sparse random graphs are."""

    def mean_gain(self, scenario, rng):
        if rng.seed != 0:
            raise InputError("channel.edge_probability must be larger")
        return np.full(scenario.clients, 1e-12)


def test_a_drop_that_cannot_be_is_another_one():
    assert has_drops(replace(from_tables({}), channel=OneSeed()))
    with pytest.raises(InputError, match="edge_probability"):
        has_drops(replace(from_tables({"run": {"seed": 1}}), channel=OneSeed()))


def test_clients_that_walk_have_drops():
    moving = {"model": "rayleigh", "motion": "velocity", "round_interval_s": 1.0}
    experiment = from_tables({"channel": moving})
    assert has_drops(experiment)
    still = replace(experiment, channel=from_tables({"channel": {"model": "rayleigh"}}).channel)
    assert not has_drops(still)


def test_the_caption_says_what_varies(wirelessfl):
    vary = ("--vary", "scenario.deadline_s=0.05")
    drops = wirelessfl("whatif", "physical", *vary, "--draws", 4)
    assert "4 drops: positions and all else" in drops.out
    rounds = wirelessfl("whatif", "physical", *vary, "--draws", 4, "--drops", 1)
    assert "4 rounds of one drop" in rounds.out
    assert "4 rounds in order" in wirelessfl("whatif", *vary, "--draws", 4).out
    found = wirelessfl("whatif", "physical", *vary, "--drops", 3, "--json").json()
    assert (found["draws"], found["drops"]) == (3, 3)
    assert found["varies"].startswith("3 drops")


@pytest.mark.parametrize(
    ("scenario", "options", "words"),
    [
        ("physical", ["--drops", 0], ["--drops", "at least 1", "0"]),
        ("physical", ["--drops", 3, "--draws", 4], ["--draws", "multiple of --drops, 3", "4"]),
        ("digits", ["--drops", 3], ["--drops must be 1", "--draws", "3"]),
    ],
)
def test_drops_that_cannot_be(wirelessfl, scenario, options, words):
    ended = wirelessfl("whatif", scenario, "--vary", "scenario.deadline_s=0.05", *options)
    assert (ended.status, ended.out) == (2, "")
    assert len(ended.err.splitlines()) == 1
    for word in words:
        assert word in ended.err
