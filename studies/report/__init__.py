"""Samples over seeds, tables, claims, curves and CSV files: the parts that every study uses."""
