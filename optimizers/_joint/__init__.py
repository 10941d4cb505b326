"""Joint allocation of bandwidth, pruning ratios and CPU frequencies."""
