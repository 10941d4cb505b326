"""Scenario files: reading, writing, settings and merging."""

import copy
import dataclasses
import tomllib

import pytest
from helpers import plugin_folder
from helpers.plugin_folder import FULL, TABLES, tables

from wirelessfl.config.scenario_file import (
    from_tables,
    merge,
    parse_setting,
    read_tables,
    to_tables,
    to_toml,
)
from wirelessfl.errors import InputError
from wirelessfl.values import Scenario


@pytest.fixture(autouse=True)
def _dummies(monkeypatch):
    plugin_folder.use(monkeypatch)


def test_what_was_written_is_read_back():
    experiment = from_tables(tables(**FULL))
    written = to_tables(experiment)
    for section, table in tables(**FULL).items():
        assert {field: written[section][field] for field in table} == table
    assert from_tables(written) == experiment
    assert to_tables(from_tables(written)) == written
    assert tomllib.loads(to_toml(experiment)) == written


def test_values_reach_their_fields():
    experiment = from_tables(tables(**FULL))
    assert experiment.scenario.transmit_power_w == (0.1, 0.2, 0.3)
    assert experiment.scenario.distance_range_m == (1.5, 2.5)
    assert experiment.channel.large_scale.path_loss == "free-space"
    assert experiment.channel.antennas == 2
    assert (experiment.allocator.share, experiment.max_pruning_ratio) == (0.5, 0.95)
    assert dataclasses.astuple(experiment.algorithm) == (("small", 7, "shards", False), 2, (0.3,))
    assert (experiment.run.rounds, experiment.run.train, experiment.run.device) == (
        7,
        False,
        "cuda",
    )


def test_left_out_is_default():
    experiment = from_tables(TABLES)
    assert experiment.scenario == Scenario()
    assert experiment.max_pruning_ratio == 1.0
    assert from_tables(to_tables(experiment)) == experiment
    assert "distance_m" not in to_tables(experiment)["scenario"]


def test_a_file_is_read_as_its_tables(tmp_path):
    file = tmp_path / "é.toml"
    file.write_text(to_toml(from_tables(tables(**FULL))), encoding="utf-8")
    assert from_tables(read_tables(file)) == from_tables(tables(**FULL))


def test_a_whole_number_is_a_number_and_a_level_is_a_power():
    experiment = from_tables(
        tables(scenario={"deadline_s": 1, "transmit_power_dbm": 30, "noise_power_dbm": -110})
    )
    assert (experiment.scenario.deadline_s, experiment.scenario.transmit_power_w) == (1.0, 1.0)
    assert experiment.scenario.noise_power_w == 1e-14
    levels = from_tables(tables(scenario={"clients": 2, "transmit_power_dbm": [30, 20.0]})).scenario
    assert levels.transmit_power_w == pytest.approx((1.0, 0.1))


@pytest.mark.parametrize(
    ("text", "setting"),
    [
        ("scenario.deadline_s=0.03", ("scenario", "deadline_s", 0.03)),
        ("run.rounds=5", ("run", "rounds", 5)),
        ("run.train=false", ("run", "train", False)),
        ("channel.model=rayleigh", ("channel", "model", "rayleigh")),
        ("channel.model='rayleigh'", ("channel", "model", "rayleigh")),
        ("channel.path_loss=free-space", ("channel", "path_loss", "free-space")),
        ("scenario.cpu_hz=[1e9, 2e9]", ("scenario", "cpu_hz", [1e9, 2e9])),
        (" run.seed = 4 ", ("run", "seed", 4)),
        ("run.executor=", ("run", "executor", "")),
        ("run.executor=a=b", ("run", "executor", "a=b")),
    ],
)
def test_a_setting(text, setting):
    assert parse_setting(text) == setting


@pytest.mark.parametrize("text", ["rounds=5", "run.rounds", "run.=5", "=5", "", "run rounds 5"])
def test_a_setting_that_is_none(text):
    with pytest.raises(InputError, match=r"^--set must be section.field=value, got "):
        parse_setting(text)


def test_a_setting_of_an_unknown_section():
    with pytest.raises(
        InputError, match=r"^section \[scenari\] is not known \(did you mean scenario\?\)$"
    ):
        parse_setting("scenari.deadline_s=1")


def test_changes_lie_on_top_and_nothing_is_edited():
    base = tables(scenario={"clients": 3}, run={"rounds": 4})
    before = copy.deepcopy(base)
    merged = merge(base, {"run": {"seed": 1}, "scenario": {"clients": 5}})
    assert merged == tables(scenario={"clients": 5}, run={"rounds": 4, "seed": 1})
    assert base == before


def test_another_plugin_drops_the_fields_it_does_not_know():
    base = tables(
        channel={"good_gain": 2e-11, "antennas": 1},
        allocation={"share": 0.5, "max_pruning_ratio": 0.9},
    )
    merged = merge(base, {"channel": {"model": "rayleigh", "path_loss": "free-space"}})
    assert merged["channel"] == {"model": "rayleigh", "antennas": 1, "path_loss": "free-space"}
    assert merged["allocation"] == base["allocation"]
    assert from_tables(merged).channel.antennas == 1
    same = merge(base, {"channel": {"model": "two-state"}})
    assert same == base


def test_a_field_of_the_old_plugin_given_with_the_new_one_is_an_error():
    merged = merge(TABLES, {"channel": {"model": "rayleigh", "good_gain": 1.0}})
    with pytest.raises(InputError, match=r"^channel.good_gain is not a field of \[channel\]"):
        from_tables(merged)


@pytest.mark.parametrize("new", [{"transmit_power_dbm": 20}, {"transmit_power_w": 0.1}])
def test_a_power_in_the_other_unit_replaces_the_old_one(new):
    for old in ({"transmit_power_dbm": 30}, {"transmit_power_w": 1.0}):
        merged = merge(tables(scenario=old), {"scenario": new})
        assert merged["scenario"] == new
        assert from_tables(merged).scenario.transmit_power_w == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("name", "message"), [("fadeng", "'fadeng' is not known"), (3, "must be a string, got 3")]
)
def test_a_changed_plugin_that_is_none(name, message):
    with pytest.raises(InputError, match=rf"^channel.model:? .*{message}"):
        merge(TABLES, {"channel": {"model": name}})
