"""Bandwidth and pruning-ratio allocation."""
