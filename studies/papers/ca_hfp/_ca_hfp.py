"""What the studies of [CA-HFP] share: networks and data of both scales, schemes, what is reported."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from studies.report.results import Run, Sample, over_seeds
from wirelessfl.config.scenario_file import Tables, from_tables, merge
from wirelessfl.experiment import Experiment

FEDAVG, FEDPROX, PRUNEFL, FEDMP, DAPPERFL, CA_HFP = (
    "FedAvg",
    "FedProx",
    "PruneFL",
    "FedMP",
    "DapperFL",
    "CA-HFP",
)
SCHEMES = (FEDAVG, FEDPROX, PRUNEFL, FEDMP, DAPPERFL, CA_HFP)
PRUNING = (PRUNEFL, FEDMP, DAPPERFL, CA_HFP)

THREE_SEEDS = (0, 1, 2)


@dataclass(frozen=True)
class Setting:
    """A network on a data set; `training` holds the fields of section training that make it.

    Schemes that prune filters leave `whole_groups` as they are.
    """

    network: str
    data: str
    training: Mapping[str, Any]
    alphas: tuple[float, ...] = (0.1, 1.0, 10.0)
    rounds: int = 300
    seeds: tuple[int, ...] = THREE_SEEDS
    whole_groups: tuple[str, ...] = ()

    def label(self, alpha: float) -> str:
        """What the tables call it under Dirichlet's `alpha`."""
        return f"{self.network}, {self.data}, alpha {alpha:g}"


# What [CA-HFP] prints, and where it prints nothing our reading: gradients clipped at 10
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
# whole; not which two.
_WHOLE = {"resnet32": ("blocks.6", "blocks.7")}
SETTINGS: Mapping[str, tuple[Setting, ...]] = {
    "small": (
        Setting("CNN", "Fashion-MNIST", _SMALL_CNN, rounds=30, seeds=(0, 1)),
        Setting(
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
        Setting(
            network, data, {**_PAPER, "model": model, **fields}, whole_groups=_WHOLE.get(model, ())
        )
        for network, model in (("VGG16", "vgg16"), ("ResNet-32", "resnet32"))
        for data, fields in _PAPER_DATA.items()
    ),
}
# The setting of the figures: VGG16 on CIFAR-10 in the paper.
FIGURES = {"small": SETTINGS["small"][0], "paper": SETTINGS["paper"][1]}
# Everybody is waited for; a deadline that nobody can meet would be refused.
CELL: Tables = {
    "scenario": {"clients": 10, "deadline_s": 1e4},
    "allocation": {"method": "min-latency"},
}


def planned(
    setting: Setting, alpha: float, changes: Tables, seeds: tuple[int, ...] | None = None
) -> list[Experiment]:
    """One experiment per seed (those of the setting unless given); `changes` on top of the setting."""
    training = {
        **CELL,
        "training": {"algorithm": "ca-hfp", **setting.training, "dirichlet_alpha": alpha},
    }
    tables = merge(training, changes)
    first = from_tables(
        {**tables, "run": {"rounds": setting.rounds, "eval_every": 1, "checkpoint_every": 10}}
    )
    return [replace(first, run=replace(first.run, seed=seed)) for seed in seeds or setting.seeds]


def scheme(name: str, setting: Setting, ratio: float) -> Tables:
    """A row of Table I: every pruning scheme removes `ratio` of the filters, or as many weights as
    that.
    """
    uniform: dict[str, Any] = {"ratios": "uniform", "filter_ratio": ratio}
    if setting.whole_groups:
        uniform["whole_groups"] = list(setting.whole_groups)
    fields: Mapping[str, dict[str, Any]] = {
        FEDAVG: {"algorithm": "fedavg"},
        FEDPROX: {"algorithm": "fedprox", "work_fractions": [0.25, 0.5, 0.75]},
        PRUNEFL: prunefl(setting, kept_share(setting, ratio)),
        FEDMP: {"algorithm": "fedmp", **uniform},
        DAPPERFL: {"algorithm": "dapperfl", **uniform},
        CA_HFP: {"algorithm": "ca-hfp", **uniform},
    }
    return {"training": fields[name]}


def prunefl(setting: Setting, density: float) -> dict[str, Any]:
    """PruneFL with this share of the weights, chosen anew after the first round and each sixth of
    the rounds.
    """
    return {
        "algorithm": "prunefl",
        "reconfigure": "fixed-density",
        "reconfigure_every": setting.rounds // 6,  # 50 rounds in the paper's runs
        "density": density,
    }


def kept_share(setting: Setting, ratio: float) -> float:
    """The share of the network's parameters that is left without `ratio` of the filters of every
    layer.
    """
    task = {
        name: setting.training.get(name)
        for name in ("dataset", "model", "image_size", "image_channels", "width")
    }
    given = {name: value for name, value in task.items() if value is not None}
    return _kept_share(ratio, setting.whole_groups, **given)


@cache
def _kept_share(ratio: float, whole_groups: tuple[str, ...], **task: Any) -> float:
    from training.engine.engine import EngineSpec
    from training.structure.structure import Structure
    from training.task import Task

    made = Task(**task)
    spec = EngineSpec(
        model=made.model, form=made.form, personalised=False, batch_size=1, device="cpu"
    )
    structure = Structure.of(*spec.build_model()).without_pruning(whole_groups)
    return round(float(structure.table([ratio]).kept_share[0]), 4)


def costs(runs: list[Run]) -> dict[str, Sample]:
    """What a client sends and receives in a round, in thousands of numbers of 32 bits, and
    computes, in GFLOP.
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
