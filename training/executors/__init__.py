"""Executors: who runs the clients' work. Each takes a round's work and gives the results in the
same order.
"""

import os

import torch
from torch import nn

from training.data.federated import FederatedData
from training.engine.engine import EngineSpec
from training.executors.distributed import Distributed, own_device, processes
from training.executors.executor import Executor
from training.executors.graph import Graph
from training.executors.loop import Loop
from training.executors.stacked import Stacked
from training.executors.workers import Workers
from wirelessfl.errors import InputError, check_choice, check_count
from wirelessfl.protocols import Runtime

EXECUTORS = ("auto", "loop", "workers", "stacked", "graph")
WORTH_WORKERS_FLOPS = 1e10  # about a quarter of a second on one core


def make_executor(
    spec: EngineSpec, data: FederatedData, runtime: Runtime, *, round_flops: float
) -> Executor:
    """The executor that `runtime` asks for.

    "auto" on a CPU is "workers" when there is more than one core and client and a dense round takes
    at least 1e10 FLOPs, so that it gains more than the start of the processes costs (a few
    seconds), else "loop". On CUDA it is "stacked" for models of linear layers and "graph" for
    others, by the numbers of kernels they start, unmeasured. Among the processes of torchrun each
    runs its share; "auto" on a CPU is then "loop".

    Raises `InputError` for an unknown executor, a number of workers or clients below 0, workers on
    a device other than the CPU, graph on one other than CUDA.
    """
    check_choice("run.executor", runtime.executor, EXECUTORS)
    check_count("run.workers", runtime.workers, at_least=0)
    check_count("run.stack", runtime.stack, at_least=0)
    on_cpu = torch.device(spec.device).type == "cpu"
    if runtime.executor == "workers" and not on_cpu:
        raise InputError(f"run.executor workers needs run.device cpu, got {spec.device}")
    if runtime.executor == "graph" and on_cpu:
        raise InputError(f"run.executor graph needs run.device cuda, got {spec.device}")
    workers = min(runtime.workers or _cores(), len(data.train_index))
    worth = workers > 1 and round_flops >= WORTH_WORKERS_FLOPS and processes() == 1
    name = runtime.executor
    if name == "auto":
        name = ("workers" if worth else "loop") if on_cpu else _for_cuda(spec)
    made: Executor
    if name == "workers":
        made = Workers(spec, data, workers)
    elif name == "loop":
        made = Loop(spec, data)
    else:
        made = (Stacked if name == "stacked" else Graph)(spec, data, runtime.stack)
    return made if processes() == 1 else Distributed(made)


def check_device(name: str) -> str:
    """The device's name; `InputError` unless it is the CPU or a CUDA device that is there.

    With several processes "cuda" is the device of the process's own number on its machine.
    """
    name = own_device(name)
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


def _for_cuda(spec: EngineSpec) -> str:
    """The executor that starts the fewest kernels on a device that a loop cannot keep busy."""
    model, _ = spec.build_model()
    layers = (
        module for module in model.modules() if any(True for _ in module.parameters(recurse=False))
    )
    return "stacked" if all(isinstance(layer, nn.Linear) for layer in layers) else "graph"
