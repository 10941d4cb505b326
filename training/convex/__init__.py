"""Convex tasks with full local gradients: ridge and logistic regression, all runs and clients."""

from training.convex.full_gradients import FullGradients

__all__ = ["FullGradients"]
