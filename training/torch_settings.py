"""What the engine asks of the process it runs in."""

import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

import torch


@contextmanager
def one_thread() -> Iterator[None]:
    """One torch thread inside, the caller's number outside."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


@contextmanager
def deterministic(wanted: bool) -> Iterator[None]:
    """Inside, where `wanted`, operations that give the same bits every time: slower on CUDA,
    nothing new on a CPU.
    """
    if not wanted:  # already to switch it off imports a compiler, for most of a second
        yield
        return
    os.environ.setdefault(
        "CUBLAS_WORKSPACE_CONFIG", ":4096:8"
    )  # cuBLAS reads it when it first starts
    before = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before)


@cache
def keep_freed_memory() -> None:
    """Let glibc keep freed activations instead of returning them to the system.

    Else every step maps and faults in its activations of some MB anew, which is up to a third of a
    small CNN's step.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        m_trim_threshold, m_mmap_threshold = -1, -3
        mallopt(m_mmap_threshold, 1 << 30)
        mallopt(m_trim_threshold, (1 << 31) - 1)
