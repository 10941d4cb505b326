"""Properties of the clients of a TR 38.901 channel that last for the whole run."""

from dataclasses import dataclass, field
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from channel_models._propagation.building_entry import (
    MODELS,
    RELEASES,
    draw_indoor_distance_m,
    draw_loss_db,
)
from channel_models._propagation.tr38901 import K_FACTOR_DB, draw_effective_height_m
from wirelessfl.errors import InputError, check_choice, check_number
from wirelessfl.rng import Streams
from wirelessfl.units import db_to_linear
from wirelessfl.values import Array

_HIGH_UT_M = 13.5  # from here on h_E of the urban macro cell is drawn


@dataclass(frozen=True, kw_only=True)
class Indoor:
    """Clients inside buildings; the fields are keys of section `channel`.

    A client is indoors with probability `indoor_share`, for the whole run, and then has an
    outdoor-to-indoor loss (`draw_loss_db`): through walls of `penetration` loss as of `release`,
    and on to its position inside.

    Attributes:
        indoor_share: Probability within [0, 1].
        penetration: Loss model of the walls.
        release: Release of the standard.
    """

    indoor_share: float = 0.0
    penetration: Literal["low", "high", "legacy"] = "low"
    release: Literal[16, 19] = 16

    def __post_init__(self) -> None:
        check_number("channel.indoor_share", self.indoor_share, at_least=0, at_most=1)
        check_choice("channel.penetration", self.penetration, MODELS)
        if self.release not in RELEASES:
            raise InputError(
                f"channel.release must be one of {', '.join(map(str, RELEASES))}; "
                f"got {self.release!r}"
            )


@dataclass(frozen=True, kw_only=True)
class Place:
    """An environment of TR 38.901.

    Attributes:
        environment: `umi`, `uma`, `rma` or `inh`.
        bs_height_m: Height of the base station, metres.
        ut_height_m: Height of the clients, metres.
        street_width_m: Street width of `rma`, metres.
        building_height_m: Building height of `rma`, metres.
        office: `mixed` or `open`, of `inh`.
        indoor: Clients inside buildings.
    """

    environment: str
    bs_height_m: float
    ut_height_m: float
    street_width_m: float = 20.0
    building_height_m: float = 5.0
    office: str = "mixed"
    indoor: Indoor = field(default_factory=Indoor)


@dataclass(frozen=True, kw_only=True, eq=False)
class Clients:
    """Properties of the clients that last for the run; (K,).

    Attributes:
        indoors: Whether the client is in a building.
        depth_m: Depth inside the building, metres.
        loss_db: Loss into the building, dB.
        k_factor: Linear Rician K factor.
    """

    indoors: NDArray[np.bool_]
    depth_m: Array
    loss_db: Array
    k_factor: Array


@lru_cache(maxsize=16)
def kept_for_the_run(place: Place, carrier_hz: float, seed: int, clients: int) -> Clients:
    """Draw the properties of all clients, from streams of round 0.

    Args:
        place: The environment.
        carrier_hz: Carrier frequency, Hz.
        seed: Seed of the run.
        clients: K.

    Returns:
        The properties, (K,).
    """
    first = Streams(seed)
    building = place.indoor
    mean_db, std_db = K_FACTOR_DB[place.environment]
    k_db = [
        first.generator("k factor", client).normal(mean_db, std_db) for client in range(clients)
    ]
    indoors = np.zeros(clients, dtype=np.bool_)
    depth_m = np.zeros(clients)
    loss = np.zeros(clients)
    if building.indoor_share > 0:
        indoors = np.array(
            [
                first.generator("indoors", client).random() < building.indoor_share
                for client in range(clients)
            ]
        )
    for client in np.flatnonzero(indoors).tolist():
        # a second generator of the same key draws the same depth
        depth_m[client] = draw_indoor_distance_m(
            building.penetration, place.environment, first.generator("building", client)
        )
        loss[client] = draw_loss_db(
            building.penetration,
            place.environment,
            carrier_hz,
            first.generator("building", client),
            release=building.release,
        )
    return Clients(indoors=indoors, depth_m=depth_m, loss_db=loss, k_factor=db_to_linear(k_db))


def effective_height_m(place: Place, start_m: Array, seed: int) -> Array | float:
    """Effective environment height h_E of each link, drawn at its start position.

    Args:
        place: The environment.
        start_m: Positions at the start of the run, metres, (K, 2).
        seed: Seed of the run.

    Returns:
        Metres, (K,); the number 1 where the standard has no draw.
    """
    if place.environment != "uma" or place.ut_height_m < _HIGH_UT_M:
        return 1.0
    distance_m = np.hypot(start_m[:, 0], start_m[:, 1])
    generators = [
        Streams(seed).generator("effective height", client) for client in range(len(start_m))
    ]
    drawn = [
        draw_effective_height_m(one_m, place.ut_height_m, generator)
        for one_m, generator in zip(distance_m, generators, strict=True)
    ]
    return np.array(drawn)
