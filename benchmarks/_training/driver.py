"""The command line of the training benchmark."""

import argparse
import importlib.metadata
import os
import platform
import sys
import time
from pathlib import Path

import torch
from agents import agents
from environments import PACKAGES, AbsentError, default_cache, environment
from report import merge, show, targets, write
from rounds import CORES, WORKS, overhead, rounds
from server import server
from sparse import masks, topk

PARTS = {
    "rounds": rounds,
    "overhead": overhead,
    "server": server,
    "masks": masks,
    "topk": topk,
    "agents": agents,
}
PEERS = ("naive", "lean", "best", "flower", "pfl")
VERSIONS = ("numpy", "torch", "torchvision")


def names(known):
    """Turns a list with commas into a tuple of `known` names."""

    def parse(text):
        chosen = tuple(name for name in text.split(",") if name)
        unknown = [name for name in chosen if name not in known]
        if unknown:
            raise argparse.ArgumentTypeError(f"must be of {', '.join(known)}, got {unknown[0]!r}")
        return chosen

    return parse


def about(arguments, options, part, started):
    """Circumstances of a part, without names of hosts or folders."""
    versions = {name: importlib.metadata.version(name) for name in VERSIONS}
    for peer in options.peers if part in ("rounds", "overhead") else ():
        if peer in PACKAGES:
            try:
                versions |= environment(peer, options.cache)[1]
            except AbsentError:
                versions[peer] = "absent"
    return {
        "command": f"python benchmarks/training.py {' '.join(_without_paths(arguments))}".rstrip(),
        "device": options.device
        if options.device == "cpu"
        else torch.cuda.get_device_name(options.device),
        "machine": f"{_processor()}, {CORES} cores, {platform.system()}",
        "load": f"{os.getloadavg()[0]:.1f} at the end, {started:.1f} at the start",
        "versions": ", ".join(
            f"{name} {version}"
            for name, version in ({"Python": platform.python_version()} | versions).items()
        ),
        "data": "Fashion-MNIST" if options.data_root else "random",
    }


def _without_paths(arguments):
    """The arguments with FOLDER for every path."""
    pairs = zip(["", *arguments], arguments, strict=False)
    return [
        "FOLDER" if before in ("--data-root", "--cache", "--out") else argument
        for before, argument in pairs
    ]


def _processor():
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    return next(
        (line.split(":")[1].strip() for line in lines if line.startswith("model name")),
        platform.machine(),
    )


def main(arguments, description):
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="smaller works, fewer repeats")
    parser.add_argument(
        "--parts", type=names(PARTS), default=tuple(PARTS), help=f"some of {','.join(PARTS)}"
    )
    parser.add_argument(
        "--peers", type=names(PEERS), default=PEERS, help=f"some of {','.join(PEERS)}"
    )
    parser.add_argument(
        "--works",
        type=names(WORKS),
        default=tuple(WORKS),
        help=f"works of part rounds, some of {','.join(WORKS)}",
    )
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument(
        "--data-root", type=Path, help="folder of Fashion-MNIST; random images without it"
    )
    parser.add_argument(
        "--cache", type=Path, default=default_cache(), help="folder for the peers' environments"
    )
    parser.add_argument("--out", type=Path, default=Path(__file__).parent.parent / "results")
    options = parser.parse_args(arguments)
    start = time.perf_counter()
    rows = []
    for part in options.parts:
        load = os.getloadavg()[0]
        found = []
        for row in PARTS[part](options):
            show(row)
            found.append(row)
        some = part == "rounds" and len(options.works) < len(WORKS)
        key = f"{part} of {', '.join(options.works)}" if some else part
        rows, known = merge(found, {key: about(arguments, options, part, load)}, options.out)
        write(rows, known, targets(rows, options.device), options.out)
    for target in targets(rows, options.device):
        print(target)
    if options.quick:
        print("quick: works too small, rounds too few to judge targets by")
    print(f"{time.perf_counter() - start:.0f} s in all", file=sys.stderr)
