"""Bandwidth and pruning-ratio allocation: `solve` a problem with a plug-in, `certify` the answer.

The allocators are the modules of this package without an underscore; `solve` finds them by name.

Example:
    >>> from optimizers import AllocationProblem, certify, solve
    >>> problem = AllocationProblem(
    ...     deadline_s=0.025, fixed_s=0.005, prunable_s=0.01, upload_bits=5e5, rate_bps=[2e8, 1e8]
    ... )
    >>> bool(certify(problem, solve(problem)).duality_gap < 1e-12)
    True
"""

from optimizers._analysis.certificate import certify
from optimizers._analysis.repair import Repair, repair
from optimizers._analysis.residuals import Certificate
from optimizers._analysis.sensitivity import Sensitivities, sensitivities
from optimizers._analysis.whatif import Breakpoint, WhatIf, breakpoints, measures, what_if
from optimizers._frequency_selective import BlockShares, least_expected_loss, share_blocks
from optimizers._joint.energy import minimise_energy
from optimizers._joint.power import PowerControl, control_power, solve_joint_power
from optimizers._joint.problem import JointAllocation, JointProblem
from optimizers._joint.solve import solve_joint
from optimizers._precompile import precompile
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
    "BlockShares",
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
    "PowerControl",
    "ProportionalFairness",
    "Repair",
    "ResourceBlocks",
    "Select",
    "Sensitivities",
    "WhatIf",
    "assign_blocks",
    "breakpoints",
    "certify",
    "control_power",
    "least_expected_loss",
    "measures",
    "minimise_energy",
    "precompile",
    "repair",
    "sensitivities",
    "share_blocks",
    "solve",
    "solve_joint",
    "solve_joint_power",
    "upload_seconds",
    "waterfill",
    "what_if",
]
