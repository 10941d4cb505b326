"""Ridge regression: local gradient descent in the eigenvectors of every client's Gram matrix."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.arrays import Floats
from training.convex.full_gradients import Counts, Proxes, passes, powers
from training.data.federated import FederatedData
from training.sparsity.prox import Prox, chosen, together
from training.torch_settings import keep_freed_memory

BLOCK = 8  # clients whose weights of 32 runs fit into a core's cache


@dataclass(frozen=True, kw_only=True, eq=False)
class _Block:
    """Clients of similar rank: A_i^T A_i = V_i diag(spectrum_i) V_i^T, zero-padded to one rank r.

    Attributes:
        clients: Numbers of the clients, (B,).
        vectors: Eigenvectors V, (B, d, r).
        spectrum: Eigenvalues, (B, 1, r).
        moments: A_i^T b_i, (B, 1, d).
        different: The distinct rows of V, and zeros, (B, r, u).
        column: Number of the distinct row for each of the d rows, (B, d).
    """

    clients: NDArray[np.intp]
    vectors: Floats
    spectrum: Floats
    moments: Floats
    different: Floats
    column: NDArray[np.intp]

    def back(self, values: Floats) -> Floats:
        """V_i values, (B, R, d) from (B, R, r); equal columns of A_i get the same bits."""
        distinct = values @ self.different
        result = np.empty((*distinct.shape[:-1], self.column.shape[-1]), distinct.dtype)
        for k, column in enumerate(self.column):
            distinct[k].take(column, axis=1, out=result[k], mode="clip")  # "raise" would copy
        return result


class RidgeGradients:
    """Ridge regression: [SPS] Section 4.1, with `ridge` = alpha / 2 = 500 by default.

    f_i(w) = 1/2 |A_i w - b_i|^2 + ridge / (2 N) |w|^2 of N clients; the last of A's d columns is 1.

    A_i has as many rows as client i has samples, but a rank of 28 on average with the 554 clients
    of BlogFeedback, as its first 50 columns are constant within a client and most others are 0. A
    gradient through V_i therefore takes 4 r d operations: 18 million for all clients in 0.7 ms per
    run, against 53 million in 1.7 ms through the rows and 87 million in 2.5 ms through Gram
    matrices (32 runs in float64 on one core, `benchmarks/convex.py`).

    Without a prox L steps are computed as one: along an eigenvector of eigenvalue s gradient
    descent is w <- (1 - rate (s + ridge / N)) w + rate (A_i^T b_i + h_i), whose L-th power is
    known. A round costs two products with V_i for any L. With a prox all steps of a few clients are
    done before those of the next, in the cache: clients are independent between two communications.

    Equal columns of A_i, of which small clients have many, have bitwise equal gradients: they are
    computed once. Their weights are therefore exact ties for TopK, not decided by rounding, which
    varies with the size of the stack.

    **Differs:** [SPS] writes alpha / 4 |w|^2 for each client, which as printed would be a ridge of
    N alpha / 2.

    Attributes:
        clients: Number of clients N.
        size: Number of weights d.
        dtype: Type in which steps are computed.
    """

    def __init__(self, data: FederatedData, *, ridge: float, dtype: np.dtype[Any]) -> None:
        """Decompose the Gram matrix of every client.

        Args:
            data: Training and test features of all clients.
            ridge: Coefficient of the ridge, once for all clients together.
            dtype: Type in which steps are computed.
        """
        keep_freed_memory()
        inputs = _rows(data.train_images)
        targets = data.train_labels.double().numpy()
        self.clients = len(data.train_index)
        self.size = inputs.shape[1]
        self.dtype = dtype
        self._ridge = ridge
        self._test = _rows(data.test_images)
        self._target = data.test_labels.double().numpy()
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
        """Local steps w_i <- prox(w_i - rate (grad f_i(w_i) - h_i)) of every run.

        Values are not checked: a run that diverges ends with inf or NaN. The given arrays are not
        changed.

        Args:
            start: Weights at the start, (R, d), common to a run's clients, or (R, K, d).
            control: Control variates h_i, (R, K, d); None where all are 0.
            rate: Step size of each run, (R,).
            steps: Number of steps of each run, (R,).
            prox: Operator after every step: one for all runs or one for each; these must be of one
                kind (`training.sparsity.prox.together`).

        Returns:
            Weights, (R, K, d).

        Raises:
            InputError: The operators are of several kinds.
        """
        order, stages = passes(steps)
        proxes = together(prox, order)
        result = np.empty((len(steps), self.clients, self.size), self.dtype)
        rates = np.asarray(rate, self.dtype)[order]
        for block in self._blocks:
            at = order[None, :], block.clients[:, None]
            if start.ndim == 3:
                weights = start[at]
            else:
                weights = np.broadcast_to(start[order], (len(block.clients), *start.shape))
            weights = weights.astype(self.dtype, copy=False)
            force = block.moments if control is None else control[at] + block.moments
            force = force.astype(self.dtype, copy=False)
            if proxes is None:
                result[at] = self._at_once(block, weights, force, rates, steps[order])
            else:
                result[at] = self._step_by_step(
                    block, weights, force, rates[:, None], stages, proxes
                )
        return result

    def loss(self, weights: Floats) -> Floats:
        """Sum of the f_i in float64: 1/2 |A w - b|^2 over all rows + ridge / 2 |w|^2.

        Args:
            weights: Weights, (R, d).

        Returns:
            Objective of each run, (R,).
        """
        weights = weights.astype(np.float64)
        quadratic = weights @ (self._gram + self._ridge * np.eye(self.size))
        loss: Floats = 0.5 * ((quadratic - 2 * self._moment) * weights).sum(-1) + 0.5 * self._square
        return loss

    def score(self, weights: Floats) -> Floats:
        """R^2 = 1 - SS_res / SS_tot over all test rows.

        Args:
            weights: Weights, (R, d).

        Returns:
            Score of each run, (R,).
        """
        residual = self._target[:, None] - self._test @ weights.astype(np.float64).T
        spread = np.square(self._target - self._target.mean()).sum()
        return 1.0 - np.square(residual).sum(0) / spread if spread > 0 else np.zeros(len(weights))

    def _at_once(
        self, block: _Block, weights: Floats, force: Floats, rate: Floats, steps: Counts
    ) -> Floats:
        """All steps as one.

        Computed as the result without data plus its change along the eigenvectors with data.
        """
        damping = self._ridge / self.clients
        rates = rate.astype(np.float64)[:, None]
        counts = steps[:, None]
        spectrum = block.spectrum.astype(np.float64)
        # Factors of the start and of the force: without data, and along the eigenvectors.
        start_factor, force_factor = powers(rates * damping, counts, rates)
        start_along, force_along = powers(rates * (damping + spectrum), counts, rates)
        change = (start_along - start_factor).astype(self.dtype) * (weights @ block.vectors)
        change += (force_along - force_factor).astype(self.dtype) * (force @ block.vectors)
        result = block.back(change)
        result += start_factor.astype(self.dtype) * weights
        result += force_factor.astype(self.dtype) * force
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
        """All steps, one after the other."""
        result = np.array(weights)
        for runs, steps in stages:
            apply = chosen(prox, runs)
            rates = rate[:runs]
            current = result[:, :runs]
            push = force[:, :runs] * rates
            curvature = -rates * block.spectrum
            shrink = 1 - rates * self.dtype.type(self._ridge / self.clients)
            for _ in range(steps):
                step = block.back((current @ block.vectors) * curvature)
                step += push
                current *= shrink
                step += current
                current = apply(step, rates)
            result[:, :runs] = current
        return result


def _rows(inputs: Any) -> Floats:
    """Features (N, d - 1) and a column of ones, in float64."""
    features = inputs.double().numpy()
    return np.concatenate([features, np.ones((len(features), 1))], axis=1)


def _blocks(own: list[tuple[Floats, Floats]], dtype: np.dtype[Any]) -> list[_Block]:
    """The eigenvectors of all clients, in blocks of clients with similar rank."""
    parts = [_Decomposition.of(*client) for client in own]
    order = np.argsort([len(part.spectrum) for part in parts], kind="stable")
    return [
        _block(clients, [parts[client] for client in clients], dtype) for clients in _chunks(order)
    ]


def _chunks(order: NDArray[np.intp]) -> list[NDArray[np.intp]]:
    return np.split(order, range(BLOCK, len(order), BLOCK))


def _block(
    clients: NDArray[np.intp], parts: list["_Decomposition"], dtype: np.dtype[Any]
) -> _Block:
    rank = max(len(part.spectrum) for part in parts)
    width = max(part.different.shape[1] for part in parts)
    spectrum = np.zeros((len(parts), 1, rank), dtype)
    different = np.zeros((len(parts), rank, width), dtype)
    for k, part in enumerate(parts):
        spectrum[k, 0, : len(part.spectrum)] = part.spectrum
        rows, columns = part.different.shape
        different[k, :rows, :columns] = part.different
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
class _Decomposition:
    """Eigenvectors and eigenvalues of one client's A^T A.

    Attributes:
        spectrum: The nonzero eigenvalues, (r,).
        different: The distinct entries of the eigenvectors, 0 first, (r, u).
        column: Number of the distinct entry for each column of A, (d,).
        moment: A^T b, (d,).
    """

    spectrum: Floats
    different: Floats
    column: NDArray[np.intp]
    moment: Floats

    @classmethod
    def of(cls, rows: Floats, targets: Floats) -> "_Decomposition":
        """The decomposition of a client.

        Args:
            rows: A, (n, d).
            targets: b, (n,).

        Returns:
            The decomposition in float64.
        """
        known = {np.zeros(len(rows)).tobytes(): 0}
        columns = np.ascontiguousarray(rows.T) + 0.0  # without negative zeros
        column = np.array([known.setdefault(values.tobytes(), len(known)) for values in columns])
        times = np.bincount(column, minlength=len(known))
        unique = np.zeros((len(rows), len(known)))
        unique[:, column] = rows
        scale = np.sqrt(np.maximum(times, 1))
        # Weighted by multiplicity, the distinct columns have the singular values of all columns.
        _, singular, right = np.linalg.svd(unique * scale, full_matrices=False)
        negligible = singular[0] * max(rows.shape) * np.finfo(np.float64).eps
        rank = int(np.count_nonzero(singular > negligible))
        different = right[:rank] / scale
        different[:, 0] = 0.0
        moment = unique.T @ targets
        return cls(
            spectrum=np.square(singular[:rank]),
            different=different,
            column=column,
            moment=moment[column],
        )
