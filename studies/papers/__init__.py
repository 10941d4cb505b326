"""Plug-ins: one table or figure of a paper per file, one folder per paper."""
