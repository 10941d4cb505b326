"""Local training before pruning, and the fusion of its model with the global one: the first half of
DapperFL.
"""

from dataclasses import dataclass, replace

import numpy as np

from training.arrays import Vector
from training.engine.accounting import steps_of
from training.engine.program import Program, Train
from wirelessfl.errors import check_number


@dataclass(frozen=True, kw_only=True)
class Fusion:
    """A client trains the whole model, mixes it with w_t, and only then prunes: w_f = alpha_t w_t +
    (1 - alpha_t) w_k.

    alpha_t = max((1 - `fusion_decay`)^t `fusion_start`, `fusion_least`) in round t (from 0), as in
    the published code of DapperFL (Jia et al. 2024). `dense_share` of the local steps come before
    it.

    **Differs:** the original has whole epochs, one before the fusion and the rest after it; with the one epoch of
    [CA-HFP] nothing would be left for the pruned model, so the steps are divided.
    """

    dense_share: float = 0.5
    fusion_start: float = 0.9
    fusion_least: float = 0.1
    fusion_decay: float = 0.2

    def __post_init__(self) -> None:
        for name in ("dense_share", "fusion_start", "fusion_least", "fusion_decay"):
            check_number(f"training.{name}", getattr(self, name), at_least=0, at_most=1)

    def alpha(self, round: int) -> float:
        """The share of the global model in round `round` (from 0)."""
        return max((1.0 - self.fusion_decay) ** round * self.fusion_start, self.fusion_least)

    def fused(self, shared: Vector, local: Vector, round: int) -> Vector:
        """The mixture (size,), running statistics included."""
        alpha = np.float32(self.alpha(round))
        mixture: Vector = alpha * shared + (np.float32(1) - alpha) * local
        return mixture

    def split(self, program: Program, epoch_steps: int) -> tuple[Program, Program]:
        """The program before the fusion, on the whole model, and the one behind it.

        `dense_share` of each phase's n steps, rounded, and the rest; without any the program is
        left as it is. What comes before it has no feature penalty and a random stream of its own.
        """
        before: list[Train] = []
        behind: list[Train] = []
        for phase in program:
            assert isinstance(phase, Train)
            steps = steps_of(phase, epoch_steps)
            dense = round(self.dense_share * steps)
            first = replace(
                phase, epochs=None, steps=dense, feature_penalty=0.0, stream="batches/dense"
            )
            before += [first] if dense else []
            behind.append(replace(phase, epochs=None, steps=steps - dense) if dense else phase)
        return tuple(before), tuple(behind)
