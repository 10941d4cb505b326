"""What learning of masks starts from: fixed weights, scores and neighbours' masks, the same for all
agents.
"""

import math
from typing import Literal

import numpy as np

from training.arrays import Mask, Vector
from training.clients import ClientPool
from training.decentralised.retention import maskable_entries
from training.structure.layout import Layout
from wirelessfl.rng import Streams

WeightInit = Literal["fan-in", "unit-uniform", "signed-constant"]
WEIGHT_INITS = ("fan-in", "unit-uniform", "signed-constant")


def initial_weights(cohort: ClientPool, seed: int, weight_init: WeightInit) -> Vector:
    """The weights w that never change, biases and first running statistics with them, (size,).

    `fan-in` is the model's own seeded start, U(+-1 / sqrt(fan-in)) in the layers of torch. In
    `unit-uniform` weights with a mask are U(-1, 1) ([MCE-PL] Section V-A); in `signed-constant`
    they are +-sqrt(2 / fan-in) with the signs of `fan-in` (Ramanujan et al. 2020). Biases stay.
    """
    vector = cohort.initial_vector(seed)
    for entry in maskable_entries(cohort.layout):
        if weight_init == "unit-uniform":
            drawn = Streams(seed).generator(f"weights {entry.name}").uniform(-1.0, 1.0, entry.size)
            vector[entry.slice] = drawn.astype(np.float32)
        elif weight_init == "signed-constant":
            vector[entry.slice] = np.copysign(
                np.float32(math.sqrt(2.0 / _fan_in(entry.shape))), vector[entry.slice]
            )
    return vector


def initial_scores(layout: Layout, seed: int) -> Vector:
    """z^(0) ~ U(+-1 / sqrt(fan-in)), torch's start of weights, and 0 for what has no mask;
    (parameter_size,).
    """
    scores = np.zeros(layout.parameter_size, dtype=np.float32)
    for entry in maskable_entries(layout):
        bound = 1.0 / math.sqrt(_fan_in(entry.shape))
        drawn = Streams(seed).generator(f"scores {entry.name}").uniform(-bound, bound, entry.size)
        scores[entry.slice] = drawn.astype(np.float32)
    return scores


def first_neighbour_mask(layout: Layout, seed: int, keep: float, fc_keep: float) -> Mask:
    """One Bernoulli sample: convolutions are kept with `keep`, fully connected layers with
    `fc_keep`; the rest is True.

    Every agent takes it for the mask of each of its neighbours before it has heard from them.
    """
    mask = np.ones(layout.parameter_size, dtype=np.bool_)
    for entry in maskable_entries(layout):
        share = fc_keep if len(entry.shape) == 2 else keep
        mask[entry.slice] = (
            Streams(seed).generator(f"neighbour mask {entry.name}").random(entry.size) < share
        )
    return mask


def _fan_in(shape: tuple[int, ...]) -> int:
    return math.prod(shape[1:])
