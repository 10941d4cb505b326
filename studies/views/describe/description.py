"""A section, plug-in, preset or study in words, with its fields."""

from collections.abc import Mapping
from dataclasses import dataclass, is_dataclass, replace
from typing import Any

from studies.presets import preset_description, preset_files, scenario_tables
from wirelessfl import plugins
from wirelessfl.config.descriptions import FieldDescription, describe_fields, prose, summary
from wirelessfl.config.fields import type_name
from wirelessfl.config.scenario_file import ALLOCATION_FIELDS, SELECTORS, from_tables, to_tables
from wirelessfl.errors import InputError, closest
from wirelessfl.experiment import RunSettings
from wirelessfl.scenario.scenario import Scenario

SECTIONS = {"scenario": Scenario, "run": RunSettings}
SECTION_OF = {kind: section for section, (_, kind) in SELECTORS.items()}
TASK_KEYS = {"models": "model", "datasets": "dataset"}


@dataclass(frozen=True)
class Description:
    """A thing that a scenario file or the command line names.

    Attributes:
        name: Its name.
        kind: `section`, `preset`, or a kind of plug-in.
        use: The line that selects it.
        text: Description in one paragraph.
        details: Further paragraphs of its documentation.
        fields: Its fields with type, default, unit and limits; empty for models and data sets.
    """

    name: str
    kind: str
    use: str
    text: str
    details: str
    fields: tuple[FieldDescription, ...]


def described(name: str) -> Description:
    """The description of what bears `name`.

    Raises:
        InputError: Nothing bears that name; the line has the nearest one.
    """
    if name in SECTIONS:
        return _of_class(name, "section", f"[{name}]", SECTIONS[name])
    if name == "allocation":
        of_section = tuple(
            FieldDescription(name, type_name(kind), default, text, "Experiment")
            for name, (kind, default, text) in ALLOCATION_FIELDS.items()
        )
        text = "Allocation of bandwidth and pruning ratios; further fields are those of the method."
        return Description(name, "section", "[allocation]", text, "", of_section)
    if name in preset_files():
        return _of_preset(name)
    for kind in plugins.KINDS:
        if name in plugins.names(kind):
            return _of_plugin(kind, name)
    known = [
        *SECTIONS,
        "allocation",
        *preset_files(),
        *(one for kind in plugins.KINDS for one in plugins.names(kind)),
    ]
    hint = closest(name, known) or "; wirelessfl list has all names"
    raise InputError(f"NAME {name!r} is not known{hint}")


def _of_class(name: str, kind: str, use: str, cls: Any) -> Description:
    fields = tuple(describe_fields(cls)) if is_dataclass(cls) else ()
    text = summary(cls)
    details = prose(cls).partition("\n\n")[2]
    return Description(name, kind, use, text, details, fields)


def _of_plugin(kind: str, name: str) -> Description:
    if kind == "studies":
        module = plugins.load(kind, name)
        use = f"wirelessfl study {name}"
        return Description(name, kind, use, plugins.description(kind, name), prose(module), ())
    section = SECTION_OF.get(kind, "training")
    key = SELECTORS[section][0] if kind in SECTION_OF else TASK_KEYS[kind]
    found = _of_class(name, kind, f"--set {section}.{key}={name}", plugins.load(kind, name))
    if kind == "algorithms":
        return replace(
            found, use=_command(name, getattr(plugins.load(kind, name), "runs_with", {}))
        )
    if kind in TASK_KEYS:  # their fields are not keys of a scenario file
        return Description(found.name, kind, found.use, found.text, found.details, ())
    return found


def _command(algorithm: str, changes: Mapping[str, str]) -> str:
    """The command that trains with an algorithm on the preset `digits`."""
    settings = {"training.algorithm": algorithm, **changes}
    options = (f" --set {field}={value}" for field, value in settings.items())
    return "wirelessfl run digits" + "".join(options)


def _of_preset(name: str) -> Description:
    changed = []
    tables = scenario_tables(name)
    resolved = to_tables(from_tables(tables))
    for section, table in tables.items():
        for key in table:
            value = resolved[section].get(key, table[key])
            changed.append(FieldDescription(f"{section}.{key}", "", value, "", section))
    text = preset_description(name)
    return Description(name, "preset", f"wirelessfl run {name}", text, "", tuple(changed))
