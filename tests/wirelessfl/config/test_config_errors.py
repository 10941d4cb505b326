"""Messages for invalid scenario files: field, limit and value in one line."""

import tomllib

import pytest
from helpers import plugin_folder
from helpers.plugin_folder import TABLES, tables

from wirelessfl.config.scenario_file import SECTIONS, SELECTORS, from_tables, read_tables, to_tables
from wirelessfl.errors import InputError


@pytest.fixture(autouse=True)
def _dummies(monkeypatch):
    plugin_folder.use(monkeypatch)


@pytest.mark.parametrize(
    ("section", "field", "value", "message"),
    [
        (
            "scenario",
            "deadline_ms",
            25,
            "deadline_ms is not a field of [scenario] (did you mean deadline_s?)",
        ),
        (
            "scenario",
            "dedline_s",
            1,
            "dedline_s is not a field of [scenario] (did you mean deadline_s?)",
        ),
        (
            "scenario",
            "bandwidth_mhz",
            20,
            "bandwidth_mhz is not a field of [scenario] (did you mean bandwidth",
        ),
        ("scenario", "deadline_dbm", 20, "deadline_dbm is not a field of [scenario]"),
        ("run", "zzz", 1, "zzz is not a field of [run]; there are rounds, seed, "),
        ("channel", "large_scale", 1, "large_scale is not a field of [channel]"),
        ("scenario", "deadline_s", "soon", "deadline_s must be a number, got 'soon'"),
        ("scenario", "deadline_s", "0.025", "deadline_s must be a number, got '0.025'"),
        ("scenario", "deadline_s", True, "deadline_s must be a number, got True"),
        ("scenario", "deadline_s", [0.02], "deadline_s must be a number, got [0.02]"),
        ("scenario", "deadline_s", {"s": 1}, "deadline_s must be a number, got {'s': 1}"),
        ("scenario", "deadline_s", -0.025, "deadline_s must be above 0, got -0.025"),
        ("scenario", "deadline_s", 0, "deadline_s must be above 0, got 0"),
        ("scenario", "deadline_s", float("nan"), "deadline_s must be finite, got nan"),
        ("scenario", "deadline_s", float("inf"), "deadline_s must be finite, got inf"),
        (
            "scenario",
            "cpu_hz",
            "fast",
            "cpu_hz must be a number, a list of numbers, one per client, a range a:b or log:a:b, or uniform(a, b), "
            "log-uniform(a, b) or choice(a, b, ...), got 'fast",
        ),
        (
            "scenario",
            "cpu_hz",
            [1e9, "x"],
            "cpu_hz must be a number, a list of numbers, one per client, a range a:b or log:a:b, or uniform(a, b), "
            "log-uniform(a, b) or choice(a, b, ...), got [",
        ),
        ("scenario", "cpu_hz", [1e9, 2e9], "cpu_hz must hold 10 values (scenario.clients), got 2"),
        ("scenario", "cpu_hz", [], "cpu_hz must hold 10 values (scenario.clients), got 0"),
        ("scenario", "cpu_hz", [-1.0] * 10, "cpu_hz must be above 0, got -1"),
        (
            "scenario",
            "transmit_power_dbm",
            [30.0],
            "transmit_power_w must hold 10 values (scenario.clients), g",
        ),
        (
            "scenario",
            "transmit_power_dbm",
            "28",
            "transmit_power_dbm must be a number, a list of numbers, one",
        ),
        (
            "scenario",
            "transmit_power_dbm",
            float("inf"),
            "transmit_power_dbm must be finite, got inf",
        ),
        ("scenario", "noise_power_w", -110, "noise_power_w must be above 0, got -110"),
        (
            "scenario",
            "distance_m",
            "far",
            "distance_m must be a number, a list of numbers, one per client, a range a:b or log:a:b, or uniform(a, b), "
            "log-uniform(a, b) or choice(a, b, ...), got 'far'",
        ),
        (
            "scenario",
            "distance_range_m",
            [160.0],
            "distance_range_m must be a list of two numbers, got [160.0]",
        ),
        (
            "scenario",
            "distance_range_m",
            [2.0, 1.0],
            "distance_range_m must be (nearest, farthest), got (2.0, ",
        ),
        ("scenario", "clients", 0, "clients must be a whole number of at least 1, got 0"),
        ("scenario", "clients", -2, "clients must be a whole number of at least 1, got -2"),
        ("scenario", "clients", 2.5, "clients must be a whole number, got 2.5"),
        ("scenario", "clients", 10.0, "clients must be a whole number, got 10.0"),
        (
            "scenario",
            "deadline_policy",
            "skip",
            "deadline_policy must be one of wait, drop, late-next-round, got",
        ),
        (
            "channel",
            "model",
            "raileigh",
            "model: channel 'raileigh' is not known (did you mean 'rayleigh'?)",
        ),
        ("channel", "model", 3, "model must be a string, got 3"),
        ("channel", "antennas", 0.5, "antennas must be a whole number, got 0.5"),
        ("allocation", "method", "evne", "method: allocator 'evne' is not known (did you mean "),
        ("allocation", "max_pruning_ratio", 95, "max_pruning_ratio must be at most 1, got 95"),
        (
            "allocation",
            "max_pruning_ratio",
            "95 %",
            "max_pruning_ratio must be a number, got '95 %'",
        ),
        ("allocation", "share", 0, "share must be above 0, got 0"),
        (
            "training",
            "algorithm",
            "couting",
            "algorithm: algorithm 'couting' is not known (did you mean 'coun",
        ),
        (
            "training",
            "partition",
            "dirichlet",
            "partition must be one of iid, shards, got 'dirichlet'",
        ),
        ("training", "train", 1, "train must be true or false, got 1"),
        ("training", "rates", 0.1, "rates must be "),
        ("run", "rounds", 0, "rounds must be a whole number of at least 1, got 0"),
        ("run", "rounds", "ten", "rounds must be a whole number, got 'ten'"),
        ("run", "seed", -1, "seed must be a whole number of at least 0, got -1"),
        ("run", "seed", 1.5, "seed must be a whole number, got 1.5"),
        ("run", "train", "no", "train must be true or false, got 'no'"),
    ],
)
def test_bad_input_names_field_limit_and_value(section, field, value, message):
    with pytest.raises(InputError) as caught:
        from_tables(tables(**{section: {field: value}}))
    assert str(caught.value).startswith(f"{section}.{message}")
    assert "\n" not in str(caught.value)


def test_dates_are_no_numbers():
    with pytest.raises(
        InputError, match=r"^scenario.deadline_s must be a number, got datetime.date"
    ):
        from_tables(tables(**tomllib.loads("[scenario]\ndeadline_s = 2026-01-01")))


def test_one_power_in_two_units():
    with pytest.raises(InputError) as caught:
        from_tables(tables(scenario={"transmit_power_dbm": 28, "transmit_power_w": 0.6}))
    expected = (
        "scenario.transmit_power_dbm and scenario.transmit_power_w are the same field: give one"
    )
    assert str(caught.value) == expected


def test_an_unknown_section_or_a_value_in_place_of_one():
    with pytest.raises(
        InputError, match=r"^section \[chanel\] is not known \(did you mean channel\?\)$"
    ):
        from_tables(tables(chanel={"model": "static"}))
    with pytest.raises(
        InputError,
        match=r"^section \[xyz\] is not known; there are scenario, channel, allocation, ",
    ):
        from_tables(tables(xyz={}))
    with pytest.raises(InputError, match=r"^run must be a section, got 5$"):
        from_tables({**TABLES, "run": 5})


def test_a_file_that_cannot_be_read(tmp_path):
    with pytest.raises(
        InputError, match=r"^scenario file .*none.toml cannot be read: No such file or directory$"
    ):
        read_tables(tmp_path / "none.toml")
    with pytest.raises(InputError, match=r" cannot be read: Is a directory$"):
        read_tables(tmp_path)
    for damaged in (b"[scenario\n", b"\xff\xfe", b"[run]\nrounds = 1\nrounds = 2\n"):
        (tmp_path / "bad.toml").write_bytes(damaged)
        with pytest.raises(
            InputError, match=r"^scenario file .*bad.toml is not valid TOML: "
        ) as caught:
            read_tables(tmp_path / "bad.toml")
        assert "\n" not in str(caught.value)


def test_every_section_is_a_section():
    assert set(SELECTORS) < set(SECTIONS) == set(to_tables(from_tables(TABLES)))


def test_a_plugin_that_hides_a_field_of_what_it_holds_is_refused(monkeypatch, tmp_path):
    (tmp_path / "channels").mkdir()
    (tmp_path / "channels" / "hiding.py").write_text(
        "from dataclasses import dataclass, field\n"
        "from channel_models._propagation.path_loss import LargeScale\n"
        "@dataclass(frozen=True, kw_only=True)\n"
        "class Hiding:\n"
        "    large_scale: LargeScale = field(default_factory=LargeScale)\n"
        "    carrier_hz: float = 1e9\n"
    )
    monkeypatch.setenv("WIRELESSFL_PLUGINS", str(tmp_path))
    with pytest.raises(InputError, match=r"^Hiding has the field carrier_hz twice"):
        from_tables({"channel": {"model": "hiding"}})
