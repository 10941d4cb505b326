"""Parts `rounds` and `overhead`: seconds per round by every method, with training and without."""

import os
import tempfile
from dataclasses import replace
from pathlib import Path

from prepare import prepare
from processes import TimedMethod, compare
from report import TrainingRow, peak_note
from work import Work

from training.executors import EXECUTORS

CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
PEERS_WORK = Work(model="cnn", clients=10, samples=600, batch_size=128)  # of all peers
# Work and repeats by the name that --works takes.
WORKS = {
    "cnn": (PEERS_WORK, 5),
    "cnn-32": (Work(model="cnn", clients=10, samples=128, batch_size=32, learning_rate=0.05), 9),
    "resnet20": (
        Work(model="resnet20", clients=4, samples=64, batch_size=32, learning_rate=0.05),
        9,
    ),
    "digits-cnn": (
        Work(model="digits-cnn", clients=10, samples=256, batch_size=32, learning_rate=0.05),
        25,
    ),
    "mlp": (Work(model="mlp", clients=10, samples=256, batch_size=32, learning_rate=0.05), 25),
    "logistic": (
        Work(model="logistic", clients=10, samples=256, batch_size=32, learning_rate=0.05),
        51,
    ),
}
QUICK_WORKS = {
    "cnn": (replace(PEERS_WORK, clients=4, samples=200), 2),
    "resnet20": (replace(WORKS["resnet20"][0], clients=2), 2),
    "digits-cnn": (WORKS["digits-cnn"][0], 5),
    "mlp": (WORKS["mlp"][0], 5),
    "logistic": (WORKS["logistic"][0], 5),
}
CUDA_CLIENTS = (10, 50, 100, 500)
CUDA_PEER_CLIENTS = 100  # more would take minutes
MOST_COPIES = 100  # clients of a method that holds all their models, 6.7 MB each
CIFAR = tuple(
    Work(model=m, clients=10, samples=5_000, batch_size=128) for m in ("vgg16", "resnet32")
)

FLOWER = TimedMethod(f"Flower, {CORES} actors", "peer_flower.py", "flower", CORES, peer="flower")
PFL = TimedMethod("pfl", "peer_pfl.py", "pfl", peer="pfl")


def loops(options, *, pil=True):
    """The common loops, with all cores and with one thread."""
    found = []
    if "naive" in options.peers:
        found += [
            TimedMethod(f"naive, tensors, {CORES} threads", "loops.py", "naive-tensors", CORES)
        ]
        found += [TimedMethod("naive, tensors, 1 thread", "loops.py", "naive-tensors")]
        found += (
            [TimedMethod(f"naive, PIL, {CORES} threads", "loops.py", "naive-pil", CORES)]
            if pil
            else []
        )
    if "lean" in options.peers:
        found += [
            TimedMethod(f"lean, {CORES} threads", "loops.py", "lean", CORES),
            TimedMethod("lean, 1 thread", "loops.py", "lean"),
        ]
    if "best" in options.peers:
        found += [TimedMethod("best plain loop, 1 thread", "loops.py", "best")]
    return found


def ours(*executors, precision="float32"):
    """This toolkit by those of the given executors that exist."""
    label = "" if precision == "float32" else f", {precision}"
    return [
        TimedMethod(
            f"ours, {name}{label}",
            "ours.py",
            name,
            CORES if name == "workers" else 1,
            precision=precision,
        )
        for name in executors
        if name in EXECUTORS
    ]


def compiled():
    """This toolkit by compiled steps, in one process and in one for each core."""
    return [
        TimedMethod("ours, compiled", "ours.py", "compiled"),
        TimedMethod(f"ours, compiled, {CORES} processes", "ours.py", "compiled", CORES),
    ]


def peers(options):
    return [method for method in (FLOWER, PFL) if method.peer in options.peers]


def rounds(options):
    """Rows of part `rounds`."""
    with tempfile.TemporaryDirectory() as folder:
        if options.device != "cpu":
            yield from _cuda(options, Path(folder))
            return
        works = QUICK_WORKS if options.quick else WORKS
        for work, repeats in (works[name] for name in options.works if name in works):
            methods = loops(options, pil=work.model not in ("resnet20", "digits-cnn"))
            methods += ours("loop", "workers", "stacked")
            if work.model in ("mlp", "logistic"):
                methods += compiled()
            if work.model == "cnn" and work.batch_size == PEERS_WORK.batch_size:
                methods += peers(options)
            file = prepare(work, repeats + 1, Path(folder), options.data_root)
            yield from compare("rounds", work, methods, file, options, repeats=repeats)


def _cuda(options, folder):
    """Many small clients stacked, and CIFAR-10 rounds against the arithmetic limit."""
    repeats = 2 if options.quick else 7
    for clients in CUDA_CLIENTS[: 2 if options.quick else None]:
        for model, samples in (("logistic", 256), ("mlp", 256), ("cnn", 128)):
            work = Work(
                model=model, clients=clients, samples=samples, batch_size=32, learning_rate=0.05
            )
            methods = loops(options, pil=False) if clients <= CUDA_PEER_CLIENTS else []
            methods += ours("loop", "stacked", "graph")
            file = prepare(work, repeats + 1, folder, options.data_root)
            yield from compare("rounds", work, methods, file, options, repeats=repeats)
    for work in CIFAR:
        methods = ours("loop", "graph") + ours("loop", "graph", precision="bfloat16")
        file = prepare(work, 4, folder, options.data_root)
        for row in compare("rounds", work, methods, file, options, repeats=3):
            yield replace(row, note=row.note or peak_note(work, row))


def holds_copies(method):
    """True if the models of all clients are in memory at once."""
    return method.peer == "flower" or method.method.startswith("naive")


def overhead(options):
    """Rows of part `overhead`: the messages of the CNN's round and no training."""
    with tempfile.TemporaryDirectory() as folder:
        for clients in (10, 100) if options.quick else (10, 100, 1_000):
            work = replace(PEERS_WORK, clients=clients, samples=1, batch_size=1)
            methods = ours("auto")
            methods += [
                method for method in loops(options, pil=False) if method.threads == 1
            ] + peers(options)
            if clients > MOST_COPIES:
                for method in methods:
                    if holds_copies(method):
                        note = f"left out: holds {clients} models of 6.7 MB, more than once"
                        yield TrainingRow(
                            part="overhead", work=str(work), method=method.name, note=note
                        )
                methods = [method for method in methods if not holds_copies(method)]
            repeats = 1 if clients > 100 or options.quick else 5
            file = prepare(work, repeats + 1, Path(folder))
            yield from compare(
                "overhead",
                work,
                methods,
                file,
                options,
                repeats=repeats,
                empty=True,
                warm_up=clients <= 100,
            )
