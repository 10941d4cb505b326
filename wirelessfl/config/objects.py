"""Experiments from Python objects: sections as objects, plug-ins as classes."""

from collections.abc import Mapping
from typing import Any

from wirelessfl import plugins
from wirelessfl.config.fields import flat
from wirelessfl.config.scenario_file import SELECTORS, Tables, check_sections, to_tables
from wirelessfl.errors import InputError
from wirelessfl.experiment import Experiment, RunSettings
from wirelessfl.values import Scenario

CLASSES = {  # key of section training -> kind of the plug-in that it names
    "model": "models",
    "dataset": "datasets",
}
_FIXED = {"scenario": Scenario, "run": RunSettings}


def tables_from_objects(sections: Mapping[str, Any]) -> Tables:
    """Tables of an experiment whose sections are tables or objects.

    A section is a table, in which a plug-in may be given by its class, or the object that the
    section makes: `Scenario`, `RunSettings`, or an instance of a plug-in. Classes of this process
    are registered.

    Args:
        sections: Section -> table or object.

    Returns:
        Tables by section.

    Raises:
        InputError: A section is unknown or is something else.
    """
    tables = {name: _table(name, value) for name, value in sections.items()}
    return check_sections(tables)


def _table(section: str, value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _named(section, key, item) for key, item in value.items()}
    if isinstance(value, _FIXED.get(section, ())):
        return flat(value)
    if section not in SELECTORS or isinstance(value, (str, type)) or not _is_plugin(value):
        return value  # refused by `check_sections`, by name
    key, kind = SELECTORS[section]
    return {key: plugins.named(kind, type(value)), **flat(value)}


def _is_plugin(value: Any) -> bool:
    return hasattr(type(value), "__dataclass_fields__")


def _named(section: str, key: str, item: Any) -> Any:
    """Name of a plug-in that is given as a class; any other value stays."""
    if not isinstance(item, type):
        return item
    selector, kind = SELECTORS.get(section, ("", ""))
    kind = kind if key == selector else CLASSES.get(key, "") if section == "training" else ""
    if not kind:
        raise InputError(f"{section}.{key} must not be a class, got {item.__name__}")
    return plugins.named(kind, item)


def registered(experiment: Experiment) -> Experiment:
    """An experiment all of whose plug-ins have a name in this process.

    Args:
        experiment: An experiment, whose classes are registered if necessary.

    Returns:
        The same experiment.

    Raises:
        InputError: A class cannot be registered.
    """
    held = {
        "channels": experiment.channel,
        "allocators": experiment.allocator,
        "algorithms": experiment.algorithm,
    }
    for kind, plugin in held.items():
        if not _is_plugin(plugin):
            name = type(plugin).__name__
            raise InputError(f"class {name} of kind {kind} must be a frozen dataclass")
        plugins.named(kind, type(plugin))
    return experiment


def local_plugin(experiment: Experiment) -> str | None:
    """Name of a plug-in of the experiment that only this process knows.

    Args:
        experiment: An experiment.

    Returns:
        The first such name; None where other processes can run the experiment.
    """
    tables = to_tables(experiment)
    named = [(kind, tables[section][key]) for section, (key, kind) in SELECTORS.items()]
    named += [(kind, tables["training"].get(key)) for key, kind in CLASSES.items()]
    return next((name for kind, name in named if name and plugins.is_local(kind, name)), None)
