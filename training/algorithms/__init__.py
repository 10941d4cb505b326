"""Federated algorithms, one plug-in a file."""
