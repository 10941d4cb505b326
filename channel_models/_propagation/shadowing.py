"""Correlated normal processes over the distance that clients move."""

from collections import OrderedDict
from functools import lru_cache

import numpy as np

from channel_models._geometry.motion import Motion
from wirelessfl.rng import Streams
from wirelessfl.values import Array, Scenario

_BLOCK = 64  # rounds whose innovations are drawn at once
_KEPT = 32
_latest: OrderedDict[tuple[object, ...], tuple[int, Array]] = OrderedDict()


def over_distance(
    name: str,
    correlation_m: Array,
    start_m: Array,
    motion: Motion,
    scenario: Scenario,
    streams: Streams,
) -> Array:
    """Standard normal values of independent processes over the distance moved.

    Each is a Gaussian AR(1) over the metres d that its client moves between two rounds, x' = r x +
    sqrt(1 - r^2) n with r = exp(-d / d_corr) (TR 38.901, eq. 7.4-5): N(0, 1) in every round, with
    correlation exp(-D / d_corr) over any D metres of the way, constant for static clients. A value
    depends on (seed, client, round) only. It is computed from round 0, or from the latest round
    already computed, with the same result.

    **Differs:** the distance is that of the way walked, so a client that returns to a position
    finds it changed; and clients close to each other have independent values.

    Args:
        name: Name of the random stream.
        correlation_m: d_corr, metres, (P, K).
        start_m: Positions at the start of the run, metres, (K, 2).
        motion: Motion of the clients.
        scenario: The cell.
        streams: Streams at the round.

    Returns:
        Values, (P, K).
    """
    processes, clients = correlation_m.shape
    value = _innovations(name, streams.seed, 0, processes, clients)[0]
    if motion.motion == "still":
        return np.asarray(value)
    interval_s = motion.round_interval_s or scenario.deadline_s
    key = (
        name,
        streams.seed,
        correlation_m.tobytes(),
        start_m.tobytes(),
        processes,
        motion,
        interval_s,
    )
    first, value = _latest.pop(key, (0, value))
    if first > streams.round:
        first = 0
        value = _innovations(name, streams.seed, 0, processes, clients)[0]
    for round in range(first + 1, streams.round + 1):
        kept = np.exp(-motion.moved_m(start_m, scenario, streams.at(round)) / correlation_m)
        fresh = _innovations(name, streams.seed, round // _BLOCK, processes, clients)[
            round % _BLOCK
        ]
        value = kept * value + np.sqrt(1.0 - kept**2) * fresh
    _latest[key] = (streams.round, value)
    if len(_latest) > _KEPT:
        _latest.popitem(last=False)
    return np.asarray(value)


@lru_cache(maxsize=16)
def _innovations(name: str, seed: int, block: int, processes: int, clients: int) -> Array:
    """Standard normal draws of the rounds of a block; (rounds, P, K)."""
    streams = Streams(seed, block)
    draws = [
        streams.generator(name, client).standard_normal((_BLOCK, processes))
        for client in range(clients)
    ]
    return np.stack(draws, axis=-1)
