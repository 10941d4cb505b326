"""Names by kind with a line of description; presets and studies with their cost."""

from studies.presets import preset_description, preset_files
from studies.study.costs import preset_cost, study_costs
from wirelessfl import plugins

KINDS = (*plugins.KINDS, "presets")


def descriptions(kind: str) -> dict[str, str]:
    """The first sentence on each name of a kind.

    Args:
        kind: One of `KINDS`.

    Returns:
        Name -> description in one line.
    """
    if kind == "presets":
        return {name: preset_description(name) for name in preset_files()}
    return {name: plugins.description(kind, name) for name in plugins.names(kind)}


def costs(kind: str) -> dict[str, str]:
    """Cost of each name of a kind.

    Args:
        kind: One of `KINDS`.

    Returns:
        Name -> cost; empty for kinds without one.
    """
    if kind == "presets":
        return {name: preset_cost(name) for name in preset_files()}
    if kind != "studies":
        return {}
    return {
        name: "; ".join(f"{scale}: {cost}" for scale, cost in study_costs(name).items())
        for name in plugins.names(kind)
    }
