"""Executors: who runs the clients' work. Each takes a round's work and gives the results in the same order."""

import os
from collections.abc import Iterable, Iterator
from typing import Protocol

import torch

from training.data._federated import FederatedData
from training.engine import EngineSpec
from training.executors.loop import Loop
from training.executors.workers import Workers
from training.program import EvaluationWork, LocalResult, LocalWork
from wirelessfl.errors import InputError, check_choice, check_count
from wirelessfl.protocols import Runtime

EXECUTORS = ("auto", "loop", "workers")
WORTH_WORKERS_FLOPS = 1e10  # about a quarter of a second on one core


class Executor(Protocol):
    """Runs a round's work; what it gives depends on the work alone.

    Works are taken and results given as they are needed, so that a thousand clients' models are never there at once;
    nothing runs until the first result is asked for, and all must be asked for.
    """

    def train(self, works: Iterable[LocalWork]) -> Iterator[LocalResult]:
        """One result for each work, in order."""
        ...

    def evaluate(self, works: Iterable[EvaluationWork]) -> Iterator[float]:
        """One accuracy for each work, in order."""
        ...

    def close(self) -> None:
        """Let go of processes and memory."""
        ...


def make_executor(spec: EngineSpec, data: FederatedData, runtime: Runtime, *, round_flops: float) -> Executor:
    """The executor that `runtime` asks for.

    "auto" is "workers" when there is more than one core and client and a dense round takes at least 1e10 FLOPs, so
    that it gains more than the start of the processes costs (a few seconds), else "loop".
    Raises `InputError` for an unknown executor, a number of workers below 0, workers on a device other than the CPU.
    """
    check_choice("run.executor", runtime.executor, EXECUTORS)
    check_count("run.workers", runtime.workers, at_least=0)
    on_cpu = spec.device == "cpu"
    if runtime.executor == "workers" and not on_cpu:
        raise InputError(f"run.executor workers needs run.device cpu, got {spec.device}")
    workers = min(runtime.workers or _cores(), len(data.train_index))
    worth = on_cpu and workers > 1 and round_flops >= WORTH_WORKERS_FLOPS
    if runtime.executor == "workers" or (runtime.executor == "auto" and worth):
        return Workers(spec, data, workers)
    return Loop(spec, data)


def check_device(name: str) -> str:
    """The device's name; `InputError` unless it is the CPU or a CUDA device that is there."""
    try:
        device = torch.device(name)
    except RuntimeError:
        raise InputError(f"run.device must be cpu, cuda or cuda:N, got {name!r}") from None
    if device.type not in ("cpu", "cuda"):
        raise InputError(f"run.device must be cpu, cuda or cuda:N, got {name!r}")
    there = torch.cuda.device_count() if device.type == "cuda" else 1
    if (device.index or 0) >= there:
        raise InputError(f"run.device {name} is not there: {there} CUDA devices are available")
    return device.type if device.type == "cpu" else name


def _cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
