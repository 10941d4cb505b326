"""Neighbours on a graph, mixing weights and means."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.decentralised.neighbours import Peers, mean_mask, mixed
from wirelessfl.errors import InputError
from wirelessfl.graph import Graph

GRAPHS = st.builds(
    lambda name, agents, seed, p: Peers.of(Graph(graph=name, edge_probability=p), agents, seed),
    st.sampled_from(["erdos-renyi", "ring", "complete"]),
    st.integers(1, 12),
    st.integers(0, 100),
    st.floats(0.4, 1.0),
)


@given(GRAPHS)
def test_neighbours_are_mutual_and_never_the_agent_itself(peers):
    adjacency = peers.adjacency
    assert np.array_equal(adjacency, adjacency.T)
    assert not adjacency.diagonal().any()
    for agent, degree in enumerate(peers.degrees):
        neighbours = peers.neighbours(agent)
        assert len(neighbours) == degree
        assert neighbours == sorted(neighbours)
        assert all(agent in peers.neighbours(other) for other in neighbours)


@given(GRAPHS, st.sampled_from(["uniform", "metropolis"]))
def test_mixing_weights_sum_to_one_over_closed_neighbourhoods(peers, mixing):
    weights = peers.mixing_weights(mixing)
    np.testing.assert_allclose(weights.sum(axis=1), 1.0, atol=1e-12)
    closed = peers.adjacency | np.eye(len(peers.adjacency), dtype=bool)
    assert np.all(weights[closed] > 0)
    assert not weights[~closed].any()
    if mixing == "metropolis":
        np.testing.assert_allclose(weights, weights.T)


def test_on_a_ring_every_agent_has_two_neighbours():
    assert Peers.of(Graph(graph="ring"), 7, 0).degrees.tolist() == [2] * 7


@given(st.integers(0, 1000))
def test_numbering_agents_otherwise_changes_no_mean(seed):
    rng = np.random.default_rng(seed)
    peers, order = Peers.of(Graph(), 6, seed), rng.permutation(6)
    vectors = rng.normal(size=(6, 20)).astype(np.float32)
    renamed = Peers(peers.adjacency[np.ix_(order, order)])
    for mixing in ("uniform", "metropolis"):

        def mean(peers, vectors, agent, mixing=mixing):
            weights = peers.mixing_weights(mixing)[agent]
            heard = {other: vectors[other] for other in peers.neighbours(agent)}
            return mixed(vectors[agent], float(weights[agent]), heard, weights)

        for new, old in enumerate(order.tolist()):
            np.testing.assert_allclose(
                mean(renamed, vectors[order], new), mean(peers, vectors, old), atol=1e-6
            )


def test_mean_of_masks():
    masks = [
        np.array([1, 1, 0, 0], bool),
        np.array([1, 0, 0, 1], bool),
        np.array([1, 0, 0, 0], bool),
    ]
    np.testing.assert_array_equal(mean_mask(masks, 4), np.float32([1, 1 / 3, 0, 1 / 3]))
    np.testing.assert_array_equal(mean_mask([], 4), np.zeros(4, np.float32))
    assert mean_mask([np.ones(1, bool)] * 300, 1).tolist() == [
        1.0
    ]  # more neighbours than a byte counts


def test_weights_of_missing_neighbours_are_distributed():
    own, weights = np.float32([0, 4]), np.array([0.5, 0.25, 0.25])
    np.testing.assert_allclose(mixed(own, 0.5, {}, weights), own)
    np.testing.assert_allclose(mixed(own, 0.5, {2: np.float32([3, 1])}, weights), [1, 3])


def test_a_graph_that_does_not_fit_is_one_line():
    with pytest.raises(
        InputError, match=r"training.adjacency must have 3 rows, one per client, got 2"
    ):
        Peers.of(Graph(graph="given", adjacency=((0, 1), (1, 0))), 3, 0)
    with pytest.raises(
        InputError, match=r"training.edge_probability must be larger: 1000 random graphs"
    ):
        Peers.of(Graph(edge_probability=0.001), 10, 0)
