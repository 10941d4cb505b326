"""A data set divided over clients: reading, partition, augmentation; plug-ins in `datasets`."""

from collections.abc import Callable
from typing import Any

from wirelessfl.lazy import names_in, on_first_use

_HOMES = {
    "training.data.card": ("Card",),
    "training.data.dataset": ("Dataset",),
    "training.data.federated": ("FederatedData",),
}

__all__ = names_in(_HOMES)


__getattr__: Callable[[str], Any] = on_first_use(__name__, _HOMES)
