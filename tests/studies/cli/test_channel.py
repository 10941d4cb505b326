"""`wirelessfl channel`: a table and a figure of every channel model."""

import numpy as np
import pytest
from helpers import plugin_folder
from helpers.cli import call

from channel_models import path_loss_db
from studies.views.channel.channel import view
from wirelessfl import plugins
from wirelessfl.errors import InputError
from wirelessfl.rng import Streams

ROW = [
    "client",
    "distance_m",
    "line_of_sight",
    "path_loss_db",
    "mean_gain_db",
    "snr_db",
    "fading_5_db",
    "fading_50_db",
    "fading_95_db",
]


@pytest.fixture
def wirelessfl(capsys, monkeypatch, tmp_path):
    """`wirelessfl ARGUMENTS` in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: call(capsys, monkeypatch, *arguments)


def _settings(name, folder):
    """The settings that a model requires; skips models whose extra is not installed."""
    if name == "sionna-tdl":
        pytest.importorskip("sionna")
    return (
        ("--set", f"channel.file={plugins.load('channels', name).example(folder).file}")
        if name == "trace"
        else ()
    )


@pytest.mark.parametrize("name", plugins.names("channels"))
def test_every_model_has_its_table_and_picture(name, wirelessfl, tmp_path):
    settings = _settings(name, tmp_path)
    arguments = ("channel", name, *settings, "--rounds", 5, "--seed", 3)
    found = wirelessfl(*arguments, "--plot", "c.png", "--json").json()
    assert (found["channel"], found["rounds"], found["seed"]) == (name, 5, 3)
    assert [row["client"] for row in found["clients"]] == list(range(10))
    for row in found["clients"]:
        assert list(row) == ROW
        assert row["fading_5_db"] <= row["fading_50_db"] <= row["fading_95_db"]
        assert row["path_loss_db"] > 30
    assert (tmp_path / "c.png").read_bytes().startswith(b"\x89PNG")
    printed = wirelessfl(*arguments)
    assert printed.status == 0
    assert "path loss dB" in printed.out


def test_numbers_of_a_channel_without_fading_by_hand(wirelessfl):
    settings = (
        "--set",
        "scenario.clients=2",
        "--set",
        "scenario.distance_m=[100, 400]",
        "--set",
        "channel.antennas=2",
    )
    standard = ("--set", "channel.path_loss=tr38901-umi", "--set", "channel.line_of_sight=false")
    rows = wirelessfl("channel", "static", *settings, *standard, "--json").json()["clients"]
    loss_db = path_loss_db("tr38901-umi", [100.0, 400.0], los=False)
    for row, loss, distance_m in zip(rows, loss_db, (100, 400), strict=True):
        assert row["distance_m"] == distance_m
        assert row["path_loss_db"] == pytest.approx(loss, abs=1e-9)
        assert row["mean_gain_db"] == pytest.approx(10 * np.log10(2) - loss, abs=1e-9)
        assert row["snr_db"] == pytest.approx(
            28 + 110 + row["mean_gain_db"], abs=1e-9
        )  # 28 dBm over -110 dBm
        assert row["fading_5_db"] == row["fading_95_db"] == pytest.approx(0, abs=1e-9)


def test_percentiles_are_those_of_the_fading():
    found = view("rayleigh", ["channel.antennas=1"], rounds=2000, seed=0)
    share = np.array([0.05, 0.5, 0.95])
    density = (1 - share) * -np.log(1 - share)  # of 10 log10 X at its quantiles, per neper
    error_db = 4 * np.sqrt(share * (1 - share) / 2000) / density * 10 / np.log(10)
    exact_db = 10 * np.log10(-np.log(1 - share))
    for row in found.rows():
        spread = np.array([row[f"fading_{percent}_db"] for percent in (5, 50, 95)])
        assert np.all(np.abs(spread - exact_db) < error_db)


def test_a_dropped_model_tells_distances_and_lines_of_sight():
    found = view("tr38901-umi", ["channel.drop=disc", "scenario.clients=40"], rounds=2, seed=1)
    position_m = found.model.positions_m(found.scenario, Streams(1))
    rows = found.rows()
    np.testing.assert_allclose([row["distance_m"] for row in rows], np.hypot(*position_m.T))
    sight = found.model.line_of_sight(found.scenario, Streams(1))
    assert [row["line_of_sight"] for row in rows] == sight.tolist()
    curves = found.loss_curves_db(np.array([5.0, 100.0]))
    assert list(curves) == ["line of sight", "no line of sight"]
    np.testing.assert_allclose(
        curves["no line of sight"][1], path_loss_db("tr38901-umi", 100.0, los=False)
    )


def test_peers_are_as_far_as_their_farthest_neighbour():
    found = view("peer-to-peer", ["scenario.clients=5"], rounds=2, seed=1)
    far_m = [
        max(
            np.linalg.norm(found.position_m[one] - found.position_m[other])
            for other in np.flatnonzero(neighbours)
        )
        for one, neighbours in enumerate(found.adjacency)
    ]
    np.testing.assert_allclose([row["distance_m"] for row in found.rows()], far_m)


def test_a_model_from_outside_is_shown_too(wirelessfl, monkeypatch, tmp_path):
    plugin_folder.use(monkeypatch)
    found = wirelessfl("channel", "two-state", "--rounds", 4, "--plot", "two.pdf", "--json").json()
    assert len(found["clients"]) == 10
    assert (tmp_path / "two.pdf").read_bytes().startswith(b"%PDF")


def test_rounds_and_seed_change_what_is_drawn_and_nothing_else():
    one, same, other = (view("rayleigh", [], rounds=3, seed=seed) for seed in (4, 4, 5))
    np.testing.assert_array_equal(one.gain, same.gain)
    assert np.all(one.gain != other.gain)
    np.testing.assert_array_equal(one.gain, view("rayleigh", [], rounds=6, seed=4).gain[:3])


def test_open_loop_power_is_that_of_the_participants(tmp_path):
    """The SNR of a client does not depend on the number of idle ones."""
    text = (
        "[scenario]\nclients = {}\npower_control = 'open-loop'\np0_dbm = -100\n"
        "distance_m = 80.0\n[channel]\nmodel = 'static'\nantennas = 1\n[run]\nparticipants = 2\n"
    )
    found = []
    for clients in (2, 40):
        file = tmp_path / f"{clients}.toml"
        file.write_text(text.format(clients))
        found.append(view(str(file), (), rounds=1, seed=0).rows()[0]["snr_db"])
    assert found[0] == pytest.approx(found[1], abs=1e-12)


def test_a_scenario_is_taken_as_by_the_other_commands(wirelessfl, tmp_path):
    from_preset = wirelessfl("channel", "physical", "--rounds", 2, "--json").json()
    assert from_preset["channel"] == "tr38901-umi"
    file = tmp_path / "mine.toml"
    file.write_text(
        '[scenario]\nclients = 3\ndistance_m = "100:300"\n[channel]\nmodel = "static"\n[run]\nseed = 7\n'
    )
    found = wirelessfl("channel", file, "--rounds", 2, "--json").json()
    assert (found["channel"], found["seed"]) == ("static", 7)
    assert [row["distance_m"] for row in found["clients"]] == [100, 200, 300]
    changed = wirelessfl("channel", file, "--set", "channel.model=rayleigh", "--json").json()
    assert changed["channel"] == "rayleigh"
    usual = wirelessfl("channel", "--rounds", 2, "--json").json()
    assert usual == wirelessfl("channel", "digits", "--rounds", 2, "--json").json()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nowhere.toml"], ["nowhere.toml", "cannot be read"]),
        (["raileigh"], ["raileigh", "rayleigh"]),
        (["rayleigh", "--rounds", "0"], ["--rounds", "at least 1", "0"]),
        (["rayleigh", "--seed", "-1"], ["--seed", "at least 0", "-1"]),
        (["rayleigh", "--plot", "c.txt"], ["--plot", ".png", "c.txt"]),
        (["rayleigh", "--plot", "nowhere/c.png"], ["--plot", "nowhere"]),
        (
            ["rayleigh", "--set", "channel.antennas=0", "--plot", "c.png"],
            ["channel.antennas", "at least 1", "0"],
        ),
        (["rayleigh", "--set", "channel.antenas=2"], ["channel.antenas", "antennas"]),
        (
            ["rayleigh", "--set", "training.local_steps=2"],
            ["--set", "channel or scenario", "training"],
        ),
        (["rayleigh", "--set", "channel.model=static"], ["channel.model", "SCENARIO"]),
        (
            ["static", "--set", "channel.path_loss=tr38901-inh", "--plot", "c.png"],
            ["distance_m", "1 and 150", "160"],
        ),
        (["trace", "--plot", "c.png"], ["channel.file"]),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(arguments, words, wirelessfl, tmp_path):
    ended = wirelessfl("channel", *arguments)
    assert ended.status == 2
    assert ended.out == ""
    assert len(ended.err.splitlines()) == 1
    assert ended.err.startswith("error: ")
    assert all(word in ended.err for word in words), ended.err
    assert list(tmp_path.iterdir()) == []


def test_settings_are_checked_where_the_view_is_made():
    with pytest.raises(
        InputError, match=r"^--set must change channel or scenario, got 'run\.seed=3'$"
    ):
        view("static", ["run.seed=3"], rounds=1, seed=0)
