"""Models, one plug-in a file; `training.models._build` makes them for their data."""
