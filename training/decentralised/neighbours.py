"""Agents on a graph: their neighbours, mixing weights, and means over neighbourhoods."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from training.aggregation import weighted_mean_over_holders
from training.arrays import Mask, Vector
from wirelessfl.errors import InputError
from wirelessfl.graph import Graph
from wirelessfl.values import Array

Mixing = Literal["uniform", "metropolis"]


@dataclass(frozen=True, eq=False)
class Peers:
    """The neighbours N_i of every agent, itself excluded.

    Attributes:
        adjacency: True for pairs of neighbours, (K, K), symmetric with a False diagonal.
    """

    adjacency: NDArray[np.bool_]

    @classmethod
    def of(cls, graph: Graph, clients: int, seed: int) -> "Peers":
        """The neighbours on a graph, constant over the rounds of a run.

        Args:
            graph: Communication graph.
            clients: Number of agents K.
            seed: Seed of the run, for random graphs.

        Returns:
            Neighbours of the K agents.

        Raises:
            InputError: If the graph does not exist for K agents or is not connected.
        """
        try:
            return cls(graph.adjacency_matrix(clients, seed))
        except InputError as error:
            raise InputError(f"training.{error}") from None

    def neighbours(self, agent: int) -> list[int]:
        """Neighbours of one agent.

        Args:
            agent: Index of the agent.

        Returns:
            Indices in ascending order.
        """
        neighbours: list[int] = np.flatnonzero(self.adjacency[agent]).tolist()
        return neighbours

    @property
    def degrees(self) -> NDArray[np.int64]:
        """Numbers of neighbours d_i, (K,)."""
        return np.asarray(self.adjacency.sum(axis=1), dtype=np.int64)

    def mixing_weights(self, mixing: Mixing) -> Array:
        """Mixing weights over closed neighbourhoods, the agent itself included.

        `uniform`: W_ij = 1 / (d_i + 1). `metropolis`: W_ij = 1 / (1 + max(d_i, d_j)) for a
        neighbour and the rest for the agent itself (Xiao and Boyd, "Fast linear iterations for
        distributed averaging", Syst. Control Lett., 2004), symmetric, so that the mean over all
        agents is preserved.

        Args:
            mixing: Name of the weights.

        Returns:
            W (K, K), whose rows sum to 1.
        """
        degrees = self.degrees
        itself = np.eye(len(self.adjacency), dtype=np.bool_)
        if mixing == "uniform":
            return (self.adjacency | itself) / (degrees[:, None] + 1.0)
        weights = self.adjacency / (1.0 + np.maximum(degrees[:, None], degrees[None, :]))
        weights[itself] = 1.0 - weights.sum(axis=1)
        return weights


def mean_mask(masks: Iterable[Mask], size: int) -> Vector:
    """Mean mask of the neighbours: M = (1 / |N_i|) sum_j m_j, [MCE-PL] eq. (11).

    Args:
        masks: Masks m_j of the neighbours, (size,) each.
        size: Number of entries.

    Returns:
        M (size,) within [0, 1]; 0 without masks.
    """
    counts = np.zeros(size, dtype=np.uint16)
    number = 0
    for mask in masks:
        counts += mask
        number += 1
    return counts.astype(np.float32) / np.float32(max(number, 1))


def mixed(own: Vector, own_weight: float, vectors: Mapping[int, Vector], weights: Array) -> Vector:
    """The weighted mean sum_j W_ij w_j / sum_j W_ij over an agent and the received vectors.

    Neighbours whose vector is missing are excluded from both sums.

    Args:
        own: Vector w_i of the agent, (size,).
        own_weight: Weight W_ii.
        vectors: Received vectors w_j by agent, (size,) each.
        weights: Weights W_ij of all agents, (K,).

    Returns:
        Mean (size,).
    """
    everything = np.ones(own.shape, dtype=np.bool_)
    others = ((vector, everything, float(weights[agent])) for agent, vector in vectors.items())
    return weighted_mean_over_holders(own, ((own, everything, own_weight), *others))
