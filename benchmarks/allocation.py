"""Speed and objective errors of the public allocation calls and of common alternatives.

    python benchmarks/allocation.py [--quick] [--out benchmarks/results]

"fresh problem + solve" builds an `AllocationProblem` and solves it; "solve" solves the same one
again; "solve, checked" does so as runs do, which check what an allocator returns. Peers run
interleaved on the same random instances: c ~ U(0.5, 1.5), a ~ U(0.1, 2) and s ~ U(0.02, 2) 10 / K
seconds, weights 1. Times are medians over the repeats; compilation that a peer does once (DPP,
numba) is not counted. They are seconds of the processor, to which other processes do not add: run
it with OMP_NUM_THREADS=1. `dpp_ratio` and `passes` are medians of the ratios within a repeat: of
CVXPY's DPP re-solve with Clarabel to the call, and of the call to one pass over memory that reads
four arrays and writes two. Times of batches that a peer solves one by one are extrapolated from the
stated number of problems. Errors are the worst shortfall of sum x per total weight, of bands scaled
to be feasible; values below 0 are rounding.
"""

import argparse
import csv
import importlib.metadata
import os
import platform
import sys
import time
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

# Replace the folder of this file: there `import training` would find the benchmark of that name.
sys.path[0] = str(Path(__file__).parent / "_allocation")

import matplotlib.pyplot as plt
import numpy as np
import peers
from numba import njit

from optimizers import (
    AllocationProblem,
    Exact,
    JointProblem,
    NoisePsdProblem,
    solve,
    solve_joint,
    waterfill,
)
from optimizers.cvxpy import Cvxpy
from wirelessfl.allocation import compiled
from wirelessfl.border import gate

LARGEST = {
    "DPP re-solve": 1_000,
    "CVXPY from scratch": 10_000,
    "CVXPY QP, OSQP": 10_000,
    "SLSQP": 100,
}
LARGEST["trust-constr"] = 100
_SLOW_S = 2.0  # slower methods are timed once
PACKAGES = ("numpy", "scipy", "cvxpy", "clarabel", "osqp", "numba")


@dataclass(frozen=True)
class AllocationRow:
    """One row of the table: the time of one method for `problems` problems of `clients` clients."""

    model: str
    problems: int
    clients: int
    method: str
    median_s: float
    repeats: int
    extrapolated_from: int | None
    dpp_ratio: float | None
    passes: float | None
    error: float


def instance(seed, shape):
    rng = np.random.default_rng(seed)
    scale = 10.0 / shape[-1]
    return (
        rng.uniform(0.5, 1.5, shape),
        rng.uniform(0.1, 2.0, shape),
        rng.uniform(0.02, 2.0, shape) * scale,
    )


def problem_of(c, a, s):
    return AllocationProblem(
        deadline_s=4.0, fixed_s=4.0 - c, prunable_s=a, upload_bits=s * 1e6, rate_bps=1e6
    )


@njit(cache=True)
def _stream(c, a, s, w, band, ratio):
    for row in range(c.shape[0]):
        for k in range(c.shape[1]):
            band[row, k], ratio[row, k] = c[row, k] + a[row, k], s[row, k] + w[row, k]


def one_pass(arrays):
    """A call that reads four arrays and writes two, once."""
    flat = [np.ascontiguousarray(array).reshape(-1, array.shape[-1]) for array in arrays]
    band, ratio = np.empty((2, *flat[0].shape))
    weight = np.ones_like(flat[0])

    def call():
        _stream(*flat, weight, band, ratio)
        return band.reshape(arrays[0].shape)

    return call


def methods(arrays):
    """Name -> a call that returns the bands, for arrays (K,) or (G, K)."""
    c, a, s = arrays
    problem = problem_of(*arrays)
    allocator = Exact()
    fixed_s, bits = 4.0 - c, s * 1e6
    clients = c.shape[-1]

    def fresh():
        return solve(
            AllocationProblem(
                deadline_s=4.0, fixed_s=fixed_s, prunable_s=a, upload_bits=bits, rate_bps=1e6
            )
        ).bandwidth_fraction

    calls = {
        "fresh problem + solve": fresh,
        "solve": lambda: solve(problem).bandwidth_fraction,
        "solve, checked": lambda: gate.solve(allocator, problem).bandwidth_fraction,
        "solve, NumPy": lambda: Exact(compiled=False).solve(problem).bandwidth_fraction,
        "waterfill, NumPy": lambda: waterfill(*arrays)[0],
        "bisection, 100 steps": lambda: peers.bisection(*arrays),
        "one pass over memory": one_pass(arrays),
    }
    one_by_one = {
        "CVXPY from scratch": peers.cvxpy_from_scratch,
        "DPP re-solve": peers.CvxpyResolve(clients),
    }
    one_by_one |= {
        "CVXPY QP, OSQP": peers.cvxpy_qp,
        "SLSQP": peers.slsqp,
        "trust-constr": peers.trust_constr,
    }
    for name, peer in one_by_one.items():
        if clients <= LARGEST[name]:
            calls[name] = (
                partial(_each, peer, arrays) if arrays[0].ndim > 1 else partial(peer, *arrays)
            )
    return calls


def _each(solve, arrays, count):
    return np.stack([solve(*(array[row] for array in arrays)) for row in range(count)])


def seconds(call):
    """Seconds per call, over as many calls as take 5 ms."""
    count = 1
    while True:
        start = time.process_time()
        for _ in range(count):
            call()
        spent = time.process_time() - start
        if spent > 5e-3:
            return spent / count
        count = max(2 * count, int(6e-3 / max(spent / count, 1e-9)))


def compare(model, calls, shape, repeats, error_of, extrapolated_from=None):
    """Interleaved repeats of every call.

    The first call is untimed: it compiles, and gives the error.
    """
    errors = {name: error_of(name, call()) for name, call in calls.items()}
    times = {name: [] for name in calls}
    for _ in range(repeats):
        for name, call in calls.items():
            slow = times[name] and times[name][0] > _SLOW_S
            times[name].append(times[name][0] if slow else seconds(call))
    batch = shape[0] if len(shape) > 1 else 1
    few = extrapolated_from or {}
    whole = {name: np.array(spent) * batch / few.get(name, batch) for name, spent in times.items()}

    def ratio(one, other):
        if one not in whole or other not in whole:
            return None
        return float(np.median(whole[one] / whole[other]))

    return [
        AllocationRow(
            model,
            batch,
            shape[-1],
            name,
            float(np.median(spent)),
            1 if times[name][0] > _SLOW_S else repeats,
            few.get(name),
            ratio("DPP re-solve", name),
            ratio(name, "one pass over memory"),
            errors[name],
        )
        for name, spent in whole.items()
    ]


def fixed_snr(shape, repeats, few, identical=False):
    arrays = instance(shape[-1], shape)
    if identical:
        arrays = tuple(np.full(shape, array.mean()) for array in arrays)
    calls = methods(arrays)
    one_by_one = {name: few for name in calls if name in LARGEST} if len(shape) > 1 else {}
    for name in one_by_one:
        calls[name] = partial(calls[name], few)
    best = peers.kept(*arrays, peers.scaled(calls["solve, NumPy"]())).mean(axis=-1)

    def error_of(name, band):
        if name == "one pass over memory":
            return float("nan")
        rows = slice(band.shape[0]) if len(shape) > 1 else slice(None)
        found = peers.kept(*(array[rows] for array in arrays), peers.scaled(band)).mean(axis=-1)
        return float(np.max(np.atleast_1d(best)[: np.size(found)] - found))

    model = "identical clients" if identical else "fixed SNR"
    return compare(model, calls, shape, repeats, error_of, one_by_one)


def noise_problem(clients):
    c, a, s = instance(clients, (clients,))
    snr = np.random.default_rng(clients).uniform(1.0, 100.0, clients)
    bits = s * 1e6 * np.log1p(snr) / np.log(2.0)
    return NoisePsdProblem(
        deadline_s=4.0, fixed_s=4.0 - c, prunable_s=a, upload_bits=bits, snr=snr, bandwidth_hz=1e6
    )


def noise_psd(clients, repeats):
    problem = noise_problem(clients)
    calls = {"solve": partial(solve, problem)}
    if clients <= 1_000:
        calls["CVXPY from scratch"] = partial(Cvxpy().solve, problem)
        calls["DPP re-solve"] = partial(Cvxpy(reuse=True).solve, problem)
    best = float(np.mean(1.0 - calls["solve"]().pruning_ratio))
    return compare(
        "noise PSD",
        calls,
        (clients,),
        repeats,
        lambda _, a: best - float(np.mean(1.0 - a.pruning_ratio)),
    )


def fairness(clients, repeats):
    """Proportional fairness where noise has a density; errors are of the mean of log x."""
    problem = noise_problem(clients)
    resolve = peers.FairnessResolve(problem)
    calls = {
        "solve": lambda: 1.0 - solve(problem, "proportional-fairness").pruning_ratio,
        "DPP re-solve": resolve,
    }
    best = float(np.mean(np.log(calls["solve"]())))
    return compare(
        "noise PSD, proportional fairness",
        calls,
        (clients,),
        repeats,
        lambda _, kept: best - float(np.mean(np.log(np.minimum(kept, 1.0)))),
    )


def joint(shape, repeats):
    """Band, ratios and CPU frequencies under energy budgets; errors are duality gaps."""
    rng = np.random.default_rng(shape[-1])
    problem = JointProblem(
        deadline_s=0.025,
        fixed_cycles=rng.uniform(5e6, 2e7, shape),
        prunable_cycles=rng.uniform(1e7, 6e7, shape),
        upload_bits=rng.uniform(2e6, 8e6, shape) / shape[-1],
        rate_bps=rng.uniform(5e7, 2.5e8, shape),
        power_w=rng.uniform(0.05, 0.7, shape),
        cpu_min_hz=rng.uniform(2e8, 1e9, shape),
        cpu_max_hz=rng.uniform(2e9, 4e9, shape),
        energy_budget_j=rng.uniform(0.004, 0.03, shape),
    )
    return compare(
        "joint",
        {"solve_joint": partial(solve_joint, problem)},
        shape,
        repeats,
        lambda _, a: float(np.max(a.duality_gap)) / shape[-1],
    )


def about(arguments):
    """Machine, versions and command, without names of hosts or folders."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    model = next(
        (line.split(":")[1].strip() for line in lines if line.startswith("model name")),
        platform.machine(),
    )
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in PACKAGES)
    load = os.getloadavg()[0]
    return [
        f"machine: {model}, {os.cpu_count()} cores, {platform.system()}, "
        f"load average {load:.1f} at the start",
        f"versions: Python {platform.python_version()}, {versions}",
        f"command: python benchmarks/allocation.py {' '.join(arguments)}".rstrip(),
        f"threads: OMP_NUM_THREADS={os.environ.get('OMP_NUM_THREADS', 'not set')}",
    ]


def write(rows, header, out):
    out.mkdir(parents=True, exist_ok=True)
    with (out / "allocation.csv").open("w", newline="") as file:
        file.writelines(f"# {line}\n" for line in header)
        table = csv.DictWriter(file, list(asdict(rows[0])))
        table.writeheader()
        table.writerows(asdict(row) for row in rows)
    draw(rows, out)


def draw(rows, out):
    figure, axes = plt.subplots(figsize=(9, 4.6), layout="constrained")
    alone = [row for row in rows if row.model == "fixed SNR" and row.problems == 1]
    for number, name in enumerate(dict.fromkeys(row.method for row in alone)):
        line = [(row.clients, 1e3 * row.median_s) for row in alone if row.method == name]
        style = (
            "-"
            if name.startswith(("fresh", "solve", "waterfill"))
            else ":"
            if name.startswith("one pass")
            else "--"
        )
        axes.plot(
            *zip(*line, strict=True),
            style,
            marker="osv^Dx+*"[number % 8],
            markersize=4,
            color=plt.get_cmap("tab20")(number),
            label=name,
        )
    axes.set(xscale="log", yscale="log", xlabel="clients K", ylabel="median time in ms")
    axes.grid(alpha=0.3)
    figure.legend(loc="outside right upper", fontsize=8)
    figure.savefig(out / "allocation.png", dpi=150)


def show(row):
    few = f" (from {row.extrapolated_from})" if row.extrapolated_from else ""
    size = f"{row.problems} x {row.clients}" if row.problems > 1 else str(row.clients)
    dpp = "" if row.dpp_ratio is None else f" DPP {row.dpp_ratio:9.2f}x"
    passes = "" if row.passes is None else f" passes {row.passes:8.2f}"
    print(
        f"{row.model:9} {size:>12}  {row.method:22} {1e3 * row.median_s:12.4f} ms{dpp}{passes}"
        f"  error {row.error:9.1e}{few}",
        flush=True,
    )


def main(arguments):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="fewer sizes and repeats")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    options = parser.parse_args(arguments)
    header = about(arguments)
    sizes = (
        (10, 100, 1_000, 1_000_000)
        if options.quick
        else (10, 30, 100, 300, 1_000, 10_000, 100_000, 1_000_000)
    )
    repeats, few = (3, 5) if options.quick else (15, 100)
    parts = [partial(fixed_snr, (clients,), repeats, few) for clients in sizes]
    parts += [partial(fixed_snr, (1_000, clients), repeats, few) for clients in (10, 1_000)]
    parts += [partial(fixed_snr, (100_000,), repeats, few, identical=True)]
    parts += [partial(noise_psd, clients, repeats) for clients in sizes if clients <= 100_000]
    parts += [partial(fairness, clients, repeats) for clients in (10, 100)]
    parts += [partial(joint, shape, repeats) for shape in ((10,), (1_000, 10))]
    compiled.PAYS_AFTER = 0  # compiled code from the first call, as in a long run
    rows = []
    for part in parts:
        rows += (found := part())
        for row in found:
            show(row)
    write(rows, header, options.out)
    print("\n".join(header))


if __name__ == "__main__":
    main(sys.argv[1:])
