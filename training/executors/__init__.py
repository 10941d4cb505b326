"""Executors run the clients' work of a round and give the results in the same order."""

import math
import os
from dataclasses import replace

import torch
from torch import nn

from training.data.federated import FederatedData
from training.engine.chain import layers_of, numba_is_installed
from training.engine.spec import EngineSpec
from training.engine.stacked_network import StackedNetwork
from training.executors.distributed import DistributedExecutor, own_device
from training.executors.executor import Executor
from training.executors.graph import GraphExecutor
from training.executors.loop import LoopExecutor
from training.executors.stacked import StackedExecutor
from training.executors.workers import WorkersExecutor
from wirelessfl import plugins
from wirelessfl.border.processes import processes
from wirelessfl.errors import InputError, check_choice, check_count
from wirelessfl.protocols import Runtime

__all__ = ["EXECUTORS", "Executor", "check_device", "make_executor"]

EXECUTORS = ("auto", "loop", "workers", "compiled", "stacked", "graph")
LEAST_WORKERS_FLOPS = 1e10  # about 0.25 s on one core
# Of a round, from which it repays in a few rounds that the compiled steps are loaded (0.6 s).
LEAST_COMPILED_FLOPS = 1e8
# Of one client's step, up to which the time of a step on a CPU is that of its calls.
MOST_STACKED_FLOPS = 1e7


def make_executor(
    spec: EngineSpec,
    data: FederatedData,
    runtime: Runtime,
    *,
    round_flops: float,
    step_flops: float = math.inf,
) -> Executor:
    """The executor that a run's settings ask for.

    "auto" on a CPU is "stacked" for a network with convolutions whose steps take at most 1e7 FLOPs,
    "compiled" for a chain of linear layers where a dense round takes at least 1e8 FLOPs, else
    "loop": docs/training.md has the measurements. These choices depend on the experiment alone, so
    that a run gives the same bits on machines with other numbers of cores, and when it is resumed.
    Where a dense round takes at least 1e10 FLOPs, and there are more than one core and client,
    "loop" becomes "workers", and "compiled" runs in as many processes, with the same bits: that
    saves more than the start of the processes costs (a few seconds).

    On CUDA it is "stacked" for models of linear layers and "graph" for others, by the number of
    kernels they launch, which is not measured. Under torchrun every process runs a part of the
    work, "auto" on a CPU is then "compiled" or "loop".

    Args:
        spec: Settings of the engine.
        data: Data of all clients.
        runtime: Executor, number of workers and size of stacks.
        round_flops: FLOPs of a dense round of all clients.
        step_flops: FLOPs of the largest dense step of a client.

    Returns:
        An executor, to be closed after use; that of the caller if `runtime.given` is one.

    Raises:
        InputError: Unknown executor, a number of workers or clients below 0, workers on a device
            other than the CPU or with a model that only this process knows, or graph on a device
            other than CUDA.
    """
    if runtime.given is not None:
        return _checked(runtime.given)
    check_choice("run.executor", runtime.executor, EXECUTORS)
    check_count("run.workers", runtime.workers, at_least=0)
    check_count("run.stack", runtime.stack, at_least=0)
    on_cpu = torch.device(spec.device).type == "cpu"
    if runtime.executor in ("workers", "compiled") and not on_cpu:
        raise InputError(f"run.executor {runtime.executor} needs run.device cpu, got {spec.device}")
    chain = _chain(spec) if on_cpu and runtime.executor in ("auto", "compiled") else None
    if runtime.executor == "compiled" and chain is None:
        raise InputError(
            "run.executor compiled needs numba and a model that declares a chain of linear layers "
            f"in float32, got {spec.model!r}"
        )
    if runtime.executor == "graph" and on_cpu:
        raise InputError(f"run.executor graph needs run.device cuda, got {spec.device}")
    local = plugins.is_local("models", spec.model)
    if runtime.executor == "workers" and local:
        raise InputError(
            f"run.executor must not be 'workers' with model {spec.model!r}, a class that other "
            "processes do not know: put it into a plug-in file"
        )
    workers = min(runtime.workers or _cores(), len(data.train_index))
    use_workers = (
        workers > 1 and not local and round_flops >= LEAST_WORKERS_FLOPS and processes() == 1
    )
    name = runtime.executor
    if name == "auto":
        name = ("workers" if use_workers else "loop") if on_cpu else _for_cuda(spec)
        if chain and round_flops >= LEAST_COMPILED_FLOPS:
            name = "compiled"
        small = step_flops <= MOST_STACKED_FLOPS and len(data.train_index) > 1
        if on_cpu and small and processes() == 1 and _convolutional(spec):
            name = "stacked"
    if name == "compiled":
        spec = replace(spec, compiled=True)
        several = runtime.workers > 1 if runtime.executor == "compiled" else use_workers
        name = "workers" if several and not local and workers > 1 else "loop"
    executor: Executor
    if name == "workers":
        executor = WorkersExecutor(spec, data, workers)
    elif name == "loop":
        executor = LoopExecutor(spec, data)
    else:
        executor = (StackedExecutor if name == "stacked" else GraphExecutor)(
            spec, data, runtime.stack
        )
    return executor if processes() == 1 else DistributedExecutor(executor)


def check_device(name: str) -> str:
    """Check and complete the name of a device.

    Args:
        name: "cpu", "cuda" or "cuda:N". Under torchrun "cuda" is the device of the process's local
            rank.

    Returns:
        The name of the device.

    Raises:
        InputError: The device is another one or is not available.
    """
    name = own_device(name)
    try:
        device = torch.device(name)
    except RuntimeError:
        raise InputError(f"run.device must be cpu, cuda or cuda:N, got {name!r}") from None
    if device.type not in ("cpu", "cuda"):
        raise InputError(f"run.device must be cpu, cuda or cuda:N, got {name!r}")
    count = torch.cuda.device_count() if device.type == "cuda" else 1
    if (device.index or 0) >= count:
        raise InputError(f"run.device {name} is not there: {count} CUDA devices are available")
    return device.type if device.type == "cpu" else name


def _checked(given: Executor) -> Executor:
    """An executor of the caller, checked."""
    missing = [name for name in ("train", "evaluate", "close") if not hasattr(given, name)]
    if missing:
        raise InputError(f"executor must have a method {missing[0]}, got {given!r}")
    if processes() > 1:
        raise InputError("executor must not be given under torchrun, which divides the work itself")
    return given


def _cores() -> int:
    """Number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _chain(spec: EngineSpec) -> tuple[str, ...] | None:
    """The linear layers of a model whose steps can run compiled; None without them."""
    if spec.precision == "bfloat16" or not numba_is_installed():
        return None
    return layers_of(spec.build_model()[0]) or None


def _convolutional(spec: EngineSpec) -> bool:
    """True for a network with convolutions that can be stacked."""
    model, _ = spec.build_model()
    return StackedNetwork.fits(model) and any(isinstance(m, nn.Conv2d) for m in model.modules())


def _for_cuda(spec: EngineSpec) -> str:
    """The executor that launches the fewest kernels on a device that a loop cannot keep busy."""
    model, _ = spec.build_model()
    layers = (
        module for module in model.modules() if any(True for _ in module.parameters(recurse=False))
    )
    return "stacked" if all(isinstance(layer, nn.Linear) for layer in layers) else "graph"
