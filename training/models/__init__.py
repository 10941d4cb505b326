"""Models, one plug-in a file; `training.structure.build` makes them for their data."""
