"""Algorithms with a server and one global model."""
