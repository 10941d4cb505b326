"""Bandwidth and pruning-ratio allocation: `solve` a problem with a plug-in, `certify` the answer."""

from optimizers._analysis.certificate import Certificate, certify
from optimizers._analysis.repair import Repair, repair
from optimizers._analysis.sensitivity import Sensitivities, sensitivities
from optimizers._analysis.whatif import Breakpoint, WhatIf, breakpoints, measures, what_if
from optimizers._joint.energy import minimise_energy
from optimizers._joint.problem import JointAllocation, JointProblem
from optimizers._joint.solve import solve_joint
from optimizers._solve import solve
from optimizers._waterfilling.array_api import upload_seconds, waterfill
from optimizers.equal import Equal
from optimizers.equal_common import EqualCommon
from optimizers.exact import Exact
from optimizers.fixed_ratio import FixedRatio
from optimizers.max_min import MaxMin
from optimizers.min_latency import MinLatency
from optimizers.proportional_fairness import ProportionalFairness
from optimizers.resource_blocks import ResourceBlocks, assign_blocks
from optimizers.select import Select
from wirelessfl.allocation.allocation import Allocation
from wirelessfl.allocation.noise_psd import NoisePsdProblem
from wirelessfl.allocation.problem import AllocationProblem

__all__ = [
    "Allocation",
    "AllocationProblem",
    "Breakpoint",
    "Certificate",
    "Equal",
    "EqualCommon",
    "Exact",
    "FixedRatio",
    "JointAllocation",
    "JointProblem",
    "MaxMin",
    "MinLatency",
    "NoisePsdProblem",
    "ProportionalFairness",
    "Repair",
    "ResourceBlocks",
    "Select",
    "Sensitivities",
    "WhatIf",
    "assign_blocks",
    "breakpoints",
    "certify",
    "measures",
    "minimise_energy",
    "repair",
    "sensitivities",
    "solve",
    "solve_joint",
    "upload_seconds",
    "waterfill",
    "what_if",
]
