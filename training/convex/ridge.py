"""Ridge regression: local gradient descent in the eigenvectors of every client's Gram matrix."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.convex.full_gradients import Counts, Floats, Proxes, passes, powers
from training.data.federated import FederatedData
from training.sparsity.prox import Prox, chosen, together
from training.torch_settings import keep_freed_memory

BLOCK = 8  # clients whose weights of 32 runs lie in a core's cache together


@dataclass(frozen=True, kw_only=True, eq=False)
class _Block:
    """Some clients of about one rank r: A_i^T A_i = V_i diag(spectrum_i) V_i^T, padded with zeros
    to the same r.
    """

    clients: NDArray[np.intp]  # (B,)
    vectors: Floats  # V, (B, d, r)
    spectrum: Floats  # (B, 1, r)
    moments: Floats  # A_i^T b_i, (B, 1, d)
    different: Floats  # the rows of V that are not equal, and zeros, (B, r, u)
    column: NDArray[np.intp]  # which of them each of the d is, (B, d)

    def back(self, values: Floats) -> Floats:
        """V_i values, (B, R, d) from (B, R, r); equal columns of A_i get the same bits."""
        found = values @ self.different
        result = np.empty((*found.shape[:-1], self.column.shape[-1]), found.dtype)
        for place, column in enumerate(self.column):
            found[place].take(column, axis=1, out=result[place], mode="clip")  # "raise" would copy
        return result


class RidgeGradients:
    """f_i(w) = 1/2 |A_i w - b_i|^2 + ridge / (2 N) |w|^2 of N clients; the last of A's d columns is
    1.

    [SPS] Section 4.1 with `ridge` = alpha / 2 = 500 by default: see `loss`. A_i has as many rows
    as client i has samples, but a rank of 28 on average with the 554 clients of BlogFeedback, as
    its first 50 columns are constant within a client and most others 0. So a gradient through V_i
    is 4 r d operations: 18 million for all clients in
    0.7 ms per run, against 53 million in 1.7 ms through the rows and 87 million in 2.5 ms through
    Gram matrices (32 runs in float64 on one core, `benchmarks/convex.py`).

    Without a prox L steps are one: along an eigenvector of eigenvalue s gradient descent is w <- (1
    - rate (s + ridge / N)) w + rate (A_i^T b_i + h_i), whose L-th power is known. A round costs two
    products with V_i whatever L is. With a prox all steps of a few clients are done before those of
    the next, in the cache: clients are independent between two communications.

    Equal columns of A_i, of which small clients have many, have bitwise equal gradients: they are
    computed once. So that their weights are true ties for TopK, not decided by rounding, which
    differs with the size of the stack.

    **Differs:** [SPS] writes alpha / 4 |w|^2 for each client, which as printed would be a ridge of
    N alpha / 2.
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
        self,
        start: Floats,
        control: Floats | None,
        *,
        rate: Floats,
        steps: Counts,
        prox: Proxes = None,
    ) -> Floats:
        """As `FullGradients.local_steps`; in closed form where there is no prox."""
        order, stages = passes(steps)
        proxes = together(prox, order)
        result = np.empty((len(steps), self.clients, self.size), self.dtype)
        ordered = np.asarray(rate, self.dtype)[order], steps[order]
        for block in self._blocks:
            at = order[None, :], block.clients[:, None]
            weights = (
                start[at]
                if start.ndim == 3
                else np.broadcast_to(start[order], (len(block.clients), *start.shape))
            )
            force = block.moments if control is None else control[at] + block.moments
            weights, force = (
                weights.astype(self.dtype, copy=False),
                force.astype(self.dtype, copy=False),
            )
            if proxes is None:
                result[at] = self._at_once(block, weights, force, *ordered)
            else:
                result[at] = self._step_by_step(
                    block, weights, force, ordered[0][:, None], stages, proxes
                )
        return result

    def loss(self, weights: Floats) -> Floats:
        """sum_i f_i (R,): 1/2 |A w - b|^2 over the rows of all clients + `ridge` / 2 |w|^2, not
        divided by anything.
        """
        weights = weights.astype(np.float64)
        quadratic = weights @ (self._gram + self._ridge * np.eye(self.size))
        loss: Floats = 0.5 * ((quadratic - 2 * self._moment) * weights).sum(-1) + 0.5 * self._square
        return loss

    def score(self, weights: Floats) -> Floats:
        """R^2 = 1 - SS_res / SS_tot (R,) over the test rows."""
        residual = self._target[:, None] - self._test @ weights.astype(np.float64).T
        spread = np.square(self._target - self._target.mean()).sum()
        return 1.0 - np.square(residual).sum(0) / spread if spread > 0 else np.zeros(len(weights))

    def _at_once(
        self, block: _Block, weights: Floats, force: Floats, rate: Floats, steps: Counts
    ) -> Floats:
        """All steps: as if there were no data, and what the r eigenvectors with data change of
        that.
        """
        damping, each, wide = (
            self._ridge / self.clients,
            rate.astype(np.float64)[:, None],
            steps[:, None],
        )
        left, push = powers(each * damping, wide, each)
        left_here, push_here = powers(
            each * (damping + block.spectrum.astype(np.float64)), wide, each
        )
        change = (left_here - left).astype(self.dtype) * (weights @ block.vectors)
        change += (push_here - push).astype(self.dtype) * (force @ block.vectors)
        result = block.back(change)
        result += left.astype(self.dtype) * weights
        result += push.astype(self.dtype) * force
        return result

    def _step_by_step(
        self,
        block: _Block,
        weights: Floats,
        force: Floats,
        rate: Floats,
        stages: list[tuple[int, int]],
        prox: Prox,
    ) -> Floats:
        """The loop of the definition."""
        result = np.array(weights)
        for runs, steps in stages:
            apply, each = chosen(prox, runs), rate[:runs]
            current, push, curvature = (
                result[:, :runs],
                force[:, :runs] * each,
                -each * block.spectrum,
            )
            shrink = 1 - each * self.dtype.type(self._ridge / self.clients)
            for _ in range(steps):
                step = block.back((current @ block.vectors) * curvature)
                step += push
                current *= shrink
                step += current
                current = apply(step, each)
            result[:, :runs] = current
        return result


def _rows(inputs: Any) -> Floats:
    """Features (N, d - 1) and a column of ones, in float64."""
    features = inputs.double().numpy()
    return np.concatenate([features, np.ones((len(features), 1))], axis=1)


def _blocks(own: list[tuple[Floats, Floats]], dtype: np.dtype[Any]) -> list[_Block]:
    """Every client's eigenvectors, clients of about one rank together."""
    parts = [_Part.of(*client) for client in own]
    order = np.argsort([len(part.spectrum) for part in parts], kind="stable")
    return [
        _block(clients, [parts[client] for client in clients], dtype) for clients in _chunks(order)
    ]


def _chunks(order: NDArray[np.intp]) -> list[NDArray[np.intp]]:
    return np.split(order, range(BLOCK, len(order), BLOCK))


def _block(clients: NDArray[np.intp], parts: list["_Part"], dtype: np.dtype[Any]) -> _Block:
    rank = max(len(part.spectrum) for part in parts)
    width = max(part.different.shape[1] for part in parts)
    spectrum, different = (
        np.zeros((len(parts), 1, rank), dtype),
        np.zeros((len(parts), rank, width), dtype),
    )
    for place, part in enumerate(parts):
        spectrum[place, 0, : len(part.spectrum)] = part.spectrum
        rows, columns = part.different.shape
        different[place, :rows, :columns] = part.different
    column = np.stack([part.column for part in parts])
    return _Block(
        clients=clients,
        vectors=np.take_along_axis(different, column[:, None], axis=2).transpose(0, 2, 1).copy(),
        spectrum=spectrum,
        moments=np.stack([part.moment for part in parts])[:, None],
        different=different,
        column=column,
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class _Part:
    """One client: what its rows A come to."""

    spectrum: Floats  # the eigenvalues of A^T A that are not 0, (r,)
    different: Floats  # the different entries of their eigenvectors, 0 first, (r, u)
    column: NDArray[np.intp]  # (d,)
    moment: Floats  # A^T b, (d,)

    @classmethod
    def of(cls, rows: Floats, targets: Floats) -> "_Part":
        """Of rows (n, d) and targets (n,)."""
        known = {np.zeros(len(rows)).tobytes(): 0}
        columns = np.ascontiguousarray(rows.T) + 0.0  # without negative zeros
        column = np.array([known.setdefault(values.tobytes(), len(known)) for values in columns])
        times = np.bincount(column, minlength=len(known))
        unique = np.zeros((len(rows), len(known)))
        unique[:, column] = rows
        scale = np.sqrt(np.maximum(times, 1))
        _, singular, found = np.linalg.svd(unique * scale, full_matrices=False)
        rank = int(
            np.count_nonzero(singular > singular[0] * max(rows.shape) * np.finfo(np.float64).eps)
        )
        different = found[:rank] / scale
        different[:, 0] = 0.0
        moment = unique.T @ targets
        return cls(
            spectrum=np.square(singular[:rank]),
            different=different,
            column=column,
            moment=moment[column],
        )
