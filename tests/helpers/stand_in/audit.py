"""Programs on the stand-in device, in a process of their own: `python audit.py BUILD_FOLDER`.

Prints one JSON object for each case: the largest relative distance to the loop on the CPU,
operations on tensors of both devices, and reads of device values by the
host, which synchronise, in two additional steps of three clients.
"""

import contextlib
import json
import os
import sys
import types
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from helpers.federation import made_up_data
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.cpp_extension import load

from training.engine.program import Accumulate, LocalWork, Prune, Train, TrainMask, TrainPruned
from training.engine.spec import EngineSpec
from training.executors.graph import GraphExecutor
from training.executors.loop import LoopExecutor
from training.executors.stacked import StackedExecutor
from wirelessfl.rng import Streams

COPIES = ("aten::copy_", "aten::_to_copy", "aten::_copy_from", "aten::set_")
READS = ("aten::_local_scalar_dense", "aten::nonzero", "aten::equal", "aten::masked_select")


def register(folder: str) -> None:
    """Compile the device and give it to torch under the name "gpu"."""
    source = Path(__file__).with_name("device.cpp")
    load("stand_in", [str(source)], build_directory=folder, extra_cflags=["-O0"]).init()
    torch.utils.rename_privateuse1_backend("gpu")
    module = types.ModuleType("torch.gpu")
    answers = {
        "is_available": True,
        "device_count": 1,
        "current_device": 0,
        "_is_in_bad_fork": False,
        "is_initialized": True,
        "get_amp_supported_dtype": [torch.bfloat16],
    }
    for name, answer in answers.items():
        setattr(module, name, lambda *_, answer=answer: answer)
    torch._register_device_module("gpu", module)
    usual = torch.Tensor.__deepcopy__

    def deepcopy(self: torch.Tensor, memo: dict) -> torch.Tensor:
        """A copy of plain tensors, which torch cannot serialise on an unknown device."""
        if self.device.type != "gpu" or isinstance(self, torch.nn.Parameter):
            return usual(self, memo)
        return memo.setdefault(id(self), self.detach().clone())

    torch.Tensor.__deepcopy__ = deepcopy


class Audit(TorchDispatchMode):
    """Counts operations on both devices, and reads of device values by the host."""

    def __init__(self) -> None:
        super().__init__()
        self.mixed: Counter[str] = Counter()
        self.reads: Counter[str] = Counter()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func._schema.name
        tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor)]
        devices = {tensor.device.type for tensor in tensors}
        on_host = any(t.device.type == "cpu" and t.ndim for t in tensors)
        if len(devices) > 1 and on_host and name not in COPIES:
            self.mixed[name] += 1
        if "gpu" in devices and name in READS:
            self.reads[name] += 1
        source = tensors[-1] if tensors else None  # of `copy_(target, source)` too
        target = (kwargs or {}).get("device") or (args[0].device if name == "aten::copy_" else None)
        if name in COPIES and source is not None and target is not None:
            self.reads[name] += source.device.type == "gpu" and torch.device(target).type == "cpu"
        return func(*args, **(kwargs or {}))


def programs(steps: int, layers: int) -> dict[str, tuple]:
    """One program of each kind of phase."""
    common = {"steps": steps, "stream": "s"}
    masks = {"keep": (0.5,) * layers, "learning_rate": 0.1, **common}
    train = Train(part="all", learning_rate=0.05, momentum=0.9, weight_decay=0.01, **common)
    return {
        "train": (replace(train, clip_norm=1.0, proximal=0.1),),
        "prune": (Prune(steps=2, learning_rate=0.05, stream="p"), train),
        "accumulate": (Accumulate(**common),),
        "mask": (TrainMask(**masks),),
        "pruned": (TrainPruned(**masks),),
    }


def works(spec: EngineSpec, program: tuple) -> list[LocalWork]:
    """The program for three clients."""
    torch.manual_seed(0)
    model, layout = spec.build_model()
    vector = layout.flatten(model).numpy()
    return [
        LocalWork(
            client=client,
            vector=vector,
            program=program,
            pruning_ratio=0.3,
            streams=Streams(0),
            scores=vector + np.float32(0.01),
        )
        for client in range(3)
    ]


def seeded_faults() -> dict[str, object]:
    """The findings on an operation that mixes devices, and on a value read by the host."""
    ones = torch.ones(2, device="gpu")
    with Audit() as audit, contextlib.suppress(RuntimeError):
        ones.sum().item()
        ones.add(torch.ones(2))
    reads = sum(audit.reads.values())
    return {"executor": "none", "phase": "fault", "gap": 0.0, "mixed": audit.mixed, "reads": reads}


def main() -> None:
    """Print the findings of each executor and kind of phase."""
    register(sys.argv[1])
    data = made_up_data()
    host = EngineSpec(model="digits-cnn", personalised=False, batch_size=8, device="cpu")
    device = replace(host, device="gpu")
    layers = sum(len(entry.shape) > 1 for entry in host.layout().parameters)
    print(json.dumps(seeded_faults()), flush=True)
    for made in (LoopExecutor, StackedExecutor, GraphExecutor):
        executor = made(device, data)
        for kind, program in programs(2, layers).items():
            expected = list(LoopExecutor(host, data).train(works(host, program)))
            reads = []
            mixed: Counter[str] = Counter()
            for length in (2, 4):
                longer = works(device, programs(length, layers)[kind])
                with Audit() as audit:
                    found = list(executor.train(iter(longer)))
                reads.append(sum(audit.reads.values()))
                mixed += audit.mixed
                if length == 2:
                    gaps = [
                        float(np.linalg.norm(one.vector - other.vector))
                        / float(np.linalg.norm(other.vector))
                        for one, other in zip(found, expected, strict=True)
                    ]
            case = {"executor": made.__name__, "phase": kind, "gap": max(gaps)}
            print(json.dumps({**case, "mixed": mixed, "reads": reads[1] - reads[0]}), flush=True)


if __name__ == "__main__":
    os.environ.setdefault("MAX_JOBS", "1")
    main()
