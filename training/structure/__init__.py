"""The structure of any model: flat vector, channel groups, sub-models and costs."""

from importlib import import_module
from typing import Any

_HOMES = {
    "training.structure.form": ("Form",),
    "training.structure.groups": ("Group",),
    "training.structure.layout": ("Layout",),
    "training.structure.structure": (
        "CostTable",
        "Structure",
    ),
    "training.structure.submodel": ("SubModel",),
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}

__all__ = sorted(_HOME_OF)


def __getattr__(name: str) -> Any:
    """Import a public name from its home on first use (PEP 562): torch takes a second."""
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOME_OF[name]), name)
    globals()[name] = value
    return value
