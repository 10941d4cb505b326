"""Positions: drops, motion and sectors."""
