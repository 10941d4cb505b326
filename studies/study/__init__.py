"""A study: its interface, tables and files."""
