"""Command line of a campaign: cases by seed and number until the time is over."""

import argparse
import os
import random
import shutil
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from campaign.forks import import_all


@dataclass(frozen=True)
class Case:
    """One case of a campaign, a function of seed and number alone.

    Attributes:
        seed: Seed of the campaign.
        number: Number of the case.
        folder: Empty working directory.
        counts: Counts of the whole campaign by name.
    """

    seed: int
    number: int
    folder: Path
    counts: Counter[str]
    chance: random.Random = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "chance", random.Random(f"{self.seed} {self.number}"))

    def count(self, name: str) -> None:
        """Count something that was tried."""
        self.counts[name] += 1


Kind = Callable[[Case], str]


def campaign(name: str, kinds: Mapping[Kind, int]) -> int:
    """Run the cases that the command line asks for.

    Args:
        name: Name of the campaign.
        kinds: Kinds of cases with their weights.

    Returns:
        Exit status: 0 where nothing was found.
    """
    parser = argparse.ArgumentParser(prog=f"python -m campaign.{name}")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--case", type=int, help="run this case alone, again")
    parser.add_argument("--kind", choices=[kind.__name__ for kind in kinds])
    asked = parser.parse_args()
    chosen = {k: w for k, w in kinds.items() if asked.kind in (None, k.__name__)}
    import_all()
    counts: Counter[str] = Counter()
    failures: list[str] = []
    began = time.monotonic()
    number = asked.case or 0
    while asked.case is not None or time.monotonic() - began < asked.seconds:
        failure = _run(asked.seed, number, chosen, counts)
        if failure:
            again = f"--seed {asked.seed} --case {number}"
            again += f" --kind {asked.kind}" if asked.kind else ""
            print(f"FAILED {name} {again}: {failure}", flush=True)
            failures.append(again)
        if asked.case is not None:
            break
        number += 1
    spent_s = time.monotonic() - began
    print(f"{name}: seed {asked.seed}, {spent_s:.0f} s, {sum_of(counts)}, {len(failures)} failures")
    for again in failures:
        print(f"  again: python -m campaign.{name} {again}")
    return 1 if failures else 0


def sum_of(counts: Counter[str]) -> str:
    """Counts in one line."""
    return ", ".join(f"{count} {name}" for name, count in sorted(counts.items()))


def _run(seed: int, number: int, kinds: Mapping[Kind, int], counts: Counter[str]) -> str | None:
    """Description of the failure of a case; None where it holds."""
    folder = Path(tempfile.mkdtemp(prefix="campaign-"))
    here = os.getcwd()
    case = Case(seed, number, folder, counts)
    (kind,) = case.chance.choices(list(kinds), list(kinds.values()))
    counts["cases"] += 1
    try:
        kind(case)
    except AssertionError as error:
        return f"{kind.__name__}: {error}"
    except Exception:
        return f"{kind.__name__}: {traceback.format_exc()}"
    finally:
        os.chdir(here)
        shutil.rmtree(folder, ignore_errors=True)
    return None
