"""Hash of an experiment: golden values, and the settings that are part of the name."""

import pytest
from helpers import plugin_folder
from helpers.plugin_folder import FULL, tables

from wirelessfl.config.scenario_file import experiment_hash, from_tables
from wirelessfl.values import Scenario


@pytest.fixture(autouse=True)
def _dummies(monkeypatch):
    plugin_folder.use(monkeypatch)


def name_of(**changes):
    return experiment_hash(from_tables(tables(**changes)))


def test_the_name_is_twelve_hex_digits_and_golden():
    """Names of run folders must be the same next year."""
    assert name_of() == "85753ef9965a"
    assert name_of(**FULL) == "b69fb7d71f1d"


def test_fields_at_their_default_are_left_out():
    assert (
        name_of(
            scenario={"deadline_s": 0.025},
            run={"rounds": 50, "seed": 0},
            channel={"good_gain": 1e-11},
        )
        == name_of()
    )
    assert name_of(training={"model": "none"}, allocation={"max_pruning_ratio": 1}) == name_of()
    assert name_of(scenario={"transmit_power_dbm": 28, "noise_power_dbm": -110}) == name_of()


def test_where_and_how_often_saved_is_no_part_of_the_name():
    assert (
        name_of(run={"executor": "loop", "workers": 3, "stack": 3, "checkpoint_every": 1})
        == name_of()
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"run": {"rounds": 51}},
        {"run": {"seed": 1}},
        {"run": {"eval_every": 1}},
        {"run": {"train": False}},
        {"run": {"precision": "bfloat16"}},
        {"run": {"deterministic": True}},
        {"scenario": {"deadline_s": 0.03}},
        {"channel": {"model": "static"}},
        {"channel": {"good_gain": 2e-11}},
        {"allocation": {"share": 0.9}},
        {"allocation": {"max_pruning_ratio": 0.95}},
        {"training": {"steps": 6}},
        {"training": {"model": "other"}},
    ],
)
def test_what_decides_a_run_is_part_of_the_name(changes):
    assert name_of(**changes) != name_of()


def test_the_name_to_resume_under_does_not_count_rounds():
    short, long, other = (
        from_tables(tables(run=run)) for run in ({"rounds": 5}, {"rounds": 9}, {"seed": 1})
    )
    assert experiment_hash(short, with_rounds=False) == experiment_hash(long, with_rounds=False)
    assert experiment_hash(short, with_rounds=False) != experiment_hash(other, with_rounds=False)


def test_the_order_of_keys_is_irrelevant():
    turned = {
        section: dict(reversed(table.items()))
        for section, table in reversed(tables(**FULL).items())
    }
    assert experiment_hash(from_tables(turned)) == name_of(**FULL)


def test_whole_numbers_from_python_name_the_same_experiment():
    scenario = Scenario(deadline_s=1, cpu_hz=[2_000_000_000] * 10)
    same = name_of(scenario={"deadline_s": 1.0, "cpu_hz": [2e9] * 10})
    assert experiment_hash(plugin_folder.experiment(scenario=scenario)) == same


@pytest.mark.parametrize(
    ("section", "part"),
    [("channel", "channel"), ("training", "algorithm"), ("allocation", "allocator")],
)
def test_a_revised_plugin_gives_other_names(monkeypatch, section, part):
    before = name_of()
    revised = type(getattr(from_tables(tables()), part))
    monkeypatch.setattr(revised, "revision", 2, raising=False)
    second = name_of()
    monkeypatch.setattr(revised, "revision", 3)
    assert len({before, second, name_of()}) == 3
