"""Networks, data, schemes and reported columns of the studies of [CA-HFP]."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from studies.report.one_run.run import Run
from studies.report.results import Sample, over_seeds
from wirelessfl.config.scenario_file import Tables, from_tables, merge
from wirelessfl.experiment import Experiment

FEDAVG = "FedAvg"
FEDPROX = "FedProx"
PRUNEFL = "PruneFL"
FEDMP = "FedMP"
DAPPERFL = "DapperFL"
CA_HFP = "CA-HFP"
SCHEMES = (FEDAVG, FEDPROX, PRUNEFL, FEDMP, DAPPERFL, CA_HFP)
PRUNING = (PRUNEFL, FEDMP, DAPPERFL, CA_HFP)

THREE_SEEDS = (0, 1, 2)


@dataclass(frozen=True)
class LearningSetup:
    """A network on a data set.

    Attributes:
        network: Name of the network in the tables.
        data: Name of the data set in the tables.
        training: The fields of section training that select them.
        alphas: Dirichlet concentrations of the partition over clients.
        rounds: Rounds of a run.
        seeds: Seeds of the runs.
        whole_groups: Groups of filters that schemes which prune filters leave whole.
    """

    network: str
    data: str
    training: Mapping[str, Any]
    alphas: tuple[float, ...] = (0.1, 1.0, 10.0)
    rounds: int = 300
    seeds: tuple[int, ...] = THREE_SEEDS
    whole_groups: tuple[str, ...] = ()

    def label(self, alpha: float) -> str:
        """The name of the setting in the tables, with Dirichlet's `alpha`."""
        return f"{self.network}, {self.data}, alpha {alpha:g}"


# The printed values of [CA-HFP], and our reading where none are printed: gradients clipped at 10
# ([CA-HFP] erratum C17), one model tested on the whole test set.
_LOCAL = {
    "partition": "dirichlet",
    "tested_on": "whole",
    "local_epochs": 1,
    "momentum": 0.9,
    "clip_norm": 10.0,
}
_PAPER = {**_LOCAL, "batch_size": 128, "learning_rate": 0.1}
_PAPER_DATA: Mapping[str, Mapping[str, Any]] = {
    "Fashion-MNIST": {"dataset": "fashion-mnist", "image_size": 32, "image_channels": 3},
    "CIFAR-10": {"dataset": "cifar10", "augmentation": "crop-flip"},
    "CIFAR-100": {"dataset": "cifar100", "augmentation": "crop-flip"},
}
# A twentieth of the data and of the model, on which a round takes a fifth of a second.
_SMALL_CNN = {
    **_LOCAL,
    "dataset": "fashion-mnist",
    "model": "cnn",
    "width": 0.25,
    "train_samples": 2000,
    "test_samples": 1000,
    "batch_size": 32,
    "learning_rate": 0.05,
}
_SMALL_RESNET = {
    **_LOCAL,
    "dataset": "cifar10",
    "model": "resnet32",
    "width": 0.25,
    "train_samples": 1000,
    "test_samples": 500,
    "batch_size": 16,
    "learning_rate": 0.1,
}
# The sizes of Table I are those of ResNet-32 with two of its regular blocks of 32 channels left
# whole; the paper does not say which two.
_WHOLE = {"resnet32": ("blocks.6", "blocks.7")}
SETTINGS: Mapping[str, tuple[LearningSetup, ...]] = {
    "small": (
        LearningSetup("CNN", "Fashion-MNIST", _SMALL_CNN, rounds=30, seeds=(0, 1)),
        LearningSetup(
            "ResNet-32 of width 0.25",
            "CIFAR-10",
            _SMALL_RESNET,
            alphas=(1.0,),
            rounds=20,
            seeds=(0, 1),
            whole_groups=_WHOLE["resnet32"],
        ),
    ),
    "paper": tuple(
        LearningSetup(
            network, data, {**_PAPER, "model": model, **fields}, whole_groups=_WHOLE.get(model, ())
        )
        for network, model in (("VGG16", "vgg16"), ("ResNet-32", "resnet32"))
        for data, fields in _PAPER_DATA.items()
    ),
}
# The setting of the figures: VGG16 on CIFAR-10 in the paper.
FIGURES = {"small": SETTINGS["small"][0], "paper": SETTINGS["paper"][1]}
# The server waits for all clients; the deadline is long, as one that no client can meet is refused.
CELL: Tables = {
    "scenario": {"clients": 10, "deadline_s": 1e4},
    "allocation": {"method": "min-latency"},
}


def planned(
    setting: LearningSetup, alpha: float, changes: Tables, seeds: tuple[int, ...] | None = None
) -> list[Experiment]:
    """The experiments of a row.

    Args:
        setting: Network and data set.
        alpha: Dirichlet concentration of the partition.
        changes: Sections of the experiment that differ from the setting.
        seeds: The seeds, those of the setting by default.

    Returns:
        One experiment per seed.
    """
    training = {
        **CELL,
        "training": {"algorithm": "ca-hfp", **setting.training, "dirichlet_alpha": alpha},
    }
    tables = merge(training, changes)
    first = from_tables(
        {**tables, "run": {"rounds": setting.rounds, "eval_every": 1, "checkpoint_every": 10}}
    )
    return [replace(first, run=replace(first.run, seed=seed)) for seed in seeds or setting.seeds]


def scheme(name: str, setting: LearningSetup, ratio: float) -> Tables:
    """The changes that make a row of [CA-HFP] Table I.

    Args:
        name: One of `SCHEMES`.
        setting: Network and data set.
        ratio: Fraction of the filters that is pruned, or of as many weights for PruneFL.

    Returns:
        The changed sections.
    """
    uniform: dict[str, Any] = {"ratios": "uniform", "filter_ratio": ratio}
    if setting.whole_groups:
        uniform["whole_groups"] = list(setting.whole_groups)
    fields: Mapping[str, dict[str, Any]] = {
        FEDAVG: {"algorithm": "fedavg"},
        FEDPROX: {"algorithm": "fedprox", "work_fractions": [0.25, 0.5, 0.75]},
        PRUNEFL: prunefl(setting, kept_fraction(setting, ratio)),
        FEDMP: {"algorithm": "fedmp", **uniform},
        DAPPERFL: {"algorithm": "dapperfl", **uniform},
        CA_HFP: {"algorithm": "ca-hfp", **uniform},
    }
    return {"training": fields[name]}


def prunefl(setting: LearningSetup, density: float) -> dict[str, Any]:
    """The fields of PruneFL at a density.

    The mask is chosen again after the first round and after every sixth of the rounds.

    Args:
        setting: Network and data set.
        density: Fraction of the weights that is kept.

    Returns:
        The changed fields of section training.
    """
    return {
        "algorithm": "prunefl",
        "reconfigure": "fixed-density",
        "reconfigure_every": setting.rounds // 6,  # 50 rounds in the paper's runs
        "density": density,
    }


def kept_fraction(setting: LearningSetup, ratio: float) -> float:
    """Fraction of the parameters left after pruning `ratio` of the filters of every layer.

    Args:
        setting: Network and data set.
        ratio: Fraction of the filters that is pruned.

    Returns:
        The fraction, rounded to four digits.
    """
    task = {
        name: setting.training.get(name)
        for name in ("dataset", "model", "image_size", "image_channels", "width")
    }
    given = {name: value for name, value in task.items() if value is not None}
    return _kept_fraction(ratio, setting.whole_groups, **given)


@cache
def _kept_fraction(ratio: float, whole_groups: tuple[str, ...], **task: Any) -> float:
    from training.engine.spec import EngineSpec
    from training.structure.structure import Structure
    from training.task import Task

    made = Task(**task)
    spec = EngineSpec(
        model=made.model, form=made.form, personalised=False, batch_size=1, device="cpu"
    )
    structure = Structure.of(*spec.build_model()).without_pruning(whole_groups)
    return round(float(structure.table([ratio]).kept_fraction[0]), 4)


def costs(runs: list[Run]) -> dict[str, Sample]:
    """The cost columns of a table, means over clients and rounds.

    Args:
        runs: One run per seed.

    Returns:
        `thousands_up` and `thousands_down`, values of 32 bits that a client sends and receives in a
        round, in thousands, and `gflop`, its computation in GFLOP.
    """
    return {
        "thousands_up": over_seeds(
            runs, lambda run: float(run.series("uplink_bits").mean() / 32e3)
        ),
        "thousands_down": over_seeds(
            runs, lambda run: float(run.series("downlink_bits").mean() / 32e3)
        ),
        "gflop": over_seeds(runs, lambda run: float(run.series("flops").mean() / 1e9)),
    }
