"""Algorithms without a server: agents on a graph."""
