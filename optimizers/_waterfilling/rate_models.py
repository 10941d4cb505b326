"""Dispatch of problems to curves and of curves to solvers: one line per rate model."""

from functools import singledispatch
from typing import Any

from optimizers._waterfilling.curve import Curve
from optimizers._waterfilling.fixed_snr import Reduced, reduce
from optimizers._waterfilling.noise_psd import NoisePsdCurve, fill, reduce_psd
from optimizers._waterfilling.waterfill import waterfill
from wirelessfl.allocation.noise_psd import NoisePsdProblem
from wirelessfl.allocation.problem import AllocationProblem, Array
from wirelessfl.errors import InputError


@singledispatch
def curve_of(problem: Any) -> Curve:
    """Reduce a problem to band fractions.

    Args:
        problem: An `AllocationProblem` or a `NoisePsdProblem`, arrays (..., K).

    Returns:
        Its curve.

    Raises:
        InputError: Any other problem.
    """
    raise InputError(
        f"problem must be an AllocationProblem or a NoisePsdProblem, got {type(problem).__name__}"
    )


@singledispatch
def optimum(curve: Curve) -> tuple[Array, Array]:
    """Find the optimal bands over a curve.

    Args:
        curve: The problem in band fractions, arrays (..., K).

    Returns:
        Bands, (..., K), and the price of the whole band, (...,).
    """
    raise TypeError(f"no exact solver for {type(curve).__name__}")


curve_of.register(AllocationProblem, reduce)
curve_of.register(NoisePsdProblem, reduce_psd)
optimum.register(Reduced, waterfill)
optimum.register(NoisePsdCurve, fill)
