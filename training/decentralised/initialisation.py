"""Initial weights, scores and neighbours' masks of mask learning, the same for all agents."""

import math
from typing import Literal

import numpy as np

from training.arrays import Mask, Vector
from training.clients import ClientPool
from training.decentralised.retention import maskable_entries
from training.structure.layout import Layout
from wirelessfl.rng import Streams

WeightInit = Literal["fan-in", "unit-uniform", "signed-constant"]


def initial_weights(pool: ClientPool, seed: int, weight_init: WeightInit) -> Vector:
    """The constant weights w, with biases and the initial running statistics.

    With `fan-in` they are the model's seeded start, U(+-1 / sqrt(fan-in)) in the layers of torch.
    With `unit-uniform` weights that have a mask are U(-1, 1), [MCE-PL] Section V-A; with
    `signed-constant` they are +-sqrt(2 / fan-in) with the signs of `fan-in` (Ramanujan et al.,
    "What's hidden in a randomly weighted neural network?", CVPR 2020). Biases do not change.

    Args:
        pool: All agents with their model.
        seed: Seed of the run.
        weight_init: Distribution of the weights that have a mask.

    Returns:
        Flat model, (size,).
    """
    vector = pool.initial_vector(seed)
    for entry in maskable_entries(pool.layout):
        if weight_init == "unit-uniform":
            rng = Streams(seed).generator(f"weights {entry.name}")
            vector[entry.slice] = rng.uniform(-1.0, 1.0, entry.size).astype(np.float32)
        elif weight_init == "signed-constant":
            size = np.float32(math.sqrt(2.0 / _fan_in(entry.shape)))
            vector[entry.slice] = np.copysign(size, vector[entry.slice])
    return vector


def initial_scores(layout: Layout, seed: int) -> Vector:
    """Scores z^(0) ~ U(+-1 / sqrt(fan-in)), the initial distribution of torch's weights.

    Args:
        layout: Layout of the model.
        seed: Seed of the run.

    Returns:
        Scores (parameter_size,), 0 for entries without a mask.
    """
    scores = np.zeros(layout.parameter_size, dtype=np.float32)
    for entry in maskable_entries(layout):
        bound = 1.0 / math.sqrt(_fan_in(entry.shape))
        rng = Streams(seed).generator(f"scores {entry.name}")
        scores[entry.slice] = rng.uniform(-bound, bound, entry.size).astype(np.float32)
    return scores


def initial_neighbour_mask(layout: Layout, seed: int, keep: float, fc_keep: float) -> Mask:
    """One Bernoulli sample, assumed as the mask of every neighbour before its first message.

    Args:
        layout: Layout of the model.
        seed: Seed of the run.
        keep: Probability of a one in convolutions, within [0, 1].
        fc_keep: Probability of a one in fully connected layers, within [0, 1].

    Returns:
        Mask (parameter_size,), True for entries without a mask.
    """
    mask = np.ones(layout.parameter_size, dtype=np.bool_)
    for entry in maskable_entries(layout):
        probability = fc_keep if len(entry.shape) == 2 else keep
        rng = Streams(seed).generator(f"neighbour mask {entry.name}")
        mask[entry.slice] = rng.random(entry.size) < probability
    return mask


def _fan_in(shape: tuple[int, ...]) -> int:
    return math.prod(shape[1:])
