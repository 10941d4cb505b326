"""Allocation problems and their answer."""
