"""Number of rounds that fit into a budget of local steps."""

from dataclasses import replace
from typing import Protocol, runtime_checkable

from wirelessfl.errors import InputError, check_count
from wirelessfl.experiment import Experiment
from wirelessfl.protocols import Algorithm


@runtime_checkable
class CountsSteps(Protocol):
    """An `Algorithm` whose rounds have different numbers of local steps, known before training."""

    def rounds_within(self, seed: int, steps: int) -> int:
        """The number of whole rounds that fit into a budget.

        Args:
            seed: The seed of the run.
            steps: The budget of local steps.

        Returns:
            The number of rounds, possibly 0.
        """
        ...


def within_steps(experiment: Experiment, local_steps: int) -> Experiment:
    """The experiment with as many rounds as fit into a budget of local steps, at least one.

    The number depends on the settings of the algorithm and on the seed. An algorithm without
    `rounds_within` takes its field `local_steps` in every round.

    Args:
        experiment: The experiment.
        local_steps: The budget, at least 1.

    Returns:
        The experiment with its number of rounds replaced.

    Raises:
        InputError: The budget is below 1, or the algorithm has neither `rounds_within` nor
            `local_steps`.
    """
    check_count("local_steps", local_steps)
    rounds = max(1, _rounds(experiment.algorithm, experiment.run.seed, local_steps))
    return replace(experiment, run=replace(experiment.run, rounds=rounds))


def _rounds(algorithm: Algorithm, seed: int, local_steps: int) -> int:
    if isinstance(algorithm, CountsSteps):
        return algorithm.rounds_within(seed, local_steps)
    steps = getattr(algorithm, "local_steps", None)
    if not isinstance(steps, int) or steps < 1:
        name = type(algorithm).__name__
        raise InputError(
            "--local-steps must have a training.algorithm with local_steps of at least 1, "
            f"got {name} {'without local_steps' if steps is None else f'with {steps}'}"
        )
    return local_steps // steps
