"""Distributed: the works of a round over the processes that torchrun has started, on one machine or
several.
"""

import atexit
import os
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

import torch.distributed as dist

from training.engine.program import EvaluationWork, LocalResult, LocalWork
from training.executors.executor import Executor
from wirelessfl.errors import InputError


def processes() -> int:
    """How many processes torchrun has started for this run; 1 without it."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def own_device(name: str) -> str:
    """The device of this process: "cuda" is one device for each process of a machine."""
    return (
        f"cuda:{os.environ.get('LOCAL_RANK', '0')}" if name == "cuda" and processes() > 1 else name
    )


class Distributed:
    """Every process runs its share of the works, on the executor `inner`, and gets all results.

    Works are taken a window at a time, as many as keep `inner` busy for each of n processes; the
    i-th work of a window goes to process i modulo n. All see the same results in the same order, so
    all compute the same next state, and no other numbers travel. Results travel through main memory
    (gloo), whatever the device.
    """

    def __init__(self, inner: Executor) -> None:
        if not dist.is_initialized():
            dist.init_process_group("gloo")
            atexit.register(dist.destroy_process_group)
        self._inner = inner
        self._rank, self._count = dist.get_rank(), dist.get_world_size()
        self.ahead = inner.ahead * self._count
        dist.barrier()

    def train(self, works: Iterable[LocalWork]) -> Iterator[LocalResult]:
        """One result for each work, in order; an `InputError` in one process is raised in all."""
        return self._run(works, self._inner.train)

    def evaluate(self, works: Iterable[EvaluationWork]) -> Iterator[float]:
        """One accuracy for each work, in order."""
        return self._run(works, self._inner.evaluate)

    def close(self) -> None:
        """Let go of the inner executor."""
        self._inner.close()

    def _run(self, works: Iterable[Any], run: Any) -> Iterator[Any]:
        works = iter(works)
        while window := list(islice(works, self.ahead)):
            shares: list[Any] = [None] * self._count
            dist.all_gather_object(shares, _results(run(window[self._rank :: self._count])))
            for position in range(len(window)):
                result = shares[position % self._count][position // self._count]
                if isinstance(result, InputError):
                    raise result
                yield result


def _results(found: Iterator[Any]) -> list[Any]:
    """All that comes, an `InputError` as the last."""
    results: list[Any] = []
    try:
        for result in found:
            results.append(result)  # one by one: those before an error count
    except InputError as error:
        results.append(error)
    return results
