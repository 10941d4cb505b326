"""Cases of the convex benchmark, their measurement, and the results as table and figure."""

import argparse
import csv
import importlib.metadata
import os
import platform
import statistics
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch
from loops import autograd_round, forms

from training.convex.factory import full_gradients
from training.sparsity.prox import SoftThreshold, TopK
from training.task import Task

PACKAGES = ("numpy", "torch")
PROXES = {"none": None, "top-k": TopK(28), "soft threshold": SoftThreshold(20.0)}
STEPS = {"none": (1, 10, 100), "top-k": (10, 100), "soft threshold": (10,)}
RUNS = (1, 8, 32)


@dataclass(frozen=True)
class GradientRow:
    """One row of the table."""

    task: str
    prox: str
    method: str
    precision: str
    runs: int
    steps: int  # of a round
    cpu_ms: float  # per run and step of all clients
    wall_ms: float
    repeats: int
    speedup: float  # by cpu_ms over the autograd loop with the same prox


@dataclass(frozen=True)
class GradientCase:
    """One case to measure."""

    task: str
    prox: str
    method: str
    precision: str
    runs: int
    steps: int
    call: object


def stacked(task, gradients, prox, runs, steps, rate):
    rng = np.random.default_rng(0)
    start = (0.1 * rng.normal(size=(runs, gradients.size))).astype(gradients.dtype)
    control = rng.normal(size=(runs, gradients.clients, gradients.size)).astype(gradients.dtype)
    settings = {"rate": np.full(runs, rate), "steps": np.full(runs, steps), "prox": PROXES[prox]}
    name = f"stack of {runs}"
    return GradientCase(
        task,
        prox,
        name,
        str(gradients.dtype),
        runs,
        steps,
        lambda: gradients.local_steps(start, control, **settings),
    )


def loop(task, data, model, prox, steps, rate):
    """One run by autograd, from the start of the first run of a stack."""
    gradients = full_gradients(data, model)
    reference = stacked(task, gradients, prox, 1, steps, rate)
    call = autograd_round(data, model, PROXES[prox], steps, rate)
    made = call()
    wanted = reference.call()[0]
    error = np.abs(made - wanted).max() / np.abs(wanted).max()
    assert error < 1e-9, f"{prox}: the loop and the stack differ by {error:g}"
    return GradientCase(task, prox, "autograd loop", "float64", 1, steps, call)


def cases(root, quick):
    """Every case; float64 is what trainers use."""
    data = Task(dataset="blogfeedback", model="linear", partition="natural").load(
        clients=554, seed=0, data_root=root
    )
    made = []
    for precision in ("float64", "float32"):
        gradients = full_gradients(data, "linear", precision=precision)
        made += [
            stacked("ridge", gradients, prox, runs, steps, 4e-5)
            for prox, lengths in STEPS.items()
            for steps in lengths
            for runs in ((32,) if quick else RUNS)
        ]
        made += [
            GradientCase("ridge", "one gradient", name, precision, 32, 1, call)
            for name, call in forms(data, 32, np.dtype(precision)).items()
        ]
    made += [loop("ridge", data, "linear", prox, 2, 4e-5) for prox in PROXES]
    if not quick:
        task = Task(dataset="qmnist-writers", model="logistic", partition="natural")
        writers = task.load(clients=100, seed=0, data_root=root)
        gradients = full_gradients(writers, "logistic", precision="float64")
        made += [stacked("logistic", gradients, "none", runs, 10, 0.01) for runs in RUNS[:2]]
        made += [
            stacked("logistic", gradients, "top-k", 8, 2, 0.01),
            loop("logistic", writers, "logistic", "none", 2, 0.01),
        ]
    return made


def measure(made, repeats):
    """Interleaved repeats of every case, each after one untimed."""
    times = [[] for _ in made]
    for repeat in range(repeats + 1):
        for case, spent in zip(made, times, strict=True):
            cpu = time.process_time()
            wall = time.perf_counter()
            case.call()
            if repeat:
                spent.append((time.process_time() - cpu, time.perf_counter() - wall))
    medians = [
        [
            1e3 * statistics.median(column) / (case.runs * case.steps)
            for column in zip(*spent, strict=True)
        ]
        for case, spent in zip(made, times, strict=True)
    ]
    loops = {
        (case.task, case.prox): cpu
        for case, (cpu, _) in zip(made, medians, strict=True)
        if "loop" in case.method
    }
    rows = []
    for case, (cpu, wall) in zip(made, medians, strict=True):
        peer = loops.get((case.task, case.prox), loops[case.task, "none"])
        settings = (case.task, case.prox, case.method, case.precision, case.runs, case.steps)
        rows.append(GradientRow(*settings, cpu, wall, repeats, peer / cpu))
    return rows


def about(arguments):
    """Machine, versions and command, without names of hosts or folders."""
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in PACKAGES)
    shown = [
        value
        for value, before in zip(arguments, ["", *arguments], strict=False)
        if before != "--data-root"
    ]
    command = " ".join("--data-root FOLDER" if value == "--data-root" else value for value in shown)
    return [
        f"machine: {os.cpu_count()} cores, {platform.system()}, "
        f"load average {os.getloadavg()[0]:.1f} at the start",
        f"versions: Python {platform.python_version()}, {versions}",
        f"command: python benchmarks/convex.py {command}".rstrip(),
        f"threads: OMP_NUM_THREADS={os.environ.get('OMP_NUM_THREADS', 'not set')}",
    ]


def write(rows, header, out):
    out.mkdir(parents=True, exist_ok=True)
    with (out / "convex.csv").open("w", newline="") as file:
        file.writelines(f"# {line}\n" for line in header)
        table = csv.DictWriter(file, list(asdict(rows[0])))
        table.writeheader()
        table.writerows(asdict(row) for row in rows)
    figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
    shown = [row for row in rows if row.task == "ridge" and row.steps in (2, 10)]
    for number, prox in enumerate(PROXES):
        for style, precision in (("-o", "float64"), ("--s", "float32")):
            line = sorted(
                (row.runs, row.cpu_ms)
                for row in shown
                if (row.prox, row.precision) == (prox, precision) and row.method.startswith("stack")
            )
            label = f"{prox}, {precision}"
            axes.plot(*zip(*line, strict=True), style, color=f"C{number}", label=label)
        peer = next(
            row.cpu_ms for row in shown if row.prox == prox and row.method == "autograd loop"
        )
        axes.axhline(peer, color=f"C{number}", linestyle=":", label=f"{prox}, autograd loop")
    axes.set(
        xscale="log",
        yscale="log",
        xlabel="runs in a stack",
        ylabel="ms per run and local step of 554 clients",
    )
    axes.grid(alpha=0.3)
    figure.legend(loc="outside right upper", fontsize=8)
    figure.savefig(out / "convex.png", dpi=150)
    plt.close(figure)


def main(arguments, description):
    """Measure, show and write."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data-root", type=Path, required=True)
    parser.add_argument(
        "--quick", action="store_true", help="stacks of 32 alone, no logistic regression"
    )
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--out", type=Path, default=Path(__file__).parents[1] / "results")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    header = about(arguments)
    rows = measure(cases(options.data_root, options.quick), options.repeats)
    for row in rows:
        print(
            f"{row.task:9} {row.prox:15} {row.method:14} {row.precision} {row.steps:4} steps "
            f"{row.cpu_ms:9.4f} ms cpu {row.wall_ms:9.4f} ms wall {row.speedup:9.1f}x"
        )
    write(rows, header, options.out)
    print("\n".join(header))
