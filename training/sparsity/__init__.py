"""Sparsity: counts and selections of weights, proximal operators, payload and packing."""
