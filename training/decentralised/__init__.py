"""Training without a server: agents that average with their neighbours."""
