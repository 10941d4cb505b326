"""Local training before pruning, and fusion with the global model: the first half of DapperFL."""

from dataclasses import dataclass, replace

import numpy as np

from training.arrays import Vector
from training.engine.program import Program, Train
from training.engine.updates import steps_of
from wirelessfl.errors import check_number


@dataclass(frozen=True, kw_only=True)
class Fusion:
    """Fusion w_f = alpha_t w_t + (1 - alpha_t) w_k of the global and a locally trained model.

    alpha_t = max((1 - `fusion_decay`)^t `fusion_start`, `fusion_least`) in round t (from 0), as in
    the published code of DapperFL (Jia et al. 2024). A client trains the whole model, fuses it with
    w_t, and only then prunes.

    **Differs:** the original has whole epochs, one before the fusion and the rest after it; with
    the one epoch of [CA-HFP] nothing would be left for the pruned model, so the steps are divided.

    Attributes:
        dense_share: Fraction of the local steps before the fusion, in [0, 1].
        fusion_start: Weight alpha_0 of the global model in the first round, in [0, 1].
        fusion_least: Smallest weight of the global model, in [0, 1].
        fusion_decay: Relative decrease of that weight in a round, in [0, 1].
    """

    dense_share: float = 0.5
    fusion_start: float = 0.9
    fusion_least: float = 0.1
    fusion_decay: float = 0.2

    def __post_init__(self) -> None:
        for name in ("dense_share", "fusion_start", "fusion_least", "fusion_decay"):
            check_number(f"training.{name}", getattr(self, name), at_least=0, at_most=1)

    def alpha(self, round_index: int) -> float:
        """Weight alpha_t of the global model.

        Args:
            round_index: Index t of the round, from 0.

        Returns:
            Weight in [0, 1].
        """
        return max((1.0 - self.fusion_decay) ** round_index * self.fusion_start, self.fusion_least)

    def fused(self, shared: Vector, local: Vector, round_index: int) -> Vector:
        """The fused model, running statistics included.

        Args:
            shared: Global model w_t, (size,).
            local: Locally trained model w_k, (size,).
            round_index: Index t of the round, from 0.

        Returns:
            Model w_f, (size,).
        """
        alpha = np.float32(self.alpha(round_index))
        mixture: Vector = alpha * shared + (np.float32(1) - alpha) * local
        return mixture

    def split(self, program: Program, epoch_steps: int) -> tuple[Program, Program]:
        """The program before the fusion, on the whole model, and the program after it.

        The part before the fusion has no feature penalty and a random stream of its own.

        Args:
            program: Phases `Train` of a client.
            epoch_steps: Steps in an epoch of the client.

        Returns:
            round(`dense_share` n) of the n steps of each phase, and the remaining steps; an empty
            first program where that is no step.
        """
        before: list[Train] = []
        after: list[Train] = []
        for phase in program:
            assert isinstance(phase, Train)
            steps = steps_of(phase, epoch_steps)
            dense = round(self.dense_share * steps)
            if not dense:
                after.append(phase)
                continue
            before.append(
                replace(
                    phase, epochs=None, steps=dense, feature_penalty=0.0, stream="batches/dense"
                )
            )
            after.append(replace(phase, epochs=None, steps=steps - dense))
        return tuple(before), tuple(after)
