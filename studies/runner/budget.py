"""As many rounds as fit into a budget of local steps, for algorithms whose rounds differ in length."""

from dataclasses import replace
from typing import Protocol, runtime_checkable

from wirelessfl.errors import InputError, check_count
from wirelessfl.experiment import Experiment
from wirelessfl.protocols import Algorithm


@runtime_checkable
class CountsSteps(Protocol):
    """An `Algorithm` whose rounds have different numbers of local steps that can be told before it
    is trained.
    """

    def rounds_within(self, seed: int, steps: int) -> int:
        """The number of whole rounds, of a run with this seed, that a budget of local `steps` has
        room for.
        """
        ...


def within_steps(experiment: Experiment, local_steps: int) -> Experiment:
    """The experiment with as many rounds as a budget of `local_steps` has room for, at least one.

    How many that are depends on its algorithm's settings and on its seed. An algorithm without
    `rounds_within` takes its field `local_steps` in every round; `InputError` when it has neither.
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
            f"--local-steps must have a training.algorithm with local_steps of at least 1, got {name} with {steps}"
        )
    return local_steps // steps
