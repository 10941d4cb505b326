"""Algorithms with a server and a narrower sub-model per client."""
