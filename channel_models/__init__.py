"""Channel models: path loss and fading, one plug-in per module without an underscore.

The classes below are imported when they are first used, so that `import channel_models` stays fast.

Example:
    >>> from channel_models import path_loss_db
    >>> float(path_loss_db("free-space", 100.0, carrier_hz=3.5e9).round(1))
    83.3
"""

from collections.abc import Callable
from typing import Any

from channel_models._propagation.path_loss import (
    free_space_db,
    log_distance_db,
    los_probability,
    path_loss_db,
)
from wirelessfl.lazy import names_in, on_first_use

_HOMES = {
    "channel_models._csi": ("Csi",),
    "channel_models._geometry.drop": ("Drop",),
    "channel_models._geometry.motion": ("Motion",),
    "channel_models._geometry.sector": ("Sector",),
    "channel_models._propagation.fading": ("Fading",),
    "channel_models._propagation.path_loss": ("LargeScale",),
    "channel_models._tr38901_channel": ("Site",),
    "channel_models._tr38901_clients": ("Indoor",),
    "channel_models._trace_file": ("Format",),
    "channel_models.peer_to_peer": ("PeerToPeer",),
    "channel_models.rayleigh": ("Rayleigh",),
    "channel_models.rician": ("Rician",),
    "channel_models.sionna_tdl": ("SionnaTdl",),
    "channel_models.static": ("Static",),
    "channel_models.tr38901_inh": ("Tr38901Inh",),
    "channel_models.tr38901_rma": ("Tr38901Rma",),
    "channel_models.tr38901_uma": ("Tr38901Uma",),
    "channel_models.tr38901_umi": ("Tr38901Umi",),
    "channel_models.trace": ("Trace",),
}

__all__ = [
    "free_space_db",
    "log_distance_db",
    "los_probability",
    "path_loss_db",
    *names_in(_HOMES),
]


__getattr__: Callable[[str], Any] = on_first_use(__name__, _HOMES)


def __dir__() -> list[str]:
    return __all__
