"""Measured constants of the convergence theorems of [WFL] and [CA-HFP], and their bounds."""

from training.convergence.bounds import CaHfpConstants, WflConstants, ca_hfp_bound, wfl_bound
from training.convergence.objectives import LocalObjectives, Noise
from training.convergence.smoothness import smoothness

__all__ = [
    "CaHfpConstants",
    "LocalObjectives",
    "Noise",
    "WflConstants",
    "ca_hfp_bound",
    "smoothness",
    "wfl_bound",
]
