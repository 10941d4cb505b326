"""Channel models: path loss and fading, one plug-in a file."""

from channel_models._propagation.path_loss import (
    free_space_db,
    log_distance_db,
    los_probability,
    path_loss_db,
)

__all__ = ["free_space_db", "log_distance_db", "los_probability", "path_loss_db"]
