"""Sparsity: counts and selections of weights, proximal operators, payload and packing."""

from importlib import import_module
from typing import Any

_HOMES = {
    "training.sparsity.counts": (
        "erk_counts",
        "keep_count",
        "prune_count",
        "retained_count",
        "uniform_counts",
    ),
    "training.sparsity.payload": (
        "network_bits",
        "payload_bits",
        "retained_counts",
        "upload_bits",
    ),
    "training.sparsity.prox": (
        "Prox",
        "SoftThreshold",
        "TopK",
    ),
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
