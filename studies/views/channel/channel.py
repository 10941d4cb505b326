"""Quantities of a channel model for the clients of a scenario, for a table and a figure."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from studies.presets import preset_files, scenario_tables
from wirelessfl import plugins
from wirelessfl.border import gate
from wirelessfl.border.budget import check_budget
from wirelessfl.cell.closed_form import full_band_snr
from wirelessfl.config.fields import build, hint_at
from wirelessfl.config.scenario_file import (
    DEFAULTS,
    Tables,
    merge,
    parse_setting,
    plugin_class,
)
from wirelessfl.errors import InputError
from wirelessfl.experiment import RunSettings
from wirelessfl.protocols import ChannelModel
from wirelessfl.rng import Streams
from wirelessfl.units import linear_to_db
from wirelessfl.values import Array, ChannelState, Scenario

PERCENTILES = (5, 50, 95)
_ROUND_EVENTS = 100  # work of a round next to that of a client in it
NO_LINK_DB = 2000.0  # beyond any link; the smallest float has -3,077 dB
SECTIONS = ("channel", "scenario")


@dataclass(frozen=True, eq=False)
class ChannelView:
    """Gains of R rounds and K clients, and the clients' positions in the first round.

    `position_m`, `line_of_sight` and `adjacency` come from the model's methods `positions_m`,
    `line_of_sight` and `adjacency` of (scenario, streams), where it has them; else they are None.

    Attributes:
        name: Name of the channel model.
        model: The channel model.
        scenario: The scenario.
        seed: Seed of the draws.
        participants: Number of clients among which open-loop power control divides the band; None:
            all.
        gain: Power gains, linear, (R, K).
        mean_gain: Mean power gains of each round, linear, (R, K).
        path_gain: Gains of the first round without antennas and small-scale fading, linear, (K,).
        position_m: Positions in metres, (K, 2).
        line_of_sight: True for clients with line of sight, (K,).
        adjacency: Neighbours, (K, K).
    """

    name: str
    model: ChannelModel
    scenario: Scenario
    seed: int
    participants: int | None
    gain: Array
    mean_gain: Array
    path_gain: Array
    position_m: Array | None
    line_of_sight: NDArray[np.bool_] | None
    adjacency: NDArray[np.bool_] | None

    @cached_property
    def distance_m(self) -> Array | None:
        """Distance to the receiver in metres, (K,); None if the model knows none.

        The receiver is the base station at the origin, or the farthest neighbour in a graph.
        """
        if self.position_m is None:
            known = hasattr(self.model, "large_scale")
            return self.scenario.per_client("distance_m") if known else None
        if self.adjacency is None:
            return np.hypot(self.position_m[:, 0], self.position_m[:, 1])
        apart_m = np.linalg.norm(self.position_m[:, None] - self.position_m[None], axis=2)
        farthest_m: Array = np.where(self.adjacency, apart_m, 0.0).max(axis=1)
        return farthest_m

    @cached_property
    def path_loss_db(self) -> Array:
        """Path loss in the first round in dB, shadowing and walls included, (K,)."""
        return -in_db(self.path_gain)

    @cached_property
    def snr_db(self) -> Array:
        """Signal-to-noise ratio over the whole band at the first round's mean gain, in dB, (K,)."""
        return self.snr_db_at(self.mean_gain[0], self.path_gain)

    @cached_property
    def fading_db(self) -> Array:
        """Gain over the mean gain of its round in dB, (R, K)."""
        return in_db(self.gain) - in_db(self.mean_gain)

    def snr_db_at(self, gain: Array, path_gain: Array) -> Array:
        """Signal-to-noise ratio over the whole band.

        Args:
            gain: Power gain, linear, (..., K).
            path_gain: Power gain without antennas and small-scale fading, linear, (..., K).

        Returns:
            The ratio in dB, (..., K).
        """
        state = ChannelState(
            gain=gain, believed_gain=gain, path_gain=path_gain, participants=self.participants
        )
        return in_db(full_band_snr(self.scenario, state, gain))

    def loss_curves_db(self, distance_m: Array) -> dict[str, Array]:
        """Path loss over distance, of a model or large-scale part that offers `loss_curves_db`.

        Args:
            distance_m: Distances in metres, (n,).

        Returns:
            Path loss in dB, (n,), by name; empty for other models.
        """
        parts = (self.model, getattr(self.model, "large_scale", None))
        found = [
            curves
            for part in parts
            if (curves := getattr(part, "loss_curves_db", None)) is not None
        ]
        return dict(found[0](distance_m)) if found else {}

    def rows(self) -> list[dict[str, Any]]:
        """One row of plain values per client.

        Values are None where the model does not know them or there is no link.
        """
        spread = np.percentile(self.fading_db, PERCENTILES, axis=0)
        linked = np.asarray(self.mean_gain).max(axis=0) > 0
        return [
            {
                "client": client,
                "distance_m": None if self.distance_m is None else float(self.distance_m[client]),
                "line_of_sight": None
                if self.line_of_sight is None
                else bool(self.line_of_sight[client]),
                "path_loss_db": _level(float(self.path_loss_db[client])),
                "mean_gain_db": _level(float(in_db(self.mean_gain[0, client]))),
                "snr_db": _level(float(self.snr_db[client])),
                **{
                    f"fading_{p}_db": _level(
                        float(spread[number, client]) if linked[client] else np.inf
                    )
                    for number, p in enumerate(PERCENTILES)
                },
            }
            for client in range(self.scenario.clients)
        ]


def _level(value_db: float) -> float | None:
    """A level in dB; None for that of a missing link."""
    return value_db if abs(value_db) < NO_LINK_DB else None


def in_db(ratio: Array) -> Array:
    """A ratio in dB; 0 is replaced by the smallest float."""
    return linear_to_db(np.maximum(ratio, np.finfo(np.float64).tiny))


def view(name: str, settings: Sequence[str], *, rounds: int, seed: int | None) -> ChannelView:
    """Sample the channel of a scenario.

    Args:
        name: Name of a channel model, with the default scenario; of a preset; or a TOML file.
        settings: Texts `section.field=value` for the channel and the scenario.
        rounds: Number of rounds.
        seed: Seed of the draws; that of the scenario's run if None.

    Returns:
        The gains and positions.

    Raises:
        InputError: A name or field is unknown, or a value is invalid.
    """
    return view_of(_tables(name, settings), rounds=rounds, seed=seed)


def view_of(tables: Tables, *, rounds: int, seed: int | None = None) -> ChannelView:
    """Sample the channel of a scenario given by its tables; see `view`."""
    run: RunSettings = build(RunSettings, "run", tables.get("run", {}))
    seed = run.seed if seed is None else seed
    # Channel and scenario alone, as a whole experiment would import the training packages.
    scenario: Scenario = build(Scenario, "scenario", tables.get("scenario", {})).seeded(seed)
    fields = dict(tables.get("channel", {}))
    model_name = fields.pop("model", DEFAULTS["channel"])
    model = build(plugin_class("channel", model_name), "channel", fields)
    cause = f"--rounds {rounds} of {scenario.clients} clients"
    check_budget(cause, "events", rounds * (_ROUND_EVENTS + scenario.clients))
    start = Streams(seed)
    states = [gate.sample(model, scenario, start.at(number)) for number in range(rounds)]
    means = [gate.mean_gain(model, scenario, start.at(number)) for number in range(rounds)]
    known = {
        method: getattr(model, method)(scenario, start) if hasattr(model, method) else None
        for method in ("positions_m", "line_of_sight", "adjacency")
    }
    return ChannelView(
        name=model_name,
        model=model,
        scenario=scenario,
        seed=seed,
        participants=run.participants,
        gain=np.array([state.gain for state in states]),
        mean_gain=np.array(means),
        path_gain=means[0] if states[0].path_gain is None else states[0].path_gain,
        position_m=known["positions_m"],
        line_of_sight=known["line_of_sight"],
        adjacency=known["adjacency"],
    )


def _tables(name: str, settings: Sequence[str]) -> Tables:
    """The tables of a channel model or scenario with all settings."""
    is_model = name in plugins.names("channels")
    tables = {"channel": {"model": name}} if is_model else _scenario(name)
    changes: Tables = {section: {} for section in SECTIONS}
    for text in settings:
        section, field, value = parse_setting(text)
        if section not in SECTIONS:
            raise InputError(f"--set must change {' or '.join(SECTIONS)}, got {text!r}")
        if is_model and (section, field) == ("channel", "model"):
            raise InputError(
                f"--set channel.model must not be given: SCENARIO {name!r} says it, got {text!r}"
            )
        changes[section][field] = value
    return merge(tables, changes)


def _scenario(name: str) -> Tables:
    try:
        return scenario_tables(name)
    except InputError:
        if name.endswith(".toml") or Path(name).exists():
            raise
    known = [*plugins.names("channels"), *preset_files()]
    raise InputError(
        f"SCENARIO must be a TOML file, a preset or a channel model, got {name!r}"
        f"{hint_at(name, known)}"
    )
