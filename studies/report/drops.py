"""Drops: runs of one experiment with new draws of all that a channel draws once per run."""

import numpy as np

from wirelessfl.border import gate
from wirelessfl.errors import InputError
from wirelessfl.experiment import Experiment
from wirelessfl.rng import Streams

_LOOKED_AT = 8  # seeds that are compared; clients that all see the base station by chance are rare
_MOVED = 1  # the round that is compared: in round 0 a client has not moved yet


def drop_seeds(seed: int, drops: int) -> list[int]:
    """The seeds of `drops` independent drops; the first is the run's own."""
    return [seed, *(Streams(seed).seed_for("drop seed", drop) for drop in range(1, drops))]


def has_drops(experiment: Experiment) -> bool:
    """True if the channel has draws per run that fading does not average out.

    They are positions, line of sight and shadowing.
    """
    channel, scenario = experiment.channel, experiment.scenario
    first, *others = drop_seeds(experiment.run.seed, _LOOKED_AT)
    gain = gate.mean_gain(channel, scenario, Streams(first, _MOVED))
    try:
        return any(
            not np.array_equal(gain, gate.mean_gain(channel, scenario, Streams(seed, _MOVED)))
            for seed in others
        )
    except InputError:  # The drop of another seed is refused, so it differs.
        return True


def period(experiment: Experiment) -> int | None:
    """The number of rounds after which the channel starts over; None if it names none."""
    repeats = getattr(experiment.channel, "period", None)
    found: int | None = None if repeats is None else repeats(experiment.scenario)
    return found
