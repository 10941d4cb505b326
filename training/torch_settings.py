"""Settings of torch and of the process: threads, determinism, memory."""

import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import torch


@contextmanager
def one_thread() -> Iterator[None]:
    """Use one torch thread inside the context.

    Yields:
        Nothing; the previous number of threads is restored at the end.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


@contextmanager
def tf32(allowed: bool) -> Iterator[None]:
    """Context in which products and convolutions of float32 values on CUDA use TF32, or do not.

    Torch allows TF32 in convolutions unless it is told otherwise.

    Args:
        allowed: Whether TF32 is used.

    Yields:
        Nothing; the previous switches are restored at the end.
    """
    switches: tuple[Any, ...] = (torch.backends.cuda.matmul, torch.backends.cudnn)
    before = [switch.allow_tf32 for switch in switches]
    try:
        for switch in switches:
            switch.allow_tf32 = allowed
        yield
    finally:
        for switch, value in zip(switches, before, strict=True):
            switch.allow_tf32 = value


@contextmanager
def deterministic(wanted: bool) -> Iterator[None]:
    """Use operations that give the same bits every time inside the context.

    They are slower on CUDA and change nothing on a CPU.

    Args:
        wanted: Whether to do so; else the context changes nothing.

    Yields:
        Nothing; the previous mode is restored at the end.
    """
    if not wanted:  # even switching it off imports a compiler, which takes most of a second
        yield
        return
    # Read by cuBLAS when it starts.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    before = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before)


@cache
def keep_freed_memory() -> None:
    """Let glibc keep freed activations instead of returning them to the system.

    Otherwise every step maps and faults in its activations of some MB again, which takes up to a
    third of a small CNN's step.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        m_trim_threshold, m_mmap_threshold = -1, -3
        mallopt(m_mmap_threshold, 1 << 30)
        mallopt(m_trim_threshold, (1 << 31) - 1)
