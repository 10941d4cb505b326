"""Graph of the agents for training without a server: undirected and connected.

The graph is independent of the radio: channel models and decentralised algorithms take the same
neighbours from it.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from wirelessfl.border.budget import check_budget
from wirelessfl.errors import InputError, check_choice, check_number
from wirelessfl.rng import Streams
from wirelessfl.text import in_full

GRAPHS = ("erdos-renyi", "ring", "complete", "given")
TRIES = 1000  # most draws of an Erdos-Renyi graph until it is connected
# Memory of a pair of agents in all matrices of a round, and of an edge of a random graph.
_PAIR_BYTES = 40
_EDGE_BYTES = 400
NAMED = 10  # most agents that an error line names


@dataclass(frozen=True, kw_only=True)
class Graph:
    """An undirected connected graph without self-loops; its fields belong to its holder's section.

    Attributes:
        graph: Kind of graph. erdos-renyi: every pair is joined with `edge_probability`, drawn again
            until the graph is connected; ring: agent k is joined to k - 1 and k + 1; complete: all
            pairs are joined; given: by `adjacency`.
        edge_probability: Probability of an edge of the Erdos-Renyi graph; above 0, at most 1; 0.5
            in [MCE-PL] Section V.
        adjacency: Matrix of 0 and 1 of the given graph, one row per agent; symmetric, with zero
            diagonal, connected.

    Raises:
        InputError: An adjacency is not square, not of 0 and 1, has self-loops, is not symmetric or
            not connected.
    """

    graph: Literal["erdos-renyi", "ring", "complete", "given"] = "erdos-renyi"
    edge_probability: float = 0.5
    adjacency: tuple[tuple[int, ...], ...] | None = None

    def __post_init__(self) -> None:
        check_choice("graph", self.graph, GRAPHS)
        check_number("edge_probability", self.edge_probability, above=0, at_most=1)
        if self.graph != "given" and self.adjacency is not None:
            raise InputError(
                f"graph must be 'given' where there is an adjacency, got {self.graph!r}"
            )
        if self.graph == "given":
            if self.adjacency is None:
                raise InputError(
                    "adjacency must be a matrix of 0 and 1 where graph is 'given', got none"
                )
            object.__setattr__(
                self, "adjacency", tuple(tuple(np.asarray(row).tolist()) for row in self.adjacency)
            )
            _check_adjacency(self.adjacency)

    def adjacency_matrix(self, clients: int, seed: int) -> NDArray[np.bool_]:
        """Adjacency of the agents.

        An Erdos-Renyi graph is a function of (seed, clients), the same in every round.

        Args:
            clients: Number K of agents.
            seed: Seed of the run.

        Returns:
            True where agents i and j are neighbours; (K, K), symmetric, False on the diagonal,
            connected, read-only.

        Raises:
            InputError: No graph is connected in 1000 draws, or a given graph has another number of
                agents.
        """
        return _adjacency_matrix(self, clients, seed)


@lru_cache(maxsize=16)
def _adjacency_matrix(graph: Graph, clients: int, seed: int) -> NDArray[np.bool_]:
    matrix: NDArray[np.bool_]
    if graph.adjacency is None:
        _check_size(graph, clients)
        matrix = _made(graph, clients, seed)
    else:
        matrix = np.array(graph.adjacency, dtype=np.bool_)
        if len(matrix) != clients:
            raise InputError(
                f"adjacency must have {clients} rows, one per client, got {len(matrix)}"
            )
    matrix.flags.writeable = False
    return matrix


def _check_size(graph: Graph, clients: int) -> None:
    """Refuse a graph whose pairs of agents, or whose edges, take more memory than the budget."""
    edges = graph.edge_probability * clients**2 / 2 if graph.graph == "erdos-renyi" else 0.0
    check_budget(
        f"graph of scenario.clients = {clients} agents",
        "bytes",
        _PAIR_BYTES * clients**2 + _EDGE_BYTES * edges,
    )


def _made(graph: Graph, clients: int, seed: int) -> NDArray[np.bool_]:
    if graph.graph == "complete" or clients < 3:  # which is the only connected graph of two
        return ~np.eye(clients, dtype=np.bool_)
    if graph.graph == "ring":
        after = np.roll(np.eye(clients, dtype=np.bool_), 1, axis=1)
        return after | after.T
    import networkx  # slow to import, and most runs have a server

    drawn = _drawn(graph, clients, seed)
    return np.asarray(networkx.to_numpy_array(drawn, nodelist=range(clients), dtype=np.bool_))


def _drawn(graph: Graph, clients: int, seed: int) -> Any:
    import networkx

    if 1.0 - graph.edge_probability == 1.0:  # its logarithm is 0 in the draw
        raise InputError(
            f"edge_probability must be above 1e-16, got {in_full(graph.edge_probability)}"
        )
    rng = Streams(seed).generator("graph")
    for _ in range(TRIES):
        drawn = networkx.fast_gnp_random_graph(
            clients, graph.edge_probability, seed=int(rng.integers(0, 2**32, dtype=np.uint32))
        )
        if networkx.is_connected(drawn):
            return drawn
    raise InputError(
        f"edge_probability must be larger: {TRIES} random graphs of {clients} clients, "
        "none connected, "
        f"got {in_full(graph.edge_probability)}"
    )


def _check_adjacency(adjacency: tuple[tuple[Any, ...], ...]) -> None:
    for number, row in enumerate(adjacency):
        if len(row) != len(adjacency):
            raise InputError(
                f"adjacency must be square, got {len(adjacency)} rows "
                f"and {len(row)} values in row {number}"
            )
        for value in row:
            if value not in (0, 1):
                raise InputError(
                    f"adjacency must be made of 0 and 1, got {value!r} in row {number}"
                )
    if not adjacency:
        raise InputError("adjacency must have at least 1 row, got 0")
    matrix = np.array(adjacency, dtype=np.bool_)
    if matrix.diagonal().any():
        raise InputError(
            f"adjacency must have 0 on its diagonal, got 1 for agent {matrix.diagonal().argmax()}"
        )
    uneven = np.argwhere(matrix & ~matrix.T)
    if len(uneven):
        one, other = uneven[0].tolist()
        raise InputError(
            f"adjacency must be symmetric, got 1 from agent {one} to {other} and 0 back"
        )
    _check_connected(matrix)


def _check_connected(matrix: NDArray[np.bool_]) -> None:
    import networkx

    reached = networkx.node_connected_component(networkx.from_numpy_array(matrix), 0)
    apart = [str(agent) for agent in range(len(matrix)) if agent not in reached]
    if apart:
        names = ", ".join(apart[:NAMED]) + (
            f" and {len(apart) - NAMED} more" if len(apart) > NAMED else ""
        )
        raise InputError(f"adjacency must be connected, agent 0 cannot reach agents {names}")
