"""Rounds of a run: one round, the loop over them, start and resume."""

from wirelessfl.rounds.loop import run_rounds
from wirelessfl.rounds.trained import TrainedRecorder

__all__ = ["TrainedRecorder", "run_rounds"]
