"""Callbacks that pass the records of a run to experiment trackers."""
