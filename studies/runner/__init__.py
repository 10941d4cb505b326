"""Execution of experiments: single runs, sweeps over seeds, batched runs."""
