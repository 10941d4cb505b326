"""Faults: killed runs of every family and executor, full disks, dying workers and ranks, rivals.

`python -m campaign.faults --seconds 60 --seed 1` runs cases until the time is over; a failure is
named by its seed and number, and `--case NUMBER` runs it again.
"""

import atexit
import contextlib
import hashlib
import json
import os
import random
import resource
import shutil
import signal
import socket
import sys
import tempfile
import time
from functools import cache, partial
from pathlib import Path

from campaign.cli import Case, campaign
from campaign.forks import HUNG, Fork, Outcome, run
from wirelessfl.records.run_folder import LOCK

COMMON = (
    "--set",
    "scenario.clients=4",
    "--set",
    "scenario.deadline_s=0.1",
    "--set",
    "training.dataset=digits",
)
SMALL = ("--set", "training.train_samples=120", "--set", "training.test_samples=60")
FAMILIES = (
    "fedalt",
    "fedavg",
    "fedprox",
    "prunefl",
    "ca-hfp",
    "fedmp",
    "dapperfl",
    "dsgd",
    "mce-pl",
    "lottery-dsgd",
    "dis-pfl",
    "ind-weipru",
    "scaffold",
    "sparse-proxskip",
)
PEERS = ("dsgd", "mce-pl", "lottery-dsgd", "dis-pfl", "ind-weipru")
EXECUTORS = ("loop", "loop", "loop", "stacked", "workers")
POLICIES = ("wait", "drop", "late-next-round")
LIMIT_S = 240.0
AGENT_S = 30.0  # after which the launcher ends the other processes


def arguments_of(chance: random.Random) -> tuple[list[object], str]:
    """Arguments of a run without its folder, and their short description."""
    family = chance.choice(FAMILIES)
    executor = chance.choice(EXECUTORS)
    policy = "wait" if family in ("scaffold", "sparse-proxskip") else chance.choice(POLICIES)
    settings = {
        "training.algorithm": family,
        "scenario.deadline_policy": policy,
        "run.checkpoint_every": 2,
        "run.eval_every": 3,
        "run.rounds": 9,
        "run.executor": executor,
    }
    if family in PEERS:
        settings |= {"channel.model": "peer-to-peer"}
    if family not in ("fedalt", "prunefl", "ca-hfp", "fedmp", "dapperfl"):
        settings |= {"allocation.method": "min-latency"}
    if executor == "workers":
        settings |= {"run.workers": 2}
    options = [part for name, value in settings.items() for part in ("--set", f"{name}={value}")]
    return ["run", "digits", *COMMON, *SMALL, *options], f"{family}/{executor}/{policy}"


def whole_run(arguments: list[object], folder: Path) -> bytes:
    """Records of the uninterrupted run; its folder is kept for cases with the same arguments."""
    kept = _kept_folder() / hashlib.sha256(repr(arguments).encode()).hexdigest()
    if not kept.exists():
        ended = run(*arguments, "--out", kept, folder=folder, limit_s=LIMIT_S)
        assert ended.status == 0, f"whole run: {ended}"
    shutil.copytree(kept, folder / "whole")
    return (folder / "whole" / "rounds.jsonl").read_bytes()


@cache
def _kept_folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="campaign-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def finish(arguments: list[object], folder: Path, out: str = "run") -> None:
    """Resume the run in `out` to its end."""
    ended = run(*arguments, "--out", out, "--resume", folder=folder, limit_s=LIMIT_S)
    assert ended.status == 0, f"resume: {ended}"


def check_same(folder: Path, whole: bytes, out: str = "run") -> None:
    """The records are those of the whole run, and nothing temporary is left."""
    path = folder / out
    assert (path / "rounds.jsonl").read_bytes() == whole, "other records than the whole run"
    ours, theirs = (
        json.loads((folder / one / "summary.json").read_text()) for one in (out, "whole")
    )
    assert ours == theirs, "another summary than the whole run"
    left = hidden_files(path)
    assert not left, f"left behind: {left}"


def hidden_files(folder: Path) -> list[str]:
    """Hidden files at any depth, without the locks of run folders, which stay."""
    return [file.name for file in folder.rglob(".*") if file.name != LOCK]


def recorded(folder: Path, out: str = "run") -> int:
    """Number of complete lines so far."""
    file = folder / out / "rounds.jsonl"
    return file.read_bytes().count(b"\n") if file.exists() else 0


def wait_for(done: "partial[bool]", fork: Fork, limit_s: float = LIMIT_S) -> None:
    """Wait until a condition holds or the process has ended."""
    deadline = time.monotonic() + limit_s
    while not done() and fork.poll() is None and time.monotonic() < deadline:
        time.sleep(0.0005)


def kills(case: Case) -> str:
    """Kill a run several times at any moment, and complete it."""
    arguments, name = arguments_of(case.chance)
    whole = whole_run(arguments, case.folder)
    total = whole.count(b"\n")
    for number in range(case.chance.choice((1, 2, 4))):
        resume = ("--resume",) if number else ()
        fork = Fork((*arguments, "--out", "run", *resume), case.folder).start()
        target = case.chance.randrange(total)
        wait_for(partial(lambda target: recorded(case.folder) >= target, target), fork)
        time.sleep(case.chance.expovariate(40))
        fork.kill()
        fork.wait()
        case.count("kills")
        case.count(f"kills {name.split('/')[0]}")
        case.count(f"kills by executor {name.split('/')[1]}")
        if not (case.folder / "run").exists():
            break
    finish(arguments, case.folder)
    check_same(case.folder, whole)
    return f"kills {name}"


def interrupts(case: Case) -> str:
    """Stop a run by Ctrl-C at any moment: one line, and a run that goes on."""
    arguments, name = arguments_of(case.chance)
    whole = whole_run(arguments, case.folder)
    fork = Fork((*arguments, "--out", "run"), case.folder).start()
    time.sleep(case.chance.uniform(0.0, 1.0))
    fork.kill(signal.SIGINT)
    ended = fork.wait(LIMIT_S)
    if ended.status != 0:
        assert ended.status == 130, ended
        assert len(ended.error_lines) == 1, ended
        assert ended.error_lines[0].startswith("error: stopped"), ended
    case.count("interrupts")
    finish(arguments, case.folder)
    check_same(case.folder, whole)
    return f"interrupt {name}"


def full_disk(case: Case) -> str:
    """Limit the size of files: one line that names the file, and a run that goes on."""
    arguments, name = arguments_of(case.chance)
    whole = whole_run(arguments, case.folder)
    largest = max(file.stat().st_size for file in (case.folder / "whole").rglob("*.*"))
    limit = case.chance.choice((100, 1000, 5000, len(whole) // 2, largest - 1))

    def prepare() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    ended = run(*arguments, "--out", "run", folder=case.folder, limit_s=LIMIT_S, prepare=prepare)
    case.count("full disks")
    if ended.status != 0:
        check_refusal(ended, "File too large")
        path = case.folder / "run"
        assert not path.exists() or recorded(case.folder), f"an empty folder stays: {ended}"
        hidden = hidden_files(case.folder)
        assert not hidden, f"left behind: {hidden}"
    finish(arguments, case.folder)
    check_same(case.folder, whole)
    return f"full disk at {limit} bytes, {name}"


def check_refusal(ended: Outcome, *words: str) -> None:
    """One line with exit status 2."""
    assert ended.status == 2, ended
    assert len(ended.error_lines) == 1, ended
    assert ended.error_lines[0].startswith("error: "), ended
    for word in words:
        assert word in ended.error_lines[0], ended


def dying_worker(case: Case) -> str:
    """Kill a worker process of a run: one line, and a run that goes on."""
    arguments, name = arguments_of(case.chance)
    arguments += ["--set", "run.executor=workers", "--set", "run.workers=2"]
    whole = whole_run(arguments, case.folder)
    fork = Fork((*arguments, "--out", "run"), case.folder).start()
    target = case.chance.randrange(whole.count(b"\n"))
    wait_for(partial(lambda: recorded(case.folder) >= target and bool(children(fork.pid))), fork)
    for child in children(fork.pid)[:1]:
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
    ended = fork.wait(LIMIT_S)
    case.count("dying workers")
    if ended.status != 0:
        check_refusal(ended, "worker")
    finish(arguments, case.folder)
    check_same(case.folder, whole)
    return f"dying worker {name}"


def children(pid: int) -> list[int]:
    """Processes that a process has started (Linux)."""
    try:
        text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    except OSError:
        return []
    return [int(word) for word in text.split()]


def two_writers(case: Case) -> str:
    """Start two processes on one folder: both end well or one is refused, and bytes are whole."""
    arguments, name = arguments_of(case.chance)
    whole = whole_run(arguments, case.folder)
    forks = []
    for _ in range(2):
        forks.append(Fork((*arguments, "--out", "run", "--resume"), case.folder).start())
        time.sleep(case.chance.choice((0.0, 0.0, 0.2)))
    for ended in [fork.wait(LIMIT_S) for fork in forks]:
        if ended.status != 0:
            check_refusal(ended)
    case.count("two writers")
    finish(arguments, case.folder)
    check_same(case.folder, whole)
    return f"two writers {name}"


def dying_rank(case: Case) -> str:
    """Kill one process of a distributed run: the other ends with one line, and the run goes on."""
    arguments, name = arguments_of(case.chance)
    arguments += ["--set", "run.executor=loop"]
    whole = whole_run(arguments, case.folder)
    for out in (("--out", "run"), ("--out", "run", "--resume")):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        forks = [
            Fork(
                (*arguments, *out),
                case.folder,
                {
                    "RANK": str(rank),
                    "LOCAL_RANK": str(rank),
                    "WORLD_SIZE": "2",
                    "MASTER_ADDR": "127.0.0.1",
                    "MASTER_PORT": str(port),
                },
            ).start()
            for rank in range(2)
        ]
        target = case.chance.randrange(whole.count(b"\n"))
        wait_for(partial(lambda target: recorded(case.folder) >= target, target), forks[0])
        victim = case.chance.randrange(2)
        forks[victim].kill()
        ended = [fork.wait(AGENT_S) for fork in forks]  # torchrun ends the others, too
        case.count("dying ranks")
        assert ended[1 - victim].status in (0, 2, HUNG), ended
        if victim == 1 and ended[0].status == 2:
            check_refusal(ended[0])
        if not (case.folder / "run").exists():
            break
    finish(arguments, case.folder)
    check_same(case.folder, whole)
    return f"dying rank {victim}, {name}"


KINDS = {
    kills: 12,
    interrupts: 2,
    full_disk: 2,
    two_writers: 2,
    dying_worker: 1,
    dying_rank: 1,
}


if __name__ == "__main__":
    sys.exit(campaign("faults", KINDS))
