"""Trained models in the form of PyTorch: modules with their weights, and safetensors files."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save
from torch import nn

from training.method_based import MethodBased
from training.state import StateTrainer
from training.task import Task
from wirelessfl.errors import InputError
from wirelessfl.protocols import Algorithm, Runtime
from wirelessfl.records.run_folder import write_atomically


def trained_model(
    algorithm: Algorithm,
    arrays: Mapping[str, NDArray[Any]],
    *,
    clients: int,
    seed: int,
    client: int | None = None,
    data_root: Path | None = None,
) -> nn.Module:
    """The evaluated model of a packed training state.

    Args:
        algorithm: The algorithm plug-in of the run.
        arrays: Arrays that its trainer packed.
        clients: Number of clients K.
        seed: Seed of the run.
        client: Index of the client whose model is returned; None for the global model.
        data_root: Folder of the data sets.

    Returns:
        The plug-in model on the CPU, in evaluation mode.

    Raises:
        InputError: The state is that of another experiment, there is no such client or no global
            model, the data are missing, or the algorithm has a trainer of another kind.
    """
    runtime = Runtime(executor="loop", data_root=data_root)
    trainer = algorithm.trainer(clients=clients, seed=seed, runtime=runtime)
    try:
        if not isinstance(algorithm, MethodBased) or not isinstance(trainer, StateTrainer):
            raise InputError(
                "training.algorithm must be based on a method (training.method_based) to give its "
                f"model, got {type(algorithm).__name__}"
            )
        vector = trainer.model(trainer.unpack(arrays), client)
    finally:
        trainer.close()
    model: nn.Module
    model, layout = algorithm.method.spec().build_model()
    layout.fill(model, torch.from_numpy(np.array(vector)))
    return model.eval()


def description(
    task: Task, model: nn.Module, *, clients: int, seed: int, data_root: Path | None
) -> dict[str, Any]:
    """Properties that a user of a trained model needs besides its weights.

    Args:
        task: The learning task of the run.
        model: Its trained model.
        clients: Number of clients K.
        seed: Seed of the run.
        data_root: Folder of the data sets.

    Returns:
        Names of the model's and the data set's plug-ins; form of the model; mean and standard
        deviation of the pixels, to normalise them as (x - mean) / std; fraction of weights that
        are 0; names of the classes, None where the data set has none.
    """
    data = task.divide(clients=clients, seed=seed, data_root=data_root)
    weights = [parameter.detach() for parameter in model.parameters()]
    nonzero = sum(int(torch.count_nonzero(weight)) for weight in weights)
    shape: Any = model.input_shape
    return {
        "model": task.model,
        "dataset": task.dataset,
        "input_shape": list(shape),
        "classes": model.classes,
        "class_names": list(task.class_names) or None,
        "width": task.width,
        "without": list(task.without),
        "pixel_mean": data.mean,
        "pixel_std": data.std,
        "pruned_fraction": 1.0 - nonzero / sum(weight.numel() for weight in weights),
    }


def write_safetensors(file: Path, model: nn.Module, metadata: Mapping[str, str]) -> None:
    """Write the parameters and buffers of a model under their names in PyTorch.

    Args:
        file: The file, which is replaced as a whole.
        model: The model.
        metadata: Texts for the head of the file.

    Raises:
        OSError: The file cannot be written.
    """
    write_atomically(file, save(model.state_dict(), {"format": "pt", **metadata}))
