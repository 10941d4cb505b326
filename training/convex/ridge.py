"""Ridge regression: local gradient descent in the eigenvectors of every client's Gram matrix."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training._process import keep_freed_memory
from training.convex.gradients import Counts, Floats, Proxes, passes, powers
from training.data._federated import FederatedData
from training.prox import Prox, chosen, together

BLOCK = 8  # clients whose weights of 32 runs lie in a core's cache together


@dataclass(frozen=True, kw_only=True, eq=False)
class _Block:
    """Some clients of about one rank r: A_i^T A_i = V_i diag(spectrum_i) V_i^T, padded with zeros to the same r."""

    clients: NDArray[np.intp]  # (B,)
    vectors: Floats  # V, (B, d, r)
    spectrum: Floats  # (B, 1, r)
    moments: Floats  # A_i^T b_i, (B, 1, d)


class RidgeGradients:
    """f_i(w) = 1/2 |A_i w - b_i|^2 + ridge / (2 N) |w|^2 of N clients; the last of A's d columns is 1.

    Section 5.1 of [SPS] with `ridge` = alpha / 2 = 500 by default: see `loss`. A_i has as many rows as client i has
    samples, but a rank of 28 on average with the 554 clients of BlogFeedback, as its first 50 columns are constant
    within a client and most others 0. So a gradient through V_i is 4 r d operations: 18 million for all clients,
    against 53 million through the rows and 87 million through Gram matrices.

    Without a prox L steps are one: along an eigenvector of eigenvalue s gradient descent is
    w <- (1 - rate (s + ridge / N)) w + rate (A_i^T b_i + h_i), whose L-th power is known. A round costs two products
    with V_i whatever L is. With a prox all steps of a few clients are done before those of the next, in the cache:
    clients are independent between two communications.

    **Differs:** [SPS] writes alpha / 4 |w|^2 for each client, which as printed would be a ridge of N alpha / 2.
    """

    def __init__(self, data: FederatedData, *, ridge: float, dtype: np.dtype[Any]) -> None:
        keep_freed_memory()
        inputs, targets = _rows(data.train_images), data.train_labels.double().numpy()
        self.clients, self.size, self.dtype = len(data.train_index), inputs.shape[1], dtype
        self._ridge = ridge
        self._test, self._target = _rows(data.test_images), data.test_labels.double().numpy()
        own = [(inputs[rows.numpy()], targets[rows.numpy()]) for rows in data.train_index]
        self._gram = sum(rows.T @ rows for rows, _ in own)
        self._moment = sum(rows.T @ target for rows, target in own)
        self._square = sum(target @ target for _, target in own)
        self._blocks = _blocks(own, dtype)

    def local_steps(
        self, start: Floats, control: Floats | None, *, rate: Floats, steps: Counts, prox: Proxes = None
    ) -> Floats:
        """As `FullGradients.local_steps`; in closed form where there is no prox."""
        order, stages = passes(steps)
        proxes = together(prox, order)
        result = np.empty((len(steps), self.clients, self.size), self.dtype)
        ordered = np.asarray(rate, self.dtype)[order], steps[order]
        for block in self._blocks:
            at = order[None, :], block.clients[:, None]
            weights = (
                start[at] if start.ndim == 3 else np.broadcast_to(start[order], (len(block.clients), *start.shape))
            )
            force = block.moments if control is None else control[at] + block.moments
            weights, force = weights.astype(self.dtype, copy=False), force.astype(self.dtype, copy=False)
            if proxes is None:
                result[at] = self._at_once(block, weights, force, *ordered)
            else:
                result[at] = self._step_by_step(block, weights, force, ordered[0][:, None], stages, proxes)
        return result

    def loss(self, weights: Floats) -> Floats:
        """sum_i f_i (R,): 1/2 |A w - b|^2 over the rows of all clients + `ridge` / 2 |w|^2, not divided by anything."""
        weights = weights.astype(np.float64)
        quadratic = weights @ (self._gram + self._ridge * np.eye(self.size))
        loss: Floats = 0.5 * ((quadratic - 2 * self._moment) * weights).sum(-1) + 0.5 * self._square
        return loss

    def score(self, weights: Floats) -> Floats:
        """R^2 = 1 - SS_res / SS_tot (R,) over the test rows."""
        residual = self._target[:, None] - self._test @ weights.astype(np.float64).T
        spread = np.square(self._target - self._target.mean()).sum()
        return 1.0 - np.square(residual).sum(0) / spread if spread > 0 else np.zeros(len(weights))

    def _at_once(self, block: _Block, weights: Floats, force: Floats, rate: Floats, steps: Counts) -> Floats:
        """All steps: as if there were no data, and what the r eigenvectors with data change of that."""
        damping, each, wide = self._ridge / self.clients, rate.astype(np.float64)[:, None], steps[:, None]
        left, push = powers(each * damping, wide, each)
        left_here, push_here = powers(each * (damping + block.spectrum.astype(np.float64)), wide, each)
        change = (left_here - left).astype(self.dtype) * (weights @ block.vectors)
        change += (push_here - push).astype(self.dtype) * (force @ block.vectors)
        result = change @ block.vectors.transpose(0, 2, 1)
        result += left.astype(self.dtype) * weights
        result += push.astype(self.dtype) * force
        return result

    def _step_by_step(
        self, block: _Block, weights: Floats, force: Floats, rate: Floats, stages: list[tuple[int, int]], prox: Prox
    ) -> Floats:
        """The loop of the definition."""
        result, forward, back = np.array(weights), block.vectors, block.vectors.transpose(0, 2, 1)
        for runs, steps in stages:
            apply, each = chosen(prox, runs), rate[:runs]
            current, push, curvature = result[:, :runs], force[:, :runs] * each, -each * block.spectrum
            shrink = 1 - each * self.dtype.type(self._ridge / self.clients)
            for _ in range(steps):
                step = ((current @ forward) * curvature) @ back
                step += push
                step += shrink * current
                current = apply(step, each)
            result[:, :runs] = current
        return result


def _rows(inputs: Any) -> Floats:
    """Features (N, d - 1) and a column of ones, in float64."""
    features = inputs.double().numpy()
    return np.concatenate([features, np.ones((len(features), 1))], axis=1)


def _blocks(own: list[tuple[Floats, Floats]], dtype: np.dtype[Any]) -> list[_Block]:
    """Every client's eigenvectors, clients of about one rank together."""
    parts = [_eigenvectors(rows) for rows, _ in own]
    order = np.argsort([len(values) for values, _ in parts], kind="stable")
    blocks = []
    for clients in np.split(order, range(BLOCK, len(order), BLOCK)):
        rank, size = len(parts[clients[-1]][0]), own[0][0].shape[1]
        vectors, spectrum = np.zeros((len(clients), size, rank), dtype), np.zeros((len(clients), 1, rank), dtype)
        for place, client in enumerate(clients):
            values, found = parts[client]
            vectors[place, :, : len(values)], spectrum[place, 0, : len(values)] = found.T, values
        moments = np.stack([own[client][0].T @ own[client][1] for client in clients])[:, None]
        blocks.append(_Block(clients=clients, vectors=vectors, spectrum=spectrum, moments=moments))
    return blocks


def _eigenvectors(rows: Floats) -> tuple[Floats, Floats]:
    """The eigenvalues (r,) of `rows`^T `rows` that are not 0, and their eigenvectors (r, d)."""
    columns = np.flatnonzero(rows.any(axis=0))
    _, singular, found = np.linalg.svd(rows[:, columns], full_matrices=False)
    rank = int(np.count_nonzero(singular > singular[0] * max(rows.shape) * np.finfo(np.float64).eps))
    vectors = np.zeros((rank, rows.shape[1]))
    vectors[:, columns] = found[:rank]
    return np.square(singular[:rank]), vectors
