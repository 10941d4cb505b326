"""Compiled SGD on chains of linear layers (numba, BLAS): many steps in one call."""

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
from numba import float32, float64, int64, njit, types, uint8
from numpy.typing import NDArray

from training.arrays import Vector

_Function = TypeVar("_Function", bound=Callable[..., Any])
_TYPES: Any = types  # whose functions have no annotations
_Ints = NDArray[np.int64]


def _compile(*signature: Any) -> Callable[[_Function], _Function]:
    """`numba.njit` for type checkers: the decorated function keeps its type.

    Sums may be reordered and products added without rounding between them; infinite values, NaN
    and the sign of 0 keep their meaning.
    """
    settings: Any = {"cache": True, "fastmath": {"contract", "arcp", "reassoc"}}
    decorate: Any = njit(list(signature), **settings)

    def compiled(function: _Function) -> _Function:
        made: _Function = decorate(function)
        return made

    return compiled


def _signature(raw: Any) -> Any:
    return _TYPES.Tuple((float64, int64))(
        float32[::1],  # vector
        float32[::1],  # momentum
        float32[::1],  # mask
        float32[::1],  # start
        float32[::1],  # correction
        raw,
        int64[::1],  # labels
        float32[::1],  # numbers
        int64[::1],  # rows
        int64[::1],  # sizes
        float32,
        float32,
        int64[::1],  # widths
        int64[:, ::1],  # places
        int64[::1],  # parts
        float32[::1],  # rates
        float32,
        float32,
        float32,
        float32,
    )


@_compile(
    _signature(_TYPES.Array(uint8, 2, "C", readonly=True)),
    _signature(_TYPES.Array(float32, 2, "C", readonly=True)),
)
def descend_chain(
    vector: Vector,
    momentum: Vector,
    mask: Vector,
    start: Vector,
    correction: Vector,
    raw: NDArray[Any],
    labels: _Ints,
    numbers: Vector,
    rows: _Ints,
    sizes: _Ints,
    mean: float,
    std: float,
    widths: _Ints,
    places: _Ints,
    parts: _Ints,
    rates: Vector,
    momentum_factor: float,
    weight_decay: float,
    proximal: float,
    clip_norm: float,
) -> tuple[float, int]:
    """Steps of `Train` on one client, in the order of `training.engine.sgd.descend`.

    Args:
        vector: Weights, (parameter_size,); they are updated.
        momentum: Momentum, (parameter_size,); it is updated. Empty without one.
        mask: 1.0 where a weight is kept, (parameter_size,); empty where all are.
        start: Weights at the start of the phase, (parameter_size,); empty without a proximal term.
        correction: Added to every gradient, masked, (parameter_size,); empty without one.
        raw: Inputs of all samples as stored, (N, inputs).
        labels: Labels of all samples, (N,); empty for a regression.
        numbers: Targets of a regression, (N,); empty with labels.
        rows: Samples of the mini-batches, one after the other.
        sizes: Samples of each mini-batch, (steps,).
        mean: Subtracted from every input.
        std: Divides the difference.
        widths: Inputs of each layer, and outputs of the last, (layers + 1,).
        places: Positions of the weights and of the bias of each layer, (layers, 2).
        parts: Bounds of the trained segments with one rate each, (segments + 1,).
        rates: Learning rate of each segment.
        momentum_factor: Heavy-ball factor.
        weight_decay: Factor of w in the step.
        proximal: Factor of w - w_start.
        clip_norm: Largest norm of the gradient; 0 for no limit.

    Returns:
        Sum of the losses of the mini-batches, and the number of steps.
    """
    layers = widths.size - 1
    largest = 0
    for size in sizes:
        largest = max(largest, size)
    hidden = np.empty(largest * widths.sum(), dtype=np.float32)
    errors = np.empty(2 * largest * widths.max(), dtype=np.float32)
    gradient = np.zeros(vector.size, dtype=np.float32)
    classes = widths[layers]
    total = 0.0
    first = 0
    one = np.float32(1)
    for size in sizes:
        n = int64(size)
        place = 0
        inputs = hidden[: n * widths[0]].reshape(n, widths[0])
        for i in range(n):
            row = raw[rows[first + i]]
            for j in range(widths[0]):
                inputs[i, j] = (np.float32(row[j]) - mean) / std
        # Forward: every layer but the last is followed by ReLU.
        for layer in range(layers):
            width, outputs = widths[layer], widths[layer + 1]
            read = hidden[place : place + n * width].reshape(n, width)
            place += n * width
            written = hidden[place : place + n * outputs].reshape(n, outputs)
            weight = vector[places[layer, 0] : places[layer, 0] + width * outputs]
            bias = vector[places[layer, 1] : places[layer, 1] + outputs]
            np.dot(read, weight.reshape(outputs, width).T, written)
            for i in range(n):
                if layer < layers - 1:
                    for j in range(outputs):
                        written[i, j] = max(written[i, j] + bias[j], np.float32(0))
                else:
                    for j in range(outputs):
                        written[i, j] += bias[j]
        # Loss, and its gradient at the outputs.
        results = hidden[place : place + n * classes].reshape(n, classes)
        error = errors[: n * classes].reshape(n, classes)
        scale = one / np.float32(n)
        loss = 0.0
        if labels.size:
            for i in range(n):
                most = results[i, 0]
                for j in range(classes):
                    most = max(most, results[i, j])
                spread = np.float32(0)
                for j in range(classes):
                    error[i, j] = np.exp(results[i, j] - most)
                    spread += error[i, j]
                label = labels[rows[first + i]]
                loss += np.log(spread) - (results[i, label] - most)
                for j in range(classes):
                    error[i, j] *= scale / spread
                error[i, label] -= scale
        else:
            for i in range(n):
                difference = results[i, 0] - numbers[rows[first + i]]
                loss += difference * difference
                error[i, 0] = np.float32(2) * scale * difference
        total += loss / n
        # Backward.
        half = largest * widths.max()
        current = 0
        for back in range(layers):
            layer = layers - 1 - back
            width, outputs = widths[layer], widths[layer + 1]
            place -= n * width
            read = hidden[place : place + n * width].reshape(n, width)
            error = errors[current : current + n * outputs].reshape(n, outputs)
            weight_place, bias_place = places[layer, 0], places[layer, 1]
            slope = gradient[weight_place : weight_place + width * outputs]
            np.dot(error.T, read, slope.reshape(outputs, width))
            for j in range(outputs):
                gradient[bias_place + j] = np.float32(0)
            for i in range(n):
                for j in range(outputs):
                    gradient[bias_place + j] += error[i, j]
            if layer:
                current = half - current
                earlier = errors[current : current + n * width].reshape(n, width)
                weight = vector[weight_place : weight_place + width * outputs]
                np.dot(error, weight.reshape(outputs, width), earlier)
                for i in range(n):
                    for j in range(width):
                        if read[i, j] <= 0:
                            earlier[i, j] = np.float32(0)
        # The step.
        low, high = parts[0], parts[parts.size - 1]
        if proximal:
            for i in range(low, high):
                gradient[i] += proximal * (vector[i] - start[i])
        if mask.size:
            for i in range(low, high):
                gradient[i] *= mask[i]
        if clip_norm:
            square = 0.0
            for i in range(low, high):
                square += np.float64(gradient[i]) * gradient[i]
            factor = np.float32(clip_norm / (np.sqrt(square) + 1e-6))
            if factor < one:
                for i in range(low, high):
                    gradient[i] *= factor
        if correction.size:
            for i in range(low, high):
                gradient[i] += correction[i]
        for segment in range(rates.size):
            rate = rates[segment]
            if momentum.size:
                for i in range(parts[segment], parts[segment + 1]):
                    moved = gradient[i] + weight_decay * vector[i]
                    momentum[i] = momentum_factor * momentum[i] + moved
                    vector[i] -= rate * momentum[i]
            else:
                for i in range(parts[segment], parts[segment + 1]):
                    vector[i] -= rate * (gradient[i] + weight_decay * vector[i])
        first += n
    return total, sizes.size
