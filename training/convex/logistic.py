"""Multinomial logistic regression: local gradient descent on the logits of every client's samples."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from training.convex.full_gradients import Counts, Floats, Proxes, passes, powers
from training.data.federated import FederatedData
from training.sparsity.prox import chosen, together
from training.torch_settings import keep_freed_memory


@dataclass(frozen=True, kw_only=True, eq=False)
class _Client:
    """The samples of a client."""

    inputs: Floats  # X, (n, p + 1), the last column 1
    products: Floats  # X X^T, (n, n)
    truth: Floats  # 1 for the class of a sample, (n, 1, C)


class LogisticGradients:
    """f_i(w) = -(N / n) sum_j log p_j + l2 / 2 |w|^2 over the samples j of client i, n of all N
    clients together.

    [SPS] Section 4.2. The mean of the f_i is the mean cross-entropy of all samples + l2 / 2
    |w|^2. Full local gradients; inputs are pixels as the engine sees them, and every weight has the
    ridge, biases too.

    Without a prox a client's weights are followed through its logits Z = X W^T alone. With E the
    probabilities less the truth, a step W <- (1 - rate l2) W - rate (N / n) E^T X + rate H is Z <-
    (1 - rate l2) Z - rate (N / n) X X^T E + rate X H^T, and W after L steps follows from the sum of
    the E. With 111 samples and 785 inputs (QMNIST's writers) that is a fourteenth of the
    operations. With a prox it is the loop.
    """

    def __init__(self, data: FederatedData, *, l2: float, dtype: np.dtype[Any]) -> None:
        keep_freed_memory()
        self._classes, self._l2, self.dtype = data.classes, l2, dtype
        inputs, labels = _rows(data, data.train_images, dtype), data.train_labels.numpy()
        self.clients, self.size = len(data.train_index), inputs.shape[1] * data.classes
        self._clients = [
            _client(inputs[rows], labels[rows], data.classes)
            for rows in map(np.asarray, data.train_index)
        ]
        self._share = self.clients / sum(map(len, data.train_index))
        self._test, self._labels = _rows(data, data.test_images, dtype), data.test_labels.numpy()

    def local_steps(
        self,
        start: Floats,
        control: Floats | None,
        *,
        rate: Floats,
        steps: Counts,
        prox: Proxes = None,
    ) -> Floats:
        """As `FullGradients.local_steps`."""
        order, stages = passes(steps)
        proxes, rates = together(prox, order), np.asarray(rate, self.dtype)[order]
        result = np.empty((len(steps), self.clients, self.size), self.dtype)
        for number, client in enumerate(self._clients):
            weights = (start[order, number] if start.ndim == 3 else start[order]).astype(
                self.dtype, copy=False
            )
            force = (
                None if control is None else control[order, number].astype(self.dtype, copy=False)
            )
            if proxes is None:
                result[order, number] = self._on_logits(
                    client, weights, force, rates, steps[order], stages
                )
            else:
                result[order, number] = self._on_weights(
                    client, weights, force, rates[:, None], stages, proxes
                )
        return result

    def loss(self, weights: Floats) -> Floats:
        """sum_i f_i (R,): N times the mean cross-entropy of all training samples + N `l2` / 2
        |w|^2.
        """
        weights = weights.astype(np.float64)
        total = sum(
            _cross_entropy(self._logits(client.inputs, weights), client.truth)
            for client in self._clients
        )
        ridge = 0.5 * self._l2 * np.square(weights).sum(-1)
        loss: Floats = self._share * total + self.clients * ridge
        return loss

    def score(self, weights: Floats) -> Floats:
        """Accuracy (R,) on the test samples."""
        right = (
            self._logits(self._test, weights.astype(self.dtype)).argmax(-1) == self._labels[:, None]
        )
        return np.asarray(right.mean(axis=0))

    def _on_logits(
        self,
        client: _Client,
        weights: Floats,
        force: Floats | None,
        rate: Floats,
        steps: Counts,
        stages: Any,
    ) -> Floats:
        """The weights (R, d) after all steps, by those of the logits (n, R, C)."""
        logits = self._logits(client.inputs, weights)
        summed = np.zeros_like(logits)
        wide = rate[:, None].astype(self.dtype)
        shrink = 1 - wide * self.dtype.type(self._l2)
        push = np.zeros_like(logits) if force is None else wide * self._logits(client.inputs, force)
        for runs, count in stages:
            now, total, here = logits[:, :runs], summed[:, :runs], shrink[:runs]
            for _ in range(count):
                error = _probabilities(now) - client.truth
                total *= here
                total += error
                moved = (client.products @ error.reshape(len(error), -1)).reshape(error.shape)
                now *= here
                now -= (wide[:runs] * self.dtype.type(self._share)) * moved
                now += push[:, :runs]
        left, along = powers(rate.astype(np.float64) * self._l2, steps, rate.astype(np.float64))
        result = left.astype(self.dtype)[:, None] * weights - wide * self._share * self._gradient(
            client, summed
        )
        return result if force is None else result + along.astype(self.dtype)[:, None] * force

    def _on_weights(
        self,
        client: _Client,
        weights: Floats,
        force: Floats | None,
        rate: Floats,
        stages: Any,
        prox: Any,
    ) -> Floats:
        """The loop of the definition."""
        result = np.array(weights)
        for runs, count in stages:
            apply, each, now = chosen(prox, runs), rate[:runs], result[:runs]
            shrink, push = (
                1 - each * self.dtype.type(self._l2),
                0 if force is None else each * force[:runs],
            )
            for _ in range(count):
                error = _probabilities(self._logits(client.inputs, now)) - client.truth
                gradient = self.dtype.type(self._share) * self._gradient(client, error)
                now = apply(shrink * now - each * gradient + push, each)
            result[:runs] = now
        return result

    def _logits(self, inputs: Floats, weights: Floats) -> Floats:
        """X W^T + b, (n, R, C)."""
        matrix, bias = _split(weights, self._classes)
        flat = inputs[:, :-1] @ matrix.reshape(-1, matrix.shape[-1]).T
        return flat.reshape(len(inputs), *bias.shape) + bias

    def _gradient(self, client: _Client, error: Floats) -> Floats:
        """E^T X, (R, d), of errors (n, R, C)."""
        samples, runs, classes = error.shape
        whole = (error.reshape(samples, -1).T @ client.inputs).reshape(runs, classes, -1)
        return np.concatenate([whole[..., :-1].reshape(runs, -1), whole[..., -1]], axis=1)


def _rows(data: FederatedData, images: Any, dtype: np.dtype[Any]) -> Floats:
    """Normalised pixels (n, p) and a column of ones."""
    pixels = (images.flatten(1).double().numpy() - data.mean) / data.std
    return np.concatenate([pixels, np.ones((len(pixels), 1))], axis=1).astype(dtype)


def _client(inputs: Floats, labels: Any, classes: int) -> _Client:
    truth = np.eye(classes, dtype=inputs.dtype)[labels][:, None]
    return _Client(inputs=inputs, products=inputs @ inputs.T, truth=truth)


def _split(weights: Floats, classes: int) -> tuple[Floats, Floats]:
    """The matrix (R, C, p) and the bias (R, C) in flat weights (R, d)."""
    return weights[:, :-classes].reshape(len(weights), classes, -1), weights[:, -classes:]


def _probabilities(logits: Floats) -> Floats:
    shifted = np.exp(logits - logits.max(axis=-1, keepdims=True))
    shifted /= shifted.sum(axis=-1, keepdims=True)
    return shifted


def _cross_entropy(logits: Floats, truth: Floats) -> Floats:
    """Summed over samples, (R,)."""
    top = logits.max(axis=-1, keepdims=True)
    log_sum = top + np.log(np.exp(logits - top).sum(axis=-1, keepdims=True))
    total: Floats = ((log_sum - logits) * truth).sum(axis=(0, 2))
    return total
