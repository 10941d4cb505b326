"""Grids of experiments: any fields varied, several seeds, one result per point."""
