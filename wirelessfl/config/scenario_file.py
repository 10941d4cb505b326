"""Scenario files: TOML tables to an `Experiment` and back.

Everything that is wrong is reported in one clear line. A section is flat: the key that names the
plug-in (`channel.model`, `allocation.method`, `training.algorithm`), the plug-in's own fields and
those of the dataclasses it holds. A power field `x_w` may be written `x_dbm`, and a density
`x_w_per_hz` as `x_dbm_per_hz`. A path is relative to the scenario file. Section `inputs`, which a
run writes, holds size and hash of the files that were read; other ones are refused.
"""

import dataclasses
import hashlib
import json
import os
import tomllib
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import tomli_w

from wirelessfl import plugins
from wirelessfl.border.gate import inside
from wirelessfl.config import toml
from wirelessfl.config.fields import (
    build,
    check_key,
    file_fields,
    flat,
    hint_at,
    known_fields,
    level_field,
    typed,
    watt_field,
)
from wirelessfl.config.input_files import Contents, FileContent, check_contents, data_files
from wirelessfl.errors import InputError
from wirelessfl.experiment import Experiment, RunSettings
from wirelessfl.values import Scenario

Tables = dict[str, dict[str, Any]]
SECTIONS = ("scenario", "channel", "allocation", "training", "run")
INPUTS = "inputs"
MOST_BYTES = 1 << 26  # of a scenario file: a million clients with values of their own
_CHUNK = 1 << 20
SELECTORS = {
    "channel": ("model", "channels"),
    "allocation": ("method", "allocators"),
    "training": ("algorithm", "algorithms"),
}
# Fields of section allocation that do not belong to the method: type, default, description.
ALLOCATION_FIELDS: dict[str, tuple[Any, Any, str]] = {
    "max_pruning_ratio": (float, 1.0, "Largest pruning ratio of any client, from 0 to 1."),
    "weights": (
        str,
        "equal",
        "Factor of scenario.weight in the objective: equal is 1, samples a client's training "
        "samples over their mean, age one more than the rounds since its last delivered update.",
    ),
}
DEFAULTS = {"channel": "rayleigh", "allocation": "exact", "training": "fedalt"}
# Fields of section run that do not change the records and are not part of an experiment's hash.
WITHOUT_EFFECT = ("checkpoint_every", "executor", "workers", "stack", "keep_best", "max_wall_s")
# Fields of section run that decide how many rounds are recorded, and nothing else.
LENGTH = ("rounds", "stop_at_accuracy", "patience", "max_simulated_s")


def read_tables(path: Path) -> Tables:
    """Read the tables of a scenario file.

    Args:
        path: A TOML file; paths in it become absolute.

    Returns:
        Tables by section.

    Raises:
        InputError: The file cannot be read or is not TOML, or a section is unknown.
    """
    try:
        with path.open("rb") as file:
            content = bytearray()
            while len(content) <= MOST_BYTES and (chunk := file.read(_CHUNK)):
                content += chunk
        if len(content) > MOST_BYTES:
            raise InputError(f"scenario file {path} must have at most {MOST_BYTES} bytes")
        tables = check_sections(toml.loads(content.decode()))
    except OSError as error:
        raise InputError(f"scenario file {path} cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"scenario file {path} is not valid TOML: {error}") from None
    return _with_paths(tables, lambda file: os.path.realpath(os.path.join(path.parent, file)))


def _with_paths(tables: Tables, change: Callable[[str], str]) -> Tables:
    """Change every path in the tables; those of an unknown plug-in stay."""
    changed = {section: dict(table) for section, table in tables.items()}
    for section in SELECTORS.keys() & tables.keys():
        for name in _file_fields(section, tables[section]):
            file = changed[section].get(name)
            if isinstance(file, str) and file:
                changed[section][name] = change(file)
    return changed


def _file_fields(section: str, table: Mapping[str, Any]) -> tuple[str, ...]:
    key = SELECTORS[section][0]
    try:
        return file_fields(plugin_class(section, table.get(key, DEFAULTS[section])))
    except InputError:  # an unknown plug-in is refused by `from_tables`
        return ()


def check_sections(tables: Mapping[str, Any]) -> Tables:
    """Check that every section is known and is a table.

    Args:
        tables: Tables by section.

    Returns:
        A copy of the tables.

    Raises:
        InputError: A section is unknown or is not a table.
    """
    for name, table in tables.items():
        if name not in (*SECTIONS, INPUTS):
            raise InputError(f"section [{name}] is not known{hint_at(name, SECTIONS)}")
        if not isinstance(table, dict):
            raise InputError(f"{name} must be a section, got {table!r}")
    return {name: dict(table) for name, table in tables.items()}


def parse_setting(text: str) -> tuple[str, str, Any]:
    """Parse a setting of the command line.

    Args:
        text: `section.field=value` with a TOML value; a bare word is a string.

    Returns:
        Section, field and value.

    Raises:
        InputError: The text has another form, or the section is unknown.
    """
    target, equals, value = text.partition("=")
    section, dot, field = target.strip().partition(".")
    if not equals or not dot or not field:
        raise InputError(f"--set must be section.field=value, got {text!r}")
    if section not in SECTIONS:
        raise InputError(f"section [{section}] is not known{hint_at(section, SECTIONS)}")
    try:
        return section, field, toml.loads(f"value = {value.strip()}")["value"]
    except tomllib.TOMLDecodeError:
        return section, field, value.strip()


def check_names(section: str, field: str, value: Any = None) -> None:
    """Check names that are known before any plug-in is loaded.

    These are the fields of the sections `scenario` and `run` and the plug-ins that a selector
    names.

    Args:
        section: Name of the section.
        field: Key in the section.
        value: Its value.

    Raises:
        InputError: There is no such field or plug-in; the message has the most similar name.
    """
    cls = {"scenario": Scenario, "run": RunSettings}.get(section)
    if cls is not None:
        check_key(section, field, known_fields(cls))
    elif field == SELECTORS[section][0] and isinstance(value, str):
        try:
            plugins.check_name(SELECTORS[section][1], value)
        except InputError as error:
            raise InputError(f"{section}.{field}: {error}") from None


def merge(base: Tables, changes: Tables) -> Tables:
    """Merge changes into tables.

    A changed plug-in drops the fields of the old one that it does not know.

    Args:
        base: Tables by section.
        changes: Tables with the changes, which prevail.

    Returns:
        The merged tables.
    """
    merged = {section: dict(table) for section, table in base.items()}
    for section, table in changes.items():
        old = merged.get(section, {})
        if section in SELECTORS:
            key = SELECTORS[section][0]
            chosen = table.get(key, old.get(key, DEFAULTS[section]))
            if key in table and chosen != old.get(key, DEFAULTS[section]):
                known = {key, *_section_fields(section, plugin_class(section, chosen))}
                old = {field: value for field, value in old.items() if field in known}
        merged[section] = {**_without_twins(old, table), **table}
    if INPUTS in base:
        given = {f"{section}.{name}" for section, table in changes.items() for name in table}
        merged[INPUTS] = {name: file for name, file in base[INPUTS].items() if name not in given}
    return merged


def _without_twins(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    """Remove the power fields of `old` that `new` gives in the other unit."""
    twins = {watt_field(field) for field in new} | {level_field(field) for field in new}
    return {field: value for field, value in old.items() if field not in twins}


def from_tables(tables: Tables) -> Experiment:
    """Build the experiment that the tables describe.

    Args:
        tables: Tables by section.

    Returns:
        The experiment.

    Raises:
        InputError: The tables are invalid; the message names the first error.
    """
    tables = check_sections(tables)
    allocation = dict(tables.get("allocation", {}))
    of_section = {
        name: typed(f"allocation.{name}", kind, allocation.pop(name, default))
        for name, (kind, default, _) in ALLOCATION_FIELDS.items()
    }
    experiment = Experiment(
        scenario=build(Scenario, "scenario", tables.get("scenario", {})),
        channel=_plugin("channel", tables.get("channel", {})),
        allocator=_plugin("allocation", allocation),
        **of_section,
        algorithm=_plugin("training", tables.get("training", {})),
        run=build(RunSettings, "run", tables.get("run", {})),
    )
    if recorded := recorded_inputs(tables):
        check_contents("section [inputs]", recorded, _field_contents(experiment))
    return experiment


def recorded_inputs(tables: Tables) -> Contents:
    """Contents of files that section `inputs` records.

    Args:
        tables: Tables by section.

    Returns:
        Contents by name.

    Raises:
        InputError: An entry is not a size and a hash.
    """
    return {name: FileContent.from_table(name, of) for name, of in tables.get(INPUTS, {}).items()}


def input_contents(experiment: Experiment, data_root: Path | None) -> dict[str, FileContent]:
    """Content of every file that a run reads: those named in fields and those of the data set.

    Args:
        experiment: The experiment.
        data_root: Folder of the data sets.

    Returns:
        Contents by name.

    Raises:
        InputError: A file cannot be read.
    """
    found = _field_contents(experiment)
    if experiment.run.train:
        files = data_files(experiment.algorithm, data_root)
        found |= {name: FileContent.of(name, file) for name, file in files.items()}
    return found


def _field_contents(experiment: Experiment) -> dict[str, FileContent]:
    """Content of the files named in fields, by `section.field`."""
    tables = to_tables(experiment)
    return {
        f"{section}.{name}": FileContent.of(f"{section}.{name}", tables[section][name])
        for section in SELECTORS
        for name in _file_fields(section, tables[section])
        if tables[section].get(name)
    }


def to_tables(experiment: Experiment) -> Tables:
    """Convert an experiment to tables, with every field resolved; inverse to `from_tables`.

    Args:
        experiment: The experiment.

    Returns:
        Tables by section.
    """
    return {
        "scenario": flat(experiment.scenario),
        "channel": _plugin_table("channel", experiment.channel),
        "allocation": {
            **_plugin_table("allocation", experiment.allocator),
            **{name: getattr(experiment, name) for name in ALLOCATION_FIELDS},
        },
        "training": _plugin_table("training", experiment.algorithm),
        "run": flat(experiment.run),
    }


def to_toml(
    experiment: Experiment, *, folder: Path | None = None, inputs: Contents | None = None
) -> str:
    """Text of `experiment.toml`.

    Args:
        experiment: The experiment.
        folder: Folder of the file, to which paths are relative; None: paths are absolute.
        inputs: Content of the files that the run reads, by name.

    Returns:
        TOML text.
    """
    tables = to_tables(experiment)
    if folder is None:
        tables = _with_paths(tables, os.path.abspath)
    else:
        base = os.path.realpath(folder)
        tables = _with_paths(tables, lambda file: os.path.relpath(os.path.realpath(file), base))
    if inputs:
        tables[INPUTS] = {name: content.as_table() for name, content in inputs.items()}
    return tomli_w.dumps(tables)


def identity_tables(experiment: Experiment) -> Tables:
    """Tables of an experiment with the content of a file in place of its path.

    Args:
        experiment: The experiment.

    Returns:
        Tables by section.
    """
    tables = to_tables(experiment)
    for name, content in _field_contents(experiment).items():
        section, _, field = name.partition(".")
        tables[section][field] = content.as_table()
    return tables


def experiment_hash(experiment: Experiment, *, with_rounds: bool = True) -> str:
    """Hash that names an experiment.

    Fields at their default are omitted, so that new fields change no name; a plug-in whose default
    or behaviour changes counts its `revision`. A file counts by its content, wherever it lies.

    Args:
        experiment: The experiment.
        with_rounds: Include the fields that decide the number of rounds; False names the runs that
            may be resumed as this one, which differ in these fields only.

    Returns:
        Twelve hex digits.
    """
    # As read from a file, where 1 and 1.0 are the same.
    tables = identity_tables(from_tables(to_tables(experiment)))
    selectors = {(section, key) for section, (key, _) in SELECTORS.items()}
    defaults = _default_tables(experiment)
    ignored = WITHOUT_EFFECT if with_rounds else (*WITHOUT_EFFECT, *LENGTH)
    canonical = {
        section: {
            field: value
            for field, value in table.items()
            if ((section, field) in selectors or value != defaults[section].get(field))
            and not (section == "run" and field in ignored)
        }
        for section, table in tables.items()
    }
    for section, plugin in (
        ("channel", experiment.channel),
        ("allocation", experiment.allocator),
        ("training", experiment.algorithm),
    ):
        revision = getattr(type(plugin), "revision", 1)
        if revision > 1:
            canonical[section]["revision"] = revision
    return hashlib.sha256(json.dumps(canonical, sort_keys=True).encode()).hexdigest()[:12]


def _default_tables(experiment: Experiment) -> Mapping[str, Mapping[str, Any]]:
    """Fields of every section at their default, for the plug-ins of an experiment."""
    of_allocation = {name: default for name, (_, default, _) in ALLOCATION_FIELDS.items()}
    return {
        "scenario": _default_fields(Scenario, "scenario"),
        "channel": _defaults_of_plugin(experiment.channel, "channel"),
        "allocation": {**_defaults_of_plugin(experiment.allocator, "allocation"), **of_allocation},
        "training": _defaults_of_plugin(experiment.algorithm, "training"),
        "run": _default_fields(RunSettings, "run"),
    }


def _defaults_of_plugin(plugin: Any, section: str) -> Mapping[str, Any]:
    cls: Any = type(plugin)
    with inside(SELECTORS[section][1].removesuffix("s"), cls):
        return _default_fields(cls, section)


@cache
def _default_fields(cls: Any, section: str) -> Mapping[str, Any]:
    return flat(build(cls, section, {}))


def _plugin(section: str, table: dict[str, Any]) -> Any:
    key = SELECTORS[section][0]
    fields = {field: value for field, value in table.items() if field != key}
    plugin = plugin_class(section, table.get(key, DEFAULTS[section]))
    with inside(SELECTORS[section][1].removesuffix("s"), plugin):
        return build(plugin, section, fields)


def plugin_class(section: str, name: Any) -> Any:
    """Plug-in that the selector of a section names.

    Args:
        section: Name of the section.
        name: Value of its selector.

    Returns:
        The class of the plug-in.

    Raises:
        InputError: The plug-in is unknown; the message names section and key.
    """
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
    own = ALLOCATION_FIELDS if section == "allocation" else {}
    extra = {name: kind for name, (kind, _, _) in own.items()}
    return {**known_fields(cls), **extra}
