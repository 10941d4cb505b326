"""A study: its interface, its table on the terminal, and its files."""
