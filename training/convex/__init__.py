"""Convex tasks with full local gradients: runs stacked, all clients in one program."""
