"""Plug-ins: one data set per file."""
