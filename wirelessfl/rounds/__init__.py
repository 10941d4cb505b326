"""Rounds of a run: one round, the loop over them, start and resume."""

from wirelessfl.rounds.loop import record_trained, run_rounds

__all__ = ["record_trained", "run_rounds"]
