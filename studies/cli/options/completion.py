"""Shell completion: presets, plug-ins, studies, and fields of scenario files."""

from collections.abc import Callable

import click
from click.shell_completion import CompletionItem

Completion = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]


def complete_scenario(
    context: click.Context, parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Presets and files."""
    from studies.presets import preset_description, preset_files

    presets = [
        CompletionItem(name, help=preset_description(name))
        for name in preset_files()
        if name.startswith(incomplete)
    ]
    return presets if presets and incomplete else [*presets, CompletionItem(incomplete, "file")]


def plugin_completion(kind: str) -> Completion:
    """Completion by the names of a kind, with their descriptions."""

    def complete(
        context: click.Context, parameter: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        from wirelessfl import plugins

        return [
            CompletionItem(name, help=plugins.description(kind, name))
            for name in plugins.names(kind)
            if name.startswith(incomplete)
        ]

    return complete


def complete_described(
    context: click.Context, parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Sections, presets, and plug-ins of every kind."""
    from studies.presets import preset_files
    from wirelessfl import plugins

    names = ["scenario", "run", "allocation", *preset_files()]
    names += [name for kind in plugins.KINDS for name in plugins.names(kind)]
    return [CompletionItem(name) for name in names if name.startswith(incomplete)]


def complete_kind(
    context: click.Context, parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Kinds of plug-ins, and presets."""
    from wirelessfl import plugins

    kinds = (*plugins.KINDS, "presets")
    return [CompletionItem(kind) for kind in kinds if kind.startswith(incomplete)]


def complete_setting(
    context: click.Context, parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """`section.field=`, and the plug-ins after a selector."""
    from wirelessfl import plugins
    from wirelessfl.config.scenario_file import SECTIONS, SELECTORS
    from wirelessfl.errors import InputError

    name, equals, _start = incomplete.partition("=")
    section, dot, _ = name.partition(".")
    if not dot:
        found = [f"{one}." for one in SECTIONS]
    elif not equals:
        try:
            found = [f"{section}.{field}=" for field in _fields(context, section)]
        except InputError:
            return []
    else:
        kinds = {f"{one}.{key}": kind for one, (key, kind) in SELECTORS.items()}
        kinds |= {"training.dataset": "datasets", "training.model": "models"}
        found = [f"{name}={one}" for one in plugins.names(kinds[name])] if name in kinds else []
    return [CompletionItem(text) for text in found if text.startswith(incomplete)]


def _fields(context: click.Context, section: str) -> list[str]:
    """Fields of a section of the scenario on the command line."""
    from studies.presets import preset_files, scenario_tables
    from wirelessfl.config.fields import known_fields
    from wirelessfl.config.scenario_file import DEFAULTS, SELECTORS, plugin_class
    from wirelessfl.experiment import RunSettings
    from wirelessfl.values import Scenario

    cls = {"scenario": Scenario, "run": RunSettings}.get(section)
    if cls is not None:
        return list(known_fields(cls))
    if section not in SELECTORS:
        return []
    key = SELECTORS[section][0]
    # After an option without its value click leaves the positional words in `args`.
    known = [word for word in context.args if word in preset_files() or word.endswith(".toml")]
    given = context.params.get("scenario") or next(iter(known), None)
    table = scenario_tables(given).get(section, {}) if given else {}
    return [key, *known_fields(plugin_class(section, table.get(key, DEFAULTS[section])))]
