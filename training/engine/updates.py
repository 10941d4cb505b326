"""Weight updates of local programs, which a demand needs: no model is made for them."""

from training.engine.program import Phase, Program, Prune, Train, TrainMask, TrainPruned
from wirelessfl.errors import InputError


def steps_of(phase: Phase, epoch_steps: int | None) -> int:
    """Number of steps of a phase.

    Args:
        phase: A phase of a program.
        epoch_steps: Steps of the client's epoch; None where it is not known.

    Returns:
        Steps, or mini-batches for `Accumulate`.

    Raises:
        InputError: The phase is given in epochs and `epoch_steps` is None.
    """
    if isinstance(phase, Prune) or phase.epochs is None:
        return phase.steps or 0
    if epoch_steps is None:
        raise InputError(
            f"{phase.epochs} local epochs have no number of steps without a client's number of "
            "samples"
        )
    return phase.epochs * epoch_steps


def updates(
    program: Program, personal_size: int, shared_size: int, epoch_steps: int | None = None
) -> tuple[float, float]:
    """Weight updates of one client in a round.

    Personal and importance steps are fixed: they do not shrink with the pruning ratio. A gradient
    that is only summed counts like an update of its part, and is fixed. Steps on a mask count for
    all weights and shrink with the ratio.

    Args:
        program: The client's phases.
        personal_size: Number of personal weights N_v.
        shared_size: Number of shared weights N_u.
        epoch_steps: Steps of the client's epoch, needed by phases in epochs.

    Returns:
        Fixed and prunable weight updates.

    Raises:
        InputError: The program has epochs and `epoch_steps` is None.
    """
    fixed, prunable = 0.0, 0.0
    for phase in program:
        steps = steps_of(phase, epoch_steps)
        if isinstance(phase, Prune):
            fixed += steps * shared_size
        elif isinstance(phase, TrainMask | TrainPruned):
            prunable += steps * (personal_size + shared_size)
        else:
            personal = steps * personal_size if phase.part != "shared" else 0
            shared = steps * shared_size if phase.part != "personal" else 0
            fixed += personal if isinstance(phase, Train) else personal + shared
            prunable += shared if isinstance(phase, Train) else 0
    return fixed, prunable
