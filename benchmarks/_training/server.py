"""Part `server`: the server of [CA-HFP] in a round, without the training of the clients."""

import statistics
import sys
import time
from dataclasses import replace

import numpy as np
from report import TrainingRow

from training.algorithms.submodels.ca_hfp import CaHfp
from training.engine.program import LocalResult
from training.sums import COMPILED
from training.task import Task
from wirelessfl.protocols import Runtime
from wirelessfl.values import Delivery

CLIENTS = 10
STEPS = 40  # that a client claims to have taken
RATIO = 0.75  # of the bits: half of the filters


class Returned:
    """An executor that returns moved vectors at once, and counts the time that this takes."""

    ahead = 1

    def __init__(self):
        self.seconds = np.zeros(2)

    def train(self, works):
        for work in works:
            start = now()
            move = np.float32(1e-3 * (1 + work.client))
            vector = work.vector * (1 + move) + move
            result = LocalResult(
                vector=vector, mask=np.ones(vector.size, dtype=bool), loss=1.0, steps=STEPS
            )
            self.seconds += now() - start
            yield result

    def close(self):
        pass


def now():
    return np.array([time.perf_counter(), time.process_time()])


def whole_vectors(start, vectors, masks, weights):
    """Mean and curvature as passes of array code over the vectors of the whole model."""
    total, squares, held = np.zeros((3, start.size))
    for vector, mask, weight in zip(vectors, masks, weights, strict=True):
        rebuilt = np.where(mask, vector, start)
        total += weight * rebuilt.astype(np.float64)
        step = (rebuilt.astype(np.float64) - start) / STEPS
        squares += weight * (step * step)
        held += weight * mask
    mean = (total / sum(weights)).astype(np.float32)
    return mean, np.divide(squares, held, out=np.zeros_like(squares), where=held > 0)


def server(options):
    """Rows of part `server`: seconds of a round of ten clients of VGG16."""
    task = Task(dataset="digits", model="vgg16", image_size=32, image_channels=3, partition="iid")
    algorithm = CaHfp(task=task, learning_rate=0.1, local_steps=STEPS, momentum=0.9)
    trainer = algorithm.trainer(clients=CLIENTS, seed=0, runtime=Runtime(executor="loop"))
    executor = Returned()
    trainer._pool.executor = executor
    COMPILED.worthwhile(sys.maxsize)  # of long runs; the first rounds take array code
    state = trainer.init(0)
    work = f"ca-hfp, vgg16, {CLIENTS} clients, half of the filters"
    rng = np.random.default_rng(0)
    size = state.shared.size
    masks = [rng.random(size) < 1 - RATIO] * CLIENTS
    vectors = [state.shared + np.float32(1e-3 * k) for k in range(CLIENTS)]
    times = {"mean and curvature of whole vectors": [], "ours": []}
    repeats = 2 if options.quick else 9
    for number in range(repeats + 1):
        print(f"server: repeat {number + 1} of {repeats + 1}", file=sys.stderr, flush=True)
        start = now()
        whole_vectors(state.shared, vectors, masks, [1.0] * CLIENTS)
        times["mean and curvature of whole vectors"].append(now() - start)
        executor.seconds[:] = 0
        start = now()
        state, _ = trainer.step(state, np.full(CLIENTS, RATIO), Delivery.all(CLIENTS))
        times["ours"].append(now() - start - executor.seconds)
    medians = {
        name: [float(statistics.median(column)) for column in zip(*spent[1:], strict=True)]
        for name, spent in times.items()
    }
    base = next(iter(medians.values()))
    for name, (wall_s, cpu_s) in medians.items():
        row = TrainingRow(
            part="server", work=work, method=name, wall_s=wall_s, cpu_s=cpu_s, repeats=repeats
        )
        yield replace(row, wall_ratio=base[0] / wall_s, cpu_ratio=base[1] / cpu_s)
