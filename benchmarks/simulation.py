"""Client-rounds per second of the cell: events, a plain SimPy program, and the closed form.

    python benchmarks/simulation.py [--quick] [--out benchmarks/results]

All run interleaved on the same random cells: 2 MHz per client, equal bands, half of 16,560 weights
pruned. `plain all_of` is what a user would write: one process per client with a timeout for its
work and one for its upload, and a server that waits for all of them; it gives only the round's
length. `events` is `cell.simulate` with every option off, including trace and energy; `events,
every feature` has coherence blocks, packet losses, a shared band, dropouts and background load. `by
formula` is `vectorised.round_times` on a batch of rounds. Rates are medians over the repeats.
"""

import argparse
import csv
import importlib.metadata
import os
import platform
import statistics
import sys
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path

# Leave out the folder of this file: there `import training` would find the benchmark of that name.
sys.path.pop(0)

import matplotlib.pyplot as plt
import numpy as np
import simpy

from wirelessfl.allocation.allocation import Allocation
from wirelessfl.cell import cell
from wirelessfl.cell import vectorised as fast
from wirelessfl.planning import allocation_problem
from wirelessfl.rng import Streams
from wirelessfl.scenario.link import Link
from wirelessfl.scenario.medium import Medium
from wirelessfl.scenario.processor import Processor
from wirelessfl.values import ChannelState, Demand, Scenario

PACKAGES = ("numpy", "simpy")
BATCH = 1_000_000  # client-rounds of one call by formula
MOST_DISTURBED = 1_000  # clients of a round with every feature on
_LEAST_S = 0.05  # a measurement takes at least that long


@dataclass(frozen=True)
class CellRow:
    """One row of the table: client-rounds per second of one method with K clients."""

    clients: int
    method: str
    client_rounds_per_s: float
    repeats: int
    rounds_per_call: int
    ratio: float  # over the plain program


def case(clients, seed=0):
    """A scenario of different clients, its demand, and the gains of a batch of rounds, (R, K)."""
    rng = np.random.default_rng(seed)
    scenario = Scenario(
        clients=clients,
        bandwidth_hz=2e6 * clients,
        cpu_hz=rng.uniform(1e9, 3e9, clients),
        cycles_per_weight=rng.uniform(100, 400, clients),
    )
    demand = Demand.same_for_all(
        clients,
        fixed_updates=26_400,
        prunable_updates=82_800,
        fixed_upload_bits=0,
        prunable_upload_bits=529_920,
    )
    return scenario, demand, 10 ** rng.uniform(-12, -11, (max(BATCH // clients, 4), clients))


def with_every_feature(scenario):
    return replace(
        scenario,
        link=Link(packet_error="waterfall", waterfall_threshold=10.0),
        processor=Processor(cpu="loaded"),
        medium=Medium(bands="work-conserving", coherence_s=5e-3, dropout_probability=0.01),
    )


def plain_all_of(scenario, demand, gain, band, ratio):
    """The round as a textbook SimPy program."""
    kept = 1 - ratio
    updates = demand.fixed_updates + kept * demand.prunable_updates
    work_s = (
        scenario.per_client("cycles_per_weight") * updates / scenario.per_client("cpu_hz")
    ).tolist()
    bits = demand.fixed_upload_bits + kept * demand.prunable_upload_bits
    snr = gain * scenario.per_client("transmit_power_w") / scenario.noise_power_w
    upload_s = (bits / (band * scenario.bandwidth_hz * np.log1p(snr) / np.log(2))).tolist()
    env = simpy.Environment()

    def client(k):
        yield env.timeout(work_s[k])
        yield env.timeout(upload_s[k])

    def server():
        yield env.all_of([env.process(client(k)) for k in range(len(work_s))])
        return env.now

    done = env.process(server())
    env.run()
    return done.value


def methods(clients):
    """Name -> (a call, how many rounds it is)."""
    scenario, demand, gains = case(clients)
    band = np.full(clients, 1 / clients)
    ratio = np.full(clients, 0.5)
    blocks = 10 ** np.random.default_rng(1).uniform(-12, -11, (64, clients))
    blocks[0] = gains[0]
    channel = ChannelState(
        gain=gains[0], believed_gain=gains[0], block_gain=lambda block: blocks[block % 64]
    )
    allocation = Allocation(
        problem=allocation_problem(scenario, channel, demand),
        bandwidth_fraction=band,
        pruning_ratio=ratio,
        bandwidth_price=np.zeros(()),
        deadline_price=np.zeros(()),
    )
    calls = {
        "plain all_of": (lambda: plain_all_of(scenario, demand, gains[0], band, ratio), 1),
        "events": (lambda: cell.simulate(scenario, channel, demand, allocation).round_s, 1),
        "by formula": (
            lambda: fast.round_times(scenario, gains, demand, band, ratio).round_s[0],
            len(gains),
        ),
    }
    answers = [call() for call, _ in calls.values()]
    np.testing.assert_allclose(answers, answers[0], rtol=1e-12)
    if clients <= MOST_DISTURBED:
        disturbed = with_every_feature(scenario)
        streams = Streams(0)
        every = (lambda: cell.simulate(disturbed, channel, demand, allocation, streams=streams), 1)
        calls["events, every feature"] = every
    return calls


def seconds(call):
    """Seconds per call, over as many calls as take a while."""
    count = 0
    start = time.perf_counter()
    while (spent := time.perf_counter() - start) < _LEAST_S:
        call()
        count += 1
    return spent / count


def measure(clients, repeats):
    """Interleaved repeats of every method; each has run once before, untimed."""
    calls = methods(clients)
    times = {name: [] for name in calls}
    for _ in range(repeats):
        for name, (call, _) in calls.items():
            times[name].append(seconds(call))
    speed = {
        name: clients * calls[name][1] / statistics.median(spent) for name, spent in times.items()
    }
    return [
        CellRow(clients, name, rate, repeats, calls[name][1], rate / speed["plain all_of"])
        for name, rate in speed.items()
    ]


def about(arguments):
    """Machine, versions and command, without names of hosts or folders."""
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in PACKAGES)
    return [
        f"machine: {os.cpu_count()} cores, {platform.system()}, "
        f"load average {os.getloadavg()[0]:.1f} at the start",
        f"versions: Python {platform.python_version()}, {versions}",
        f"command: python benchmarks/simulation.py {' '.join(arguments)}".rstrip(),
        f"threads: OMP_NUM_THREADS={os.environ.get('OMP_NUM_THREADS', 'not set')}",
    ]


def write(rows, header, out):
    out.mkdir(parents=True, exist_ok=True)
    with (out / "simulation.csv").open("w", newline="") as file:
        file.writelines(f"# {line}\n" for line in header)
        table = csv.DictWriter(file, list(asdict(rows[0])))
        table.writeheader()
        table.writerows(asdict(row) for row in rows)
    draw(rows, out)


def draw(rows, out):
    figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
    for number, name in enumerate(dict.fromkeys(row.method for row in rows)):
        line = [(row.clients, row.client_rounds_per_s) for row in rows if row.method == name]
        axes.plot(*zip(*line, strict=True), "-" + "osv^"[number], color=f"C{number}", label=name)
    axes.set(xscale="log", yscale="log", xlabel="clients K", ylabel="client-rounds per second")
    axes.grid(alpha=0.3)
    figure.legend(loc="outside right upper", fontsize=8)
    figure.savefig(out / "simulation.png", dpi=150)
    plt.close(figure)


def show(row):
    print(
        f"{row.clients:7}  {row.method:22} {row.client_rounds_per_s:14,.0f} /s {row.ratio:9.2f}x",
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
    rows = []
    for clients in (10, 100) if options.quick else (10, 100, 1_000, 10_000, 100_000):
        rows += (found := measure(clients, 3 if options.quick or clients > 10_000 else 11))
        for row in found:
            show(row)
    write(rows, header, options.out)
    print("\n".join(header))


if __name__ == "__main__":
    main(sys.argv[1:])
