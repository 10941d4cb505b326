"""Motion of clients from round to round."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np

from wirelessfl.errors import InputError, check_choice, check_number
from wirelessfl.rng import Streams
from wirelessfl.scenario.scenario import FARTHEST_M
from wirelessfl.values import Array, Scenario

KINDS = ("still", "velocity", "random-waypoint")
MOST_SPEED_M_S = 1e3  # beyond any client, and few enough legs of a walk
MOST_PAUSE_S = 1e9  # about thirty years
MOST_DEG = 1e6
_LEGS = 16  # how many legs of a walk are drawn at first
_MOST_POINTS = 2**22  # of all clients' walks: what fits into memory
_GRAZING = 1e-6  # chords shorter than this share of the radius are a walk along the rim


@dataclass(frozen=True, kw_only=True)
class Motion:
    """Motion around the base station at the origin; the fields are keys of section `channel`.

    - `still`: no motion.
    - `velocity`: straight lines at `speed_m_s`, towards `heading_deg` or a uniform direction per
      client, reflected at the edge of the area.
    - `random-waypoint`: walks at `speed_m_s` to a uniform point of the area, a pause of `pause_s`,
      the next walk.

    The area is the ring from `roam_min_m` to `roam_radius_m` around the base station, widened to
    the client's start. A client whose way crosses the hole of the ring goes round it: a position
    inside is moved out to the rim. A position is a formula of the time since round 0 and depends on
    (seed, client, round) only.

    **Differs:** two rounds are `round_interval_s` (by default the scenario's deadline) apart, not
    the simulated clock: the length of a round depends on the policy, and two policies must see the
    same channel. A random waypoint walk starts at the drop, not in its stationary distribution,
    which is denser in the middle.

    Attributes:
        motion: Kind of motion.
        speed_m_s: Speed, m/s.
        heading_deg: Direction from the x axis, degrees; None: uniform per client.
        round_interval_s: Seconds between the starts of two rounds; None: the deadline.
        roam_radius_m: Outer radius of the area, metres.
        roam_min_m: Inner radius of the area, metres.
        pause_s: Pause at a way point, seconds; from 0 to 1e9.
    """

    motion: Literal["still", "velocity", "random-waypoint"] = "still"
    speed_m_s: float = 1.0
    heading_deg: float | None = None
    round_interval_s: float | None = None
    roam_radius_m: float = 500.0
    roam_min_m: float = 10.0
    pause_s: float = 0.0

    def __post_init__(self) -> None:
        check_choice("channel.motion", self.motion, KINDS)
        check_number("channel.speed_m_s", self.speed_m_s, above=0, at_most=MOST_SPEED_M_S)
        if self.heading_deg is not None:
            check_number(
                "channel.heading_deg", self.heading_deg, at_least=-MOST_DEG, at_most=MOST_DEG
            )
        if self.round_interval_s is not None:
            check_number(
                "channel.round_interval_s",
                self.round_interval_s,
                at_least=1e-9,
                at_most=MOST_PAUSE_S,
            )
        check_number("channel.roam_min_m", self.roam_min_m, above=0)
        check_number(
            "channel.roam_radius_m", self.roam_radius_m, above=self.roam_min_m, at_most=FARTHEST_M
        )
        check_number("channel.pause_s", self.pause_s, at_least=0, at_most=MOST_PAUSE_S)

    def positions(
        self, start_m: Array, scenario: Scenario, streams: Streams, *, later_s: float = 0.0
    ) -> Array:
        """Positions in a round.

        Args:
            start_m: Positions at the start of the run, metres, (K, 2).
            scenario: The cell.
            streams: Streams at the round.
            later_s: Seconds into the round.

        Returns:
            Metres, (K, 2).
        """
        if self.motion == "still":
            return start_m
        time_s = self._time_s(scenario, streams.round) + later_s
        if self.motion == "velocity":
            position_m = self._bounced(start_m, self.speed_m_s * time_s, streams)
        else:
            position_m, _ = self._on_walk(start_m, time_s, streams)
        return _out_of_hole(position_m, np.minimum(self.roam_min_m, _length(start_m)))

    def moved_m(self, start_m: Array, scenario: Scenario, streams: Streams) -> Array:
        """Distances walked since the previous round, 0 in round 0.

        Args:
            start_m: Positions at the start of the run, metres, (K, 2).
            scenario: The cell.
            streams: Streams at the round.

        Returns:
            Metres, (K,).
        """
        if self.motion == "still" or streams.round == 0:
            return np.zeros(len(start_m))
        before_s, now_s = (
            self._time_s(scenario, round) for round in (streams.round - 1, streams.round)
        )
        if self.motion == "velocity":
            return np.full(len(start_m), self.speed_m_s * (now_s - before_s))
        return (
            self._on_walk(start_m, now_s, streams)[1] - self._on_walk(start_m, before_s, streams)[1]
        )

    def _time_s(self, scenario: Scenario, round: int) -> float:
        """Seconds from round 0 to `round`."""
        return round * (self.round_interval_s or scenario.deadline_s)

    def _bounced(self, start_m: Array, walked_m: float, streams: Streams) -> Array:
        """Positions after `walked_m` metres on straight lines that the circle reflects; (K, 2).

        All chords of a billiard in a circle have the same length, so no walk through the bounces is
        needed.
        """
        radius_m = np.maximum(self.roam_radius_m, _length(start_m))
        heading = _headings(self.heading_deg, streams.seed, len(start_m))
        along_m = np.sum(start_m * heading, axis=1)
        half_chord_m = np.sqrt(
            np.maximum(along_m**2 + radius_m**2 - np.sum(start_m**2, axis=1), 0.0)
        )
        first_m = half_chord_m - along_m
        hit_m = start_m + first_m[:, None] * heading
        side_m = start_m[:, 0] * heading[:, 1] - start_m[:, 1] * heading[:, 0]
        turn = np.where(side_m < 0, -1.0, 1.0)
        rest_m = walked_m - first_m
        angle = np.arctan2(hit_m[:, 1], hit_m[:, 0])
        grazing = half_chord_m < _GRAZING * radius_m
        chord_m = np.where(grazing, 1.0, 2.0 * half_chord_m)
        bounces = np.floor(rest_m / chord_m)
        # Not arcsin(half chord / radius), which loses half of the digits on a diameter.
        step = 2.0 * turn * np.arctan2(half_chord_m, np.abs(side_m))
        from_m, to_m = (
            _on_circle(angle + count * step, radius_m) for count in (bounces, bounces + 1.0)
        )
        inside_m = from_m + (rest_m / chord_m - bounces)[:, None] * (to_m - from_m)
        inside_m = np.where(
            grazing[:, None], _on_circle(angle + turn * rest_m / radius_m, radius_m), inside_m
        )
        return np.where((rest_m < 0)[:, None], start_m + walked_m * heading, inside_m)

    def _on_walk(self, start_m: Array, time_s: float, streams: Streams) -> tuple[Array, Array]:
        """Position (K, 2) and metres walked (K,) at a time on a random waypoint walk."""
        count = _LEGS
        while True:
            points_m, leg_m = _walk(self, start_m.tobytes(), streams.seed, count)
            leg_s = leg_m / self.speed_m_s + self.pause_s
            start_s = np.cumsum(leg_s, axis=0) - leg_s
            if np.all(start_s[-1] > time_s):
                break
            count *= 2
            if count * len(start_m) > _MOST_POINTS:
                raise InputError(
                    "channel.speed_m_s must be lower, or rounds x channel.round_interval_s "
                    f"shorter: a walk of {time_s:g} s at {self.speed_m_s:g} m/s has too many legs"
                )
        leg = np.sum(start_s <= time_s, axis=0) - 1
        client = np.arange(len(start_m))
        on_leg_m = np.minimum((time_s - start_s[leg, client]) * self.speed_m_s, leg_m[leg, client])
        share = on_leg_m / leg_m[leg, client]
        from_m, to_m = points_m[leg, client], points_m[leg + 1, client]
        walked_m = (np.cumsum(leg_m, axis=0) - leg_m)[leg, client] + on_leg_m
        return from_m + share[:, None] * (to_m - from_m), walked_m


@lru_cache(maxsize=16)
def _headings(heading_deg: float | None, seed: int, clients: int) -> Array:
    """Direction of each client as a unit vector; (K, 2)."""
    first = Streams(seed)
    angle = np.array(
        [first.generator("heading", client).uniform(0.0, 2.0 * np.pi) for client in range(clients)]
    )
    return _on_circle(
        angle if heading_deg is None else np.full(clients, np.deg2rad(heading_deg)), 1.0
    )


@lru_cache(maxsize=16)
def _walk(motion: Motion, start_m: bytes, seed: int, legs: int) -> tuple[Array, Array]:
    """Way points (legs + 1, K, 2), the start first, and lengths (legs, K) of a walk.

    A walk of more legs has the same first ones.
    """
    start = np.frombuffer(start_m).reshape(-1, 2)
    first = Streams(seed)
    draws = np.stack(
        [first.generator("waypoint", client).random((legs, 2)) for client in range(len(start))],
        axis=1,
    )
    least_m = np.minimum(motion.roam_min_m, _length(start))
    most_m = np.maximum(motion.roam_radius_m, _length(start))
    distance_m = np.sqrt(least_m**2 + draws[..., 0] * (most_m**2 - least_m**2))
    points_m = np.concatenate([start[None], _on_circle(2.0 * np.pi * draws[..., 1], distance_m)])
    return points_m, _length(np.diff(points_m, axis=0))


def _on_circle(angle: Array, radius_m: Array | float) -> Array:
    """Points at an angle on circles about the origin; (..., 2)."""
    return np.stack([radius_m * np.cos(angle), radius_m * np.sin(angle)], axis=-1)


def _length(vector: Array) -> Array:
    return np.hypot(vector[..., 0], vector[..., 1])


def _out_of_hole(position_m: Array, least_m: Array) -> Array:
    """`position_m` (K, 2), moved straight away from the origin to at least `least_m` (K,)."""
    angle = np.arctan2(position_m[:, 1], position_m[:, 0])
    return np.where(
        (_length(position_m) < least_m)[:, None], _on_circle(angle, least_m), position_m
    )
