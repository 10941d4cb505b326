"""Agents on graphs: the worst neighbour sets the gain."""

import json

import numpy as np
import pytest
from helpers import cli
from hypothesis import given, settings
from hypothesis import strategies as st

from channel_models._csi import Csi
from channel_models._geometry.drop import Drop
from channel_models._propagation.path_loss import LargeScale
from channel_models.peer_to_peer import PeerToPeer
from wirelessfl.config.scenario_file import from_tables, read_tables
from wirelessfl.errors import InputError
from wirelessfl.graph import Graph
from wirelessfl.rng import Streams
from wirelessfl.values import Scenario

# 10 dB for every factor of 10 in distance, 0 dB at 1 km: the gain at d metres is 1000 / d.
HYPERBOLA = LargeScale(intercept_db=0.0, slope_db=10.0)
PATH = Graph(graph="given", adjacency=((0, 1, 0), (1, 0, 1), (0, 1, 0)))
IN_A_ROW = Drop(drop="given", positions_m=((0.0, 0.0), (1000.0, 0.0), (1000.0, 5000.0)))
THREE = Scenario(clients=3)


def gains(model, scenario, rounds, seed=0):
    return np.array([model.sample(scenario, Streams(seed, round)).gain for round in range(rounds)])


def test_the_worst_neighbour_by_hand():
    """0 - 1 - 2 with 1 km and 5 km: gains 1 and 0.2; the agent in the middle must reach both, the
    ends only it.
    """
    model = PeerToPeer(graph=PATH, drop=IN_A_ROW, large_scale=HYPERBOLA)
    state = model.sample(THREE, Streams(3, 4))
    np.testing.assert_allclose(state.path_gain, [1.0, 0.2, 0.2], rtol=1e-12)
    np.testing.assert_allclose(
        model.mean_gain(THREE, Streams(3, 4)), [1.0, 1 / (1 / 1.0 + 1 / 0.2), 0.2], rtol=1e-12
    )
    # A link fades the same both ways: the ends' gains are those of their links, the middle's is the
    # smaller one.
    assert state.gain[1] == min(state.gain[0], state.gain[2])


def test_the_worst_neighbours_distribution():
    """min_j of exponentials is exponential with the sum of their rates: mean, variance and CDF, 4
    standard errors.
    """
    model = PeerToPeer(graph=PATH, drop=IN_A_ROW, large_scale=HYPERBOLA)
    drawn, mean = gains(model, THREE, 3000), model.mean_gain(THREE, Streams(0))
    error = mean / np.sqrt(len(drawn))
    assert np.all(np.abs(drawn.mean(axis=0) - mean) < 4 * error)
    assert np.all(
        np.abs((drawn**2).mean(axis=0) - 2 * mean**2) < 4 * np.sqrt(20 / len(drawn)) * mean**2
    )
    for level in (0.1, 0.5, 1.0, 2.0):
        below = 1 - np.exp(-level)
        share = (drawn < level * mean).mean(axis=0)
        assert np.all(np.abs(share - below) < 4 * np.sqrt(below * (1 - below) / len(drawn)))


def test_the_quantile_is_what_the_gain_falls_short_of():
    model = PeerToPeer(graph=PATH, drop=IN_A_ROW, csi=Csi(csi="quantile", outage=0.2))
    believed = model.sample(THREE, Streams(0)).believed_gain
    np.testing.assert_allclose(
        believed, -np.log(0.8) * model.mean_gain(THREE, Streams(0)), rtol=1e-9
    )
    short = (gains(model, THREE, 2000) < believed).mean(axis=0)
    assert np.all(np.abs(short - 0.2) < 4 * np.sqrt(0.2 * 0.8 / 2000))


def test_links_are_reciprocal_and_independent():
    """Two agents have one link, hence one gain; different links do not move together."""
    two = Scenario(clients=2)
    drawn = gains(PeerToPeer(), two, 50)
    np.testing.assert_array_equal(drawn[:, 0], drawn[:, 1])
    assert len(np.unique(drawn[:, 0])) == 50
    ends = gains(PeerToPeer(graph=PATH, drop=IN_A_ROW), THREE, 3000)[:, [0, 2]]
    assert abs(np.corrcoef(ends.T)[0, 1]) < 4 / np.sqrt(3000)


def test_a_function_of_seed_and_round():
    model, scenario = PeerToPeer(), Scenario(clients=6)
    first = model.sample(scenario, Streams(1, 5))
    model.sample(scenario, Streams(2, 6))
    again = PeerToPeer().sample(scenario, Streams(1, 5))
    np.testing.assert_array_equal(first.gain, again.gain)
    assert not np.any(first.gain == model.sample(scenario, Streams(1, 6)).gain)
    np.testing.assert_array_equal(first.path_gain, model.sample(scenario, Streams(1, 6)).path_gain)
    np.testing.assert_array_equal(
        model.positions_m(scenario, Streams(1, 0)), model.positions_m(scenario, Streams(1, 9))
    )
    np.testing.assert_array_equal(
        model.adjacency(scenario, Streams(1, 0)), model.adjacency(scenario, Streams(1, 9))
    )


def test_who_comes_later_changes_nothing_but_for_neighbours():
    """A fourth agent, a neighbour of agent 2 only, leaves the gains of 0 and 1 unchanged."""
    four = Graph(graph="given", adjacency=((0, 1, 0, 0), (1, 0, 1, 0), (0, 1, 0, 1), (0, 0, 1, 0)))
    few = PeerToPeer(graph=PATH, drop=IN_A_ROW).sample(THREE, Streams(1, 2)).gain
    positions_m = (*IN_A_ROW.positions_m, (0.0, 3000.0))
    more = PeerToPeer(graph=four, drop=Drop(drop="given", positions_m=positions_m))
    gain = more.sample(Scenario(clients=4), Streams(1, 2)).gain
    np.testing.assert_array_equal(gain[:2], few[:2])
    assert gain[2] <= few[2]


def test_coherence_blocks_fade_anew():
    model = PeerToPeer(graph=PATH, drop=IN_A_ROW)
    state = model.sample(THREE, Streams(0))
    np.testing.assert_array_equal(state.block_gain(0), state.gain)
    np.testing.assert_array_equal(state.block_gain(3), state.block_gain(3))
    blocks = np.array([state.block_gain(block) for block in range(2000)])
    mean = model.mean_gain(THREE, Streams(0))
    assert np.all(np.abs(blocks.mean(axis=0) - mean) < 4 * mean / np.sqrt(2000))


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.integers(2, 12), st.integers(0, 2**32))
def test_permuting_agents_permutes_their_gains(clients, seed):
    """Positions and adjacency in another order: path gain and mean gain follow (fading is by
    number).
    """
    rng = np.random.default_rng(seed)
    adjacency = Graph(edge_probability=0.6).adjacency_matrix(clients, seed)
    position_m = rng.uniform(-500, 500, (clients, 2))
    order = rng.permutation(clients)

    def model(position_m, adjacency):
        return PeerToPeer(
            graph=Graph(graph="given", adjacency=adjacency.astype(int)),
            drop=Drop(drop="given", positions_m=tuple(map(tuple, position_m.tolist()))),
        )

    scenario, streams = Scenario(clients=clients), Streams(seed)
    here, there = (
        model(position_m, adjacency),
        model(position_m[order], adjacency[np.ix_(order, order)]),
    )
    np.testing.assert_allclose(
        there.mean_gain(scenario, streams), here.mean_gain(scenario, streams)[order], rtol=1e-12
    )
    np.testing.assert_array_equal(
        there.sample(scenario, streams).path_gain, here.sample(scenario, streams).path_gain[order]
    )


def test_more_neighbours_are_never_better():
    scenario = Scenario(clients=8)
    ring, complete = (PeerToPeer(graph=Graph(graph=name)) for name in ("ring", "complete"))
    assert np.all(gains(complete, scenario, 20) <= gains(ring, scenario, 20))
    assert np.all(complete.mean_gain(scenario, Streams(0)) < ring.mean_gain(scenario, Streams(0)))


def test_two_agents_at_one_place_have_no_gain_above_one():
    together = Drop(drop="given", positions_m=((5.0, 5.0), (5.0, 5.0)))
    state = PeerToPeer(drop=together).sample(Scenario(clients=2), Streams(0))
    np.testing.assert_allclose(state.path_gain, 10 ** -(14.07 - 3.67 * 3), rtol=1e-12)  # 1 m
    assert np.all(state.gain < 1)
    far = PeerToPeer(drop=together, min_peer_distance_m=1000.0).sample(
        Scenario(clients=2), Streams(0)
    )
    np.testing.assert_allclose(far.path_gain, 10**-14.07, rtol=1e-12)


def test_nobody_to_talk_to_is_one_line():
    with pytest.raises(
        InputError, match=r"^scenario\.clients must be at least 2 for peer-to-peer, got 1$"
    ):
        PeerToPeer().sample(Scenario(clients=1), Streams(0))
    apart = PeerToPeer(
        drop=Drop(drop="disc", radius_m=400.0), large_scale=LargeScale(path_loss="tr38901-inh")
    )
    with pytest.raises(
        InputError,
        match=r"^channel\.radius_m: the distance between neighbours must be within 1 and 150",
    ):
        apart.mean_gain(Scenario(clients=9), Streams(0))
    with pytest.raises(
        InputError, match=r"^channel\.min_peer_distance_m must be at least 0\.001, got 0$"
    ):
        PeerToPeer(min_peer_distance_m=0.0)


def settings_of(*changes):
    """The options of a run of three agents without training."""
    common = ("channel.model=peer-to-peer", "run.train=false", "scenario.clients=3")
    return [word for change in (*common, *changes) for word in ("--set", change)]


def test_a_run_over_the_graph_and_its_file(capsys, monkeypatch, tmp_path):
    path = "channel.adjacency=[[0,1,0],[1,0,1],[0,1,0]]"
    ended = cli.call(
        capsys,
        monkeypatch,
        "run",
        *settings_of("channel.graph=given", path),
        "--rounds",
        5,
        "--out",
        tmp_path / "run",
    )
    assert ended.status == 0, ended.err
    records = [
        json.loads(line) for line in (tmp_path / "run" / "rounds.jsonl").read_text().splitlines()
    ]
    assert len(records) == 5
    for record in records:
        assert record["gain"][1] == min(record["gain"][0], record["gain"][2])
    experiment = from_tables(read_tables(tmp_path / "run" / "experiment.toml"))
    assert experiment.channel == PeerToPeer(graph=PATH)


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        (
            ("channel.graph=given", "channel.adjacency=[[0,1,0],[1,0,0],[0,0,0]]"),
            "channel.adjacency must be connected, agent 0 cannot reach agents 2",
        ),
        (
            ("channel.graph=given", "channel.adjacency=[[0,1,1],[1,0,1],[0,1,0]]"),
            "channel.adjacency must be symmetric, got 1 from agent 0 to 2 and 0 back",
        ),
        (
            ("channel.graph=given", "channel.adjacency=[[0,1],[1,0]]"),
            "error: channel.adjacency must have 3 rows, one per client, got 2",
        ),
        (
            ("channel.adjacency=5",),
            "channel.adjacency must be a list of lists of whole numbers, got 5",
        ),
        (
            ("channel.graph=star",),
            "channel.graph must be one of erdos-renyi, ring, complete, given, got 'star'",
        ),
        (("scenario.clients=1",), "scenario.clients must be at least 2 for peer-to-peer, got 1"),
        (
            ("scenario.clients=30", "channel.edge_probability=0.001"),
            "channel.edge_probability must be larger: 1000 random graphs of 30 clients, none connected, got 0.001",
        ),
    ],
)
def test_bad_input_is_one_line(capsys, monkeypatch, tmp_path, changes, line):
    ended = cli.call(
        capsys, monkeypatch, "run", *settings_of(*changes), "--rounds", 5, "--out", tmp_path / "run"
    )
    assert ended.status == 2
    assert ended.err.removesuffix("\n").endswith(line)
    assert ended.err.count("\n") == 1
