"""Channel models: path loss and fading, one plug-in per module without an underscore.

Example:
    >>> from channel_models import path_loss_db
    >>> float(path_loss_db("free-space", 100.0, carrier_hz=3.5e9).round(1))
    83.3
"""

from channel_models._propagation.path_loss import (
    free_space_db,
    log_distance_db,
    los_probability,
    path_loss_db,
)

__all__ = ["free_space_db", "log_distance_db", "los_probability", "path_loss_db"]
