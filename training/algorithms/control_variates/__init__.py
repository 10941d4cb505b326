"""ProxSkip and its relatives."""
