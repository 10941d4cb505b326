"""Sparsity: counts and selections of weights, proximal operators, payload and packing."""

from collections.abc import Callable
from typing import Any

from wirelessfl.lazy import names_in, on_first_use

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

__all__ = names_in(_HOMES)


__getattr__: Callable[[str], Any] = on_first_use(__name__, _HOMES)
