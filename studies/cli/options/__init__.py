"""Options that several commands share, and what they do: completion, grids, progress, many runs."""
