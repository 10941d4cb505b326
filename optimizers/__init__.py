"""Bandwidth and pruning-ratio allocation: `solve` a problem with a plug-in, `certify` the answer."""

from optimizers._certificate import Certificate, certify
from optimizers._repair import Repair, repair
from optimizers._sensitivity import Sensitivities, sensitivities
from optimizers._solve import solve
from optimizers._whatif import Breakpoint, WhatIf, breakpoints, what_if
from optimizers.equal import Equal
from optimizers.equal_common import EqualCommon
from optimizers.exact import Exact
from optimizers.fixed_ratio import FixedRatio
from optimizers.min_latency import MinLatency
from wirelessfl.allocation import Allocation, AllocationProblem

__all__ = [
    "Allocation",
    "AllocationProblem",
    "Breakpoint",
    "Certificate",
    "Equal",
    "EqualCommon",
    "Exact",
    "FixedRatio",
    "MinLatency",
    "Repair",
    "Sensitivities",
    "WhatIf",
    "breakpoints",
    "certify",
    "repair",
    "sensitivities",
    "solve",
    "what_if",
]
