"""Positions of clients relative to the base station at the origin."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np

from wirelessfl.errors import InputError, check_choice, check_number
from wirelessfl.rng import Streams
from wirelessfl.scenario.scenario import FARTHEST_M
from wirelessfl.text import in_full
from wirelessfl.values import Array, Scenario

KINDS = ("scenario", "disc", "hexagon", "given")
_CORNERS = np.exp(2j * np.pi * np.arange(3) / 3)  # every other corner of a hexagon


@dataclass(frozen=True, kw_only=True)
class Drop:
    """Positions at the start of a run; the fields are keys of section `channel`.

    - `scenario`: at the scenario's distances, each client at a uniform angle.
    - `disc`, `hexagon`: uniform in a cell of radius `radius_m` (a hexagon's from centre to corner,
      one corner on the x axis) outside the circle `min_distance_m`; the scenario's distances are
      ignored.
    - `given`: `positions_m`.

    A position depends on (seed, client) only.

    Attributes:
        drop: Kind of drop.
        radius_m: Radius of the cell, metres.
        min_distance_m: Least distance from the base station, metres.
        positions_m: One (x, y) per client, metres.
    """

    drop: Literal["scenario", "disc", "hexagon", "given"] = "scenario"
    radius_m: float = 500.0
    min_distance_m: float = 10.0
    positions_m: tuple[tuple[float, float], ...] | None = None

    def __post_init__(self) -> None:
        check_choice("channel.drop", self.drop, KINDS)
        check_number("channel.radius_m", self.radius_m, above=0, at_most=FARTHEST_M)
        check_number("channel.min_distance_m", self.min_distance_m, at_least=0)
        inner_m = self.radius_m * (np.sqrt(0.75) if self.drop == "hexagon" else 1.0)
        if self.drop in ("disc", "hexagon") and self.min_distance_m >= inner_m:
            raise InputError(
                f"channel.min_distance_m must be below {inner_m:g} in a {self.drop} of "
                f"channel.radius_m {in_full(self.radius_m)}, got {in_full(self.min_distance_m)}"
            )
        if self.positions_m is not None:
            self._keep_positions()
        if (self.drop == "given") != (self.positions_m is not None):
            got = (
                "none"
                if self.positions_m is None
                else f"{len(self.positions_m)} with channel.drop {self.drop}"
            )
            raise InputError(
                f"channel.positions_m must be given with channel.drop given and not else, got {got}"
            )

    def _keep_positions(self) -> None:
        try:
            positions_m = tuple((float(x), float(y)) for x, y in self.positions_m or ())
        except (TypeError, ValueError):
            raise InputError(
                f"channel.positions_m must be pairs of metres, got {self.positions_m!r}"
            ) from None
        check_number(
            "channel.positions_m",
            np.ravel(positions_m).tolist(),
            at_least=-FARTHEST_M,
            at_most=FARTHEST_M,
        )
        object.__setattr__(self, "positions_m", positions_m)

    def positions(self, scenario: Scenario, streams: Streams) -> Array:
        """Positions at the start of a run, the same in every round.

        Args:
            scenario: The cell.
            streams: Streams of the run.

        Returns:
            Metres, (K, 2).

        Raises:
            InputError: The number of given positions differs from the number of clients.
        """
        if self.positions_m is not None:
            if len(self.positions_m) != scenario.clients:
                raise InputError(
                    f"channel.positions_m must hold {scenario.clients} positions "
                    f"(scenario.clients), got {len(self.positions_m)}"
                )
            return np.array(self.positions_m)
        draws = _drawn(self, streams.seed, scenario.clients)
        return (
            draws * scenario.per_client("distance_m")[:, None] if self.drop == "scenario" else draws
        )


@lru_cache(maxsize=16)
def _drawn(drop: Drop, seed: int, clients: int) -> Array:
    """Positions in a cell, or directions as unit vectors; (K, 2)."""
    first = Streams(seed)
    points = np.array([_point(drop, first.generator("drop", client)) for client in range(clients)])
    positions = np.stack([points.real, points.imag], axis=1)
    positions.setflags(write=False)  # it is kept
    return positions


def _point(drop: Drop, generator: np.random.Generator) -> complex:
    """One client's position x + j y."""
    if drop.drop == "hexagon":
        return _in_hexagon(drop, generator)
    angle = generator.uniform(0.0, 2.0 * np.pi)
    # the area within a distance grows with its square
    distance_m = (
        np.sqrt(generator.uniform(drop.min_distance_m**2, drop.radius_m**2))
        if drop.drop == "disc"
        else 1.0
    )
    return complex(distance_m * np.exp(1j * angle))


def _in_hexagon(drop: Drop, generator: np.random.Generator) -> complex:
    """A point uniform in one of the three rhombi of a hexagon; repeated while too near."""
    while True:
        which = generator.integers(3)
        a, b = generator.random(2)
        point = drop.radius_m * (a * _CORNERS[which] + b * _CORNERS[(which + 1) % 3])
        if abs(point) >= drop.min_distance_m:
            return complex(point)
