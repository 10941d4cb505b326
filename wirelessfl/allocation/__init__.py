"""Allocation of bandwidth and pruning ratios: the problem, its answer and the interface of
allocators.
"""
