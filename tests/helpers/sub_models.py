"""Works on sub-models written with the vectors of the whole model, and their results."""

from dataclasses import replace

import numpy as np

from training.engine.engine import Engine
from training.engine.program import LocalResult, LocalWork
from training.structure.structure import Structure


def compact(structure: Structure, work: LocalWork) -> LocalWork:
    """The work on `work.sub` with the sub-model's part of every vector."""
    if work.sub is None:
        return work
    index = structure.flat_indices(work.sub)
    correction = None if work.correction is None else work.correction[index]
    return replace(work, vector=work.vector[index], correction=correction)


def train_in_place(engine: Engine, structure: Structure, work: LocalWork) -> LocalResult:
    """The result of a sub-model among the values of the whole model, which else stay."""
    result = engine.train(compact(structure, work))
    if work.sub is None:
        return result
    index = structure.flat_indices(work.sub)
    vector, mask = work.vector.copy(), np.zeros(work.vector.size, dtype=bool)
    vector[index] = result.vector
    upload = structure.layout.upload
    mask[index[(index >= upload.start) & (index < upload.stop)]] = result.mask
    sums = {}
    for name, total in result.sums.items():
        sums[name] = np.zeros(structure.layout.parameter_size, dtype=np.float32)
        sums[name][index[: total.size]] = total
    return replace(result, vector=vector, mask=mask[upload], sums=sums)
