"""Multinomial logistic regression: gradient descent on the logits of every client's samples."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from training.arrays import Floats
from training.convex.full_gradients import Counts, Proxes, passes, powers
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
    """Multinomial logistic regression: [SPS] Section 4.2.

    f_i(w) = -(N / n) sum_j log p_j + l2 / 2 |w|^2 over the samples j of client i, n of all N
    clients together. The mean of the f_i is the mean cross-entropy of all samples + l2 / 2 |w|^2.
    Inputs are normalised pixels, and every weight has the regulariser, biases included.

    Without a prox a client's weights are followed through its logits Z = X W^T alone. With E the
    probabilities minus the one-hot labels, a step W <- (1 - rate l2) W - rate (N / n) E^T X + rate
    H is Z <- (1 - rate l2) Z - rate (N / n) X X^T E + rate X H^T, and W after L steps follows from
    the sum of the E. With 111 samples and 785 inputs (QMNIST's writers) that is one fourteenth of
    the operations. With a prox the steps are those of the definition.

    Attributes:
        clients: Number of clients N.
        size: Number of weights d.
        dtype: Type in which steps are computed.
    """

    def __init__(self, data: FederatedData, *, l2: float, dtype: np.dtype[Any]) -> None:
        """Prepare the samples of every client.

        Args:
            data: Training and test images of all clients.
            l2: Coefficient of the regulariser.
            dtype: Type in which steps are computed.
        """
        keep_freed_memory()
        self._classes = data.classes
        self._l2 = l2
        self.dtype = dtype
        inputs = _rows(data, data.train_images, dtype)
        labels = data.train_labels.numpy()
        self.clients = len(data.train_index)
        self.size = inputs.shape[1] * data.classes
        self._clients = [
            _client(inputs[rows], labels[rows], data.classes)
            for rows in map(np.asarray, data.train_index)
        ]
        self._sample_weight = self.clients / sum(map(len, data.train_index))
        self._test = _rows(data, data.test_images, dtype)
        self._labels = data.test_labels.numpy()

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
        rates = np.asarray(rate, self.dtype)[order]
        result = np.empty((len(steps), self.clients, self.size), self.dtype)
        for number, client in enumerate(self._clients):
            weights = start[order, number] if start.ndim == 3 else start[order]
            weights = weights.astype(self.dtype, copy=False)
            force = None
            if control is not None:
                force = control[order, number].astype(self.dtype, copy=False)
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
        """Sum of the f_i in float64: N x (mean cross-entropy + l2 / 2 |w|^2).

        Args:
            weights: Weights, (R, d).

        Returns:
            Objective of each run, (R,).
        """
        weights = weights.astype(np.float64)
        total = sum(
            _cross_entropy(self._logits(client.inputs, weights), client.truth)
            for client in self._clients
        )
        ridge = 0.5 * self._l2 * np.square(weights).sum(-1)
        loss: Floats = self._sample_weight * total + self.clients * ridge
        return loss

    def score(self, weights: Floats) -> Floats:
        """Accuracy on all test samples.

        Args:
            weights: Weights, (R, d).

        Returns:
            Score of each run, (R,).
        """
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
        """Weights (R, d) after all steps, by the steps of the logits (n, R, C)."""
        logits = self._logits(client.inputs, weights)
        summed = np.zeros_like(logits)
        wide = rate[:, None].astype(self.dtype)
        shrink = 1 - wide * self.dtype.type(self._l2)
        push = np.zeros_like(logits) if force is None else wide * self._logits(client.inputs, force)
        for runs, count in stages:
            current = logits[:, :runs]
            total = summed[:, :runs]
            factor = shrink[:runs]
            for _ in range(count):
                error = _probabilities(current) - client.truth
                total *= factor
                total += error
                moved = (client.products @ error.reshape(len(error), -1)).reshape(error.shape)
                current *= factor
                current -= (wide[:runs] * self.dtype.type(self._sample_weight)) * moved
                current += push[:, :runs]
        start_factor, force_factor = powers(
            rate.astype(np.float64) * self._l2, steps, rate.astype(np.float64)
        )
        result = start_factor.astype(self.dtype)[
            :, None
        ] * weights - wide * self._sample_weight * self._gradient(client, summed)
        return (
            result if force is None else result + force_factor.astype(self.dtype)[:, None] * force
        )

    def _on_weights(
        self,
        client: _Client,
        weights: Floats,
        force: Floats | None,
        rate: Floats,
        stages: Any,
        prox: Any,
    ) -> Floats:
        """Weights (R, d) after all steps, by the steps of the definition."""
        result = np.array(weights)
        for runs, count in stages:
            apply = chosen(prox, runs)
            rates = rate[:runs]
            current = result[:runs]
            shrink = 1 - rates * self.dtype.type(self._l2)
            push = 0 if force is None else rates * force[:runs]
            for _ in range(count):
                error = _probabilities(self._logits(client.inputs, current)) - client.truth
                gradient = self.dtype.type(self._sample_weight) * self._gradient(client, error)
                current = apply(shrink * current - rates * gradient + push, rates)
            result[:runs] = current
        return result

    def _logits(self, inputs: Floats, weights: Floats) -> Floats:
        """X W^T + b, (n, R, C)."""
        matrix, bias = _split(weights, self._classes)
        flat = inputs[:, :-1] @ matrix.reshape(-1, matrix.shape[-1]).T
        return flat.reshape(len(inputs), *bias.shape) + bias

    def _gradient(self, client: _Client, error: Floats) -> Floats:
        """E^T X, (R, d), of errors (n, R, C)."""
        samples, runs, classes = error.shape
        product = (error.reshape(samples, -1).T @ client.inputs).reshape(runs, classes, -1)
        matrix = product[..., :-1].reshape(runs, -1)
        bias = product[..., -1]
        return np.concatenate([matrix, bias], axis=1)


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
    exponentials: Floats = np.exp(logits - logits.max(axis=-1, keepdims=True))
    exponentials /= exponentials.sum(axis=-1, keepdims=True)
    return exponentials


def _cross_entropy(logits: Floats, truth: Floats) -> Floats:
    """Cross-entropy summed over samples, (R,)."""
    top = logits.max(axis=-1, keepdims=True)
    log_sum = top + np.log(np.exp(logits - top).sum(axis=-1, keepdims=True))
    total: Floats = ((log_sum - logits) * truth).sum(axis=(0, 2))
    return total
