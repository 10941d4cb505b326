"""Agents on a graph: who hears whom, and the means that an agent makes of what it hears."""

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
MIXINGS = ("uniform", "metropolis")


@dataclass(frozen=True, eq=False)
class Peers:
    """The neighbours N_i of every agent, itself excluded, from `adjacency` (K, K)."""

    adjacency: NDArray[np.bool_]

    @classmethod
    def of(cls, graph: Graph, clients: int, seed: int) -> "Peers":
        """Those of `graph`, which are the same in every round of a run of this seed."""
        try:
            return cls(graph.adjacency_matrix(clients, seed))
        except InputError as error:
            raise InputError(f"training.{error}") from None

    def neighbours(self, agent: int) -> list[int]:
        """Agents that hear `agent` and that it hears, in their order."""
        neighbours: list[int] = np.flatnonzero(self.adjacency[agent]).tolist()
        return neighbours

    @property
    def degrees(self) -> NDArray[np.int64]:
        """Numbers of neighbours, (K,)."""
        return self.adjacency.sum(axis=1)

    def mixing_weights(self, mixing: Mixing) -> Array:
        """W (K, K), whose rows sum to 1, over closed neighbourhoods, the agent itself included.

        `uniform`: 1 / (d_i + 1). `metropolis`: W_ij = 1 / (1 + max(d_i, d_j)) to a neighbour and
        the rest to itself (Xiao and Boyd 2004), symmetric, so that the mean over all agents stays.
        """
        degrees, own = self.degrees, np.eye(len(self.adjacency), dtype=np.bool_)
        if mixing == "uniform":
            return (self.adjacency | own) / (degrees[:, None] + 1.0)
        weights = self.adjacency / (1.0 + np.maximum(degrees[:, None], degrees[None, :]))
        weights[own] = 1.0 - weights.sum(axis=1)
        return weights


def mean_mask(masks: Iterable[Mask], size: int) -> Vector:
    """M = (1 / |N_i|) sum_j m_j [MCE-PL] eq. (11), (size,); 0 where there is no mask at all."""
    counts, number = np.zeros(size, dtype=np.uint16), 0
    for mask in masks:
        counts += mask
        number += 1
    return counts.astype(np.float32) / np.float32(max(number, 1))


def mixed(own: Vector, own_weight: float, vectors: Mapping[int, Vector], weights: Array) -> Vector:
    """sum_j W_ij w_j / sum_j W_ij over the agent itself and the agents of `vectors`, whose W_ij are
    in `weights` (K,).

    Who is missing is left out of both sums.
    """
    everything = np.ones(own.shape, dtype=np.bool_)
    others = ((vector, everything, float(weights[agent])) for agent, vector in vectors.items())
    return weighted_mean_over_holders(own, ((own, everything, own_weight), *others))
