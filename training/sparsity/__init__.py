"""Sparsity: counts and selections of weights, proximal operators, payload and packing."""

from training.sparsity.counts import (
    erk_counts,
    keep_count,
    prune_count,
    retained_count,
    uniform_counts,
)
from training.sparsity.payload import network_bits, payload_bits, retained_counts, upload_bits
from training.sparsity.prox import Prox, SoftThreshold, TopK

__all__ = [
    "Prox",
    "SoftThreshold",
    "TopK",
    "erk_counts",
    "keep_count",
    "network_bits",
    "payload_bits",
    "prune_count",
    "retained_count",
    "retained_counts",
    "uniform_counts",
    "upload_bits",
]
