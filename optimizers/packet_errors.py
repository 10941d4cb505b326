"""Selection of clients by the samples that packet errors are expected to lose."""

from dataclasses import dataclass

import numpy as np

from optimizers._frequency_selective import least_expected_loss
from optimizers._ratios import given_ratios
from wirelessfl.allocation.allocation import Allocation
from wirelessfl.allocation.noise_psd import NoisePsdProblem
from wirelessfl.allocation.problem import Array, Problem
from wirelessfl.errors import check_count, check_number
from wirelessfl.radio.snr_and_rate import snr_in_band
from wirelessfl.values import ON_TIME, PerClient


@dataclass(frozen=True, kw_only=True)
class PacketErrors:
    """min sum_k w_k (1 - a_k (1 - q_k)) over the clients a_k that get one of N equal blocks.

    A client that takes part uploads at a given ratio in 1/N of the band and loses a packet with
    probability q_k (`scenario.packet_error = "waterfall"`; 0 otherwise); all that it trained is
    lost where an upload is one packet that is sent once (`scenario.packet_bits`,
    `max_transmissions`), Chen et al., IEEE TWC 2021. Only clients that meet the deadline so take
    part; all others are `left out`. With `allocation.weights = "samples"` the objective is the
    expected number of lost samples. Prices are 0.

    Attributes:
        blocks: N, at least 1; the largest number of clients that take part.
        pruning_ratio: rho of the clients that take part, within [0, 1]; one number or one per
            client.
    """

    blocks: int = 10
    pruning_ratio: PerClient = 0.0

    def __post_init__(self) -> None:
        check_count("blocks", self.blocks)
        check_number("pruning_ratio", self.pruning_ratio, at_least=0, at_most=1)

    def solve(self, problem: Problem) -> Allocation:
        """Select the clients.

        Args:
            problem: The problem, arrays (..., K).

        Returns:
            The allocation, optimal for its objective, prices 0.

        Raises:
            InputError: Neither 1 nor K ratios.
        """
        ratio = given_ratios(self.pruning_ratio, problem.shape)
        share = np.full(problem.shape, 1.0 / self.blocks)
        in_time = problem.latency_s(share, ratio) <= np.asarray(problem.deadline_s) * ON_TIME
        loss = self.loss(problem)
        chosen = np.zeros(problem.shape, dtype=np.bool_)
        blocks = min(self.blocks, problem.shape[-1])  # all are equal
        for index in np.ndindex(problem.shape[:-1]):
            columns = np.repeat(loss[index][:, None], blocks, axis=1)
            weight = np.asarray(problem.weight)[index]
            block, _ = least_expected_loss(weight, columns, in_time[index][:, None])
            chosen[index] = block >= 0
        free = np.zeros(problem.shape[:-1])
        return Allocation(
            problem=problem,
            bandwidth_fraction=np.where(chosen, share, 0.0),
            pruning_ratio=np.where(chosen, ratio, 1.0),
            bandwidth_price=free,
            deadline_price=free,
            left_out=~chosen & (problem.slack_s >= 0),
        )

    def loss(self, problem: Problem) -> Array:
        """Probability that a packet of a client is lost in its block.

        Args:
            problem: The problem, arrays (..., K).

        Returns:
            Probability q; (..., K).
        """
        if isinstance(problem, NoisePsdProblem):
            if problem.link.packet_error != "waterfall":
                return np.zeros(problem.shape)
            snr = snr_in_band(np.asarray(1.0 / self.blocks), np.asarray(problem.snr))
            return problem.link.waterfall_loss(snr)
        loss = 0.0 if problem.costs is None else problem.costs.packet_loss
        return np.broadcast_to(loss, problem.shape)
