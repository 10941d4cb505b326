"""Graphs of the agents: symmetry, connectivity, distribution and messages."""

import networkx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wirelessfl.config.fields import build, flat
from wirelessfl.errors import InputError
from wirelessfl.graph import Graph

CHECKED = settings(max_examples=80, deadline=None, derandomize=True)
PATH = ((0, 1, 0), (1, 0, 1), (0, 1, 0))

graphs = st.one_of(
    st.sampled_from([Graph(graph="ring"), Graph(graph="complete")]),
    st.floats(0.3, 1.0).map(lambda p: Graph(edge_probability=p)),
)


@CHECKED
@given(graphs, st.integers(1, 25), st.integers(0, 2**40))
def test_connected_symmetric_without_self_loops(graph, clients, seed):
    matrix = graph.adjacency_matrix(clients, seed)
    assert matrix.shape == (clients, clients)
    assert matrix.dtype == np.bool_
    assert np.array_equal(matrix, matrix.T)
    assert not matrix.diagonal().any()
    assert networkx.is_connected(networkx.from_numpy_array(matrix))
    assert matrix[0].any() or clients == 1


def test_ring_and_complete_by_hand():
    np.testing.assert_array_equal(
        Graph(graph="ring").adjacency_matrix(4, 0),
        [[0, 1, 0, 1], [1, 0, 1, 0], [0, 1, 0, 1], [1, 0, 1, 0]],
    )
    np.testing.assert_array_equal(Graph(graph="complete").adjacency_matrix(3, 0), 1 - np.eye(3))
    for graph in (Graph(), Graph(graph="ring"), Graph(graph="complete")):
        np.testing.assert_array_equal(graph.adjacency_matrix(2, 0), [[0, 1], [1, 0]])
    assert np.all(Graph(graph="ring").adjacency_matrix(9, 0).sum(axis=1) == 2)


def test_erdos_renyi_is_drawn_from_the_seed():
    first = Graph().adjacency_matrix(20, 1)
    np.testing.assert_array_equal(Graph().adjacency_matrix(20, 1), first)
    assert not np.array_equal(Graph().adjacency_matrix(20, 2), first)
    with pytest.raises(ValueError, match="read-only"):
        first[0, 1] = True


@pytest.mark.parametrize("probability", [0.3, 0.5, 0.7])
def test_erdos_renyi_joins_every_pair_alike(probability):
    """20 agents as in [MCE-PL], nearly always connected: the edges are binomial, 4.5 errors."""
    matrices = [
        Graph(edge_probability=probability).adjacency_matrix(20, seed) for seed in range(400)
    ]
    share = np.mean(matrices, axis=0)[np.triu_indices(20, 1)]
    error = np.sqrt(probability * (1 - probability) / len(matrices))
    assert abs(share.mean() - probability) < 4 * error / np.sqrt(len(share))
    assert np.all(np.abs(share - probability) < 4.5 * error)


def test_erdos_renyi_given_that_it_is_connected():
    """Fraction 1/13 of triangles among connected graphs of three agents at p = 0.2.

    Three edges have probability p^3, the three paths 3 p^2 (1 - p).
    """
    edges = np.array(
        [Graph(edge_probability=0.2).adjacency_matrix(3, seed).sum() // 2 for seed in range(1500)]
    )
    assert set(edges) == {2, 3}
    error = np.sqrt(1 / 13 * 12 / 13 / len(edges))
    assert abs(np.mean(edges == 3) - 1 / 13) < 4 * error


def test_a_given_graph_is_taken_as_it_is():
    for adjacency in (
        PATH,
        np.array(PATH),
        np.array(PATH, dtype=bool),
        [list(row) for row in PATH],
    ):
        graph = Graph(graph="given", adjacency=adjacency)
        np.testing.assert_array_equal(graph.adjacency_matrix(3, 0), np.array(PATH, dtype=bool))
        assert graph == Graph(graph="given", adjacency=PATH)
        assert hash(graph) == hash(Graph(graph="given", adjacency=PATH))


def test_it_goes_through_a_file():
    graph = Graph(graph="given", adjacency=PATH)
    table = {"graph": "given", "adjacency": [list(row) for row in PATH]}
    assert build(Graph, "channel", table) == graph
    assert build(Graph, "channel", flat(graph)) == graph


@pytest.mark.parametrize(
    ("adjacency", "line"),
    [
        ([[0, 1], [0, 0]], "adjacency must be symmetric, got 1 from agent 0 to 1 and 0 back"),
        (
            [[0, 1, 0], [1, 0, 0], [0, 0, 0]],
            "adjacency must be connected, agent 0 cannot reach agents 2",
        ),
        (
            np.kron(np.eye(2), 1 - np.eye(12)),
            "adjacency must be connected, agent 0 cannot reach agents "
            "12, 13, 14, 15, 16, 17, 18, 19, 20, 21 and 2 more",
        ),
        ([[0, 1], [1, 1]], "adjacency must have 0 on its diagonal, got 1 for agent 1"),
        ([[0, 1, 0], [1, 0, 1]], "adjacency must be square, got 2 rows and 3 values in row 0"),
        ([[0, 2], [2, 0]], "adjacency must be made of 0 and 1, got 2 in row 0"),
        ([], "adjacency must have at least 1 row, got 0"),
        (None, "adjacency must be a matrix of 0 and 1 where graph is 'given', got none"),
    ],
)
def test_a_wrong_adjacency_is_one_line(adjacency, line):
    with pytest.raises(InputError) as caught:
        Graph(graph="given", adjacency=adjacency)
    assert str(caught.value) == line


@pytest.mark.parametrize(
    ("wrong", "line"),
    [
        ({"graph": "star"}, "graph must be one of erdos-renyi, ring, complete, given; got 'star'"),
        (
            {"graph": "ring", "adjacency": PATH},
            "graph must be 'given' where there is an adjacency, got 'ring'",
        ),
        ({"edge_probability": 0.0}, "edge_probability must be above 0, got 0"),
        ({"edge_probability": 1.5}, "edge_probability must be at most 1, got 1.5"),
    ],
)
def test_wrong_settings_are_one_line_with_their_section(wrong, line):
    with pytest.raises(InputError) as caught:
        Graph(**wrong)
    assert str(caught.value) == line
    table = {
        name: [list(row) for row in value] if name == "adjacency" else value
        for name, value in wrong.items()
    }
    with pytest.raises(InputError, match=r"^channel\."):
        build(Graph, "channel", table)


def test_what_does_not_fit_the_clients_is_one_line():
    with pytest.raises(InputError, match=r"^adjacency must have 5 rows, one per client, got 3$"):
        Graph(graph="given", adjacency=PATH).adjacency_matrix(5, 0)
    line = (
        r"^edge_probability must be larger: 1000 random graphs of 30 clients, "
        r"none connected, got 0\.001$"
    )
    with pytest.raises(InputError, match=line):
        Graph(edge_probability=0.001).adjacency_matrix(30, 0)
