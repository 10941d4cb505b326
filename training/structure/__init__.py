"""The structure of any model: flat vector, channel groups, sub-models and costs."""

from collections.abc import Callable
from typing import Any

from wirelessfl.lazy import names_in, on_first_use

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

__all__ = names_in(_HOMES)


__getattr__: Callable[[str], Any] = on_first_use(__name__, _HOMES)
