"""Scenario files: TOML tables to an `Experiment` and back, with one clear line for everything that
is wrong.

A section is flat: the key that names the plug-in (`channel.model`, `allocation.method`,
`training.algorithm`), the plug-in's own fields and those of the dataclasses it holds. A power field
`x_w` may be written `x_dbm`.
"""

import dataclasses
import hashlib
import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tomli_w

from wirelessfl import plugins
from wirelessfl.config.fields import build, flat, hint_at, known_fields, typed
from wirelessfl.errors import InputError
from wirelessfl.experiment import Experiment, RunSettings
from wirelessfl.values import Scenario

Tables = dict[str, dict[str, Any]]
SECTIONS = ("scenario", "channel", "allocation", "training", "run")
SELECTORS = {
    "channel": ("model", "channels"),
    "allocation": ("method", "allocators"),
    "training": ("algorithm", "algorithms"),
}
DEFAULTS = {"channel": "rayleigh", "allocation": "exact", "training": "fedalt"}
WITHOUT_EFFECT = (
    "checkpoint_every",
    "executor",
    "workers",
    "stack",
)  # of section run: not part of a run's name


def read_tables(path: Path) -> Tables:
    """The tables of a TOML file; `InputError` when it cannot be read or is not TOML."""
    try:
        return check_sections(tomllib.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise InputError(f"scenario file {path} cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"scenario file {path} is not valid TOML: {error}") from None


def check_sections(tables: Mapping[str, Any]) -> Tables:
    """The tables, when every one is a known section; `InputError` otherwise."""
    for name, table in tables.items():
        if name not in SECTIONS:
            raise InputError(f"section [{name}] is not known{hint_at(name, SECTIONS)}")
        if not isinstance(table, dict):
            raise InputError(f"{name} must be a section, got {table!r}")
    return {name: dict(table) for name, table in tables.items()}


def parse_setting(text: str) -> tuple[str, str, Any]:
    """`section.field=value` with a TOML value (a bare word is a string): section, field, value."""
    target, equals, value = text.partition("=")
    section, dot, field = target.strip().partition(".")
    if not equals or not dot or not field:
        raise InputError(f"--set must be section.field=value, got {text!r}")
    check_sections({section: {}})
    try:
        return section, field, tomllib.loads(f"value = {value.strip()}")["value"]
    except tomllib.TOMLDecodeError:
        return section, field, value.strip()


def merge(base: Tables, changes: Tables) -> Tables:
    """`base` with `changes` on top; a changed plug-in drops the fields of the old one that it does
    not know.
    """
    merged = {section: dict(table) for section, table in base.items()}
    for section, table in changes.items():
        old = merged.get(section, {})
        if section in SELECTORS:
            key = SELECTORS[section][0]
            chosen = table.get(key, old.get(key, DEFAULTS[section]))
            if key in table and chosen != old.get(key, DEFAULTS[section]):
                known = {key, *_section_fields(section, _load(section, chosen))}
                old = {field: value for field, value in old.items() if field in known}
        merged[section] = {**_without_twins(old, table), **table}
    return merged


def _without_twins(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    """`old` without the power fields that `new` gives in the other unit."""
    twins = {field.removesuffix("_dbm") + "_w" for field in new if field.endswith("_dbm")}
    twins |= {field.removesuffix("_w") + "_dbm" for field in new if field.endswith("_w")}
    return {field: value for field, value in old.items() if field not in twins}


def from_tables(tables: Tables) -> Experiment:
    """The experiment that the tables describe; `InputError` names the first thing that is wrong."""
    tables = check_sections(tables)
    allocation = dict(tables.get("allocation", {}))
    cap = typed("allocation.max_pruning_ratio", float, allocation.pop("max_pruning_ratio", 1.0))
    return Experiment(
        scenario=build(Scenario, "scenario", tables.get("scenario", {})),
        channel=_plugin("channel", tables.get("channel", {})),
        allocator=_plugin("allocation", allocation),
        max_pruning_ratio=cap,
        algorithm=_plugin("training", tables.get("training", {})),
        run=build(RunSettings, "run", tables.get("run", {})),
    )


def to_tables(experiment: Experiment) -> Tables:
    """Every field of the experiment, resolved; `from_tables` gives the same experiment back."""
    return {
        "scenario": flat(experiment.scenario),
        "channel": _plugin_table("channel", experiment.channel),
        "allocation": {
            **_plugin_table("allocation", experiment.allocator),
            "max_pruning_ratio": experiment.max_pruning_ratio,
        },
        "training": _plugin_table("training", experiment.algorithm),
        "run": flat(experiment.run),
    }


def to_toml(experiment: Experiment) -> str:
    """The text of `experiment.toml`."""
    return tomli_w.dumps(to_tables(experiment))


def experiment_hash(experiment: Experiment, *, with_rounds: bool = True) -> str:
    """Twelve hex digits that name the experiment; fields at their default are left out, so new
    fields change no name.

    `with_rounds=False` names what a run may be resumed as: the same experiment with another number
    of rounds.
    """
    tables = to_tables(
        from_tables(to_tables(experiment))
    )  # as read from a file, where 1 and 1.0 are the same
    selectors = {(section, key) for section, (key, _) in SELECTORS.items()}
    defaults = to_tables(
        from_tables({section: {key: tables[section][key]} for section, key in selectors})
    )
    ignored = WITHOUT_EFFECT if with_rounds else (*WITHOUT_EFFECT, "rounds")
    canonical = {
        section: {
            field: value
            for field, value in table.items()
            if ((section, field) in selectors or value != defaults[section].get(field))
            and not (section == "run" and field in ignored)
        }
        for section, table in tables.items()
    }
    return hashlib.sha256(json.dumps(canonical, sort_keys=True).encode()).hexdigest()[:12]


def _plugin(section: str, table: dict[str, Any]) -> Any:
    key = SELECTORS[section][0]
    fields = {field: value for field, value in table.items() if field != key}
    return build(_load(section, table.get(key, DEFAULTS[section])), section, fields)


def _load(section: str, name: Any) -> Any:
    key, kind = SELECTORS[section]
    name = typed(f"{section}.{key}", str, name)
    try:
        plugin = plugins.load(kind, name)
    except InputError as error:
        raise InputError(f"{section}.{key}: {error}") from None
    if not dataclasses.is_dataclass(plugin):
        raise InputError(f"{section}.{key}: plug-in {name!r} must be a dataclass")
    return plugin


def _plugin_table(section: str, plugin: Any) -> dict[str, Any]:
    return {SELECTORS[section][0]: plugins.name_of(type(plugin)), **flat(plugin)}


def _section_fields(section: str, cls: type) -> dict[str, Any]:
    extra = {"max_pruning_ratio": float} if section == "allocation" else {}
    return {**known_fields(cls), **extra}
