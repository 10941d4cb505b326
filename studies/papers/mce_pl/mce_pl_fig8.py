"""[MCE-PL] Fig. 8 and 9: kernels that four agents keep, and the similarity of their masks.

The figures show w m of the middle 20 filters of the first convolution; the table measures what the
paper describes: the intersection over union of two agents' masks, and the number of filters with
any weight left. The official code cuts filters of at most 20 ones in ind-mask and not in MCE-PL, so
both are shown without that rule and with it. Masks are those of a run's last checkpoint; a run
folder without one gives NaN.

At small scale the masks of MCE-PL are more alike, with Fil and without. That they leave more
filters holds as in the code, with Fil in ind-mask alone, and is due to Fil: at equal settings the
numbers do not differ beyond chance.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from studies.papers.mce_pl._mce_pl import (
    FIGURE_LABELS,
    HETEROGENEOUS,
    IND_MASK,
    LAST_EVALUATIONS,
    MASKS,
    MCE_PL,
    heterogeneous,
    planned,
)
from studies.papers.mce_pl.mce_pl_table2 import FILTERED, with_fil
from studies.report.claims import Check, above, compare
from studies.report.one_run.run import Run
from studies.report.results import Claim, Runs, Sample, Table, Verdict
from studies.report.summaries import accuracy_columns
from wirelessfl.experiment import Experiment

MCE_FIL = with_fil(MCE_PL)
IND_FIL = with_fil(IND_MASK)
SHOWN = (MCE_PL, IND_MASK, MCE_FIL, IND_FIL)
AGENTS = (2, 4, 8, 6)  # as the paper numbers them, from 1: they keep 0.4, 0.2, 0.2 and 0.1
MIDDLE = 20  # filters


@dataclass(frozen=True, eq=False)
class FinalMasks:
    """The masks at the end of a run.

    Attributes:
        masks: Masks of all convolutions, (K, weights).
        kernels: w m of the first convolution, (K, filters, 3, 5, 5).
    """

    masks: NDArray[np.bool_]
    kernels: NDArray[np.float32]

    @classmethod
    def of(cls, run: Run) -> "FinalMasks | None":
        """Read the last checkpoint of a run; None where there is none."""
        found = None if run.folder is None else run.folder.last_checkpoint(lambda note: None)
        if run.folder is None or found is None:
            return None
        layout = run.algorithm.method.spec().build_model()[1]
        convolutions = [entry for entry in layout.parameters if len(entry.shape) == 4]
        state = found.arrays
        first = convolutions[0]
        masks = np.unpackbits(state["own_mask"], axis=-1, count=int(state["own_mask__bits"])).view(
            np.bool_
        )
        kernels = (masks[:, first.slice] * state["common_weights"][first.slice]).reshape(
            -1, *first.shape
        )
        return cls(
            np.concatenate([masks[:, entry.slice] for entry in convolutions], axis=1), kernels
        )

    @property
    def overlap(self) -> float:
        """Intersection over union of two agents' masks of convolutions, mean over pairs."""
        masks = self.masks.astype(np.float32)
        both = (masks @ masks.T).astype(np.float64)
        ones = np.diag(both)
        one, other = np.triu_indices(len(ones), 1)
        return float(np.mean(both[one, other] / (ones[one] + ones[other] - both[one, other])))

    @property
    def filters(self) -> NDArray[np.int64]:
        """Number of filters of the first convolution with any weight left, (K,)."""
        found: NDArray[np.int64] = np.count_nonzero(self.kernels.any(axis=(2, 3, 4)), axis=1)
        return found

    @property
    def fraction(self) -> NDArray[np.float64]:
        """Fraction of the first convolution that is kept, (K,)."""
        kept: NDArray[np.int64] = np.count_nonzero(self.kernels, axis=(1, 2, 3, 4))
        return kept / float(self.kernels[0].size)


def experiments(scale: str) -> dict[str, list[Experiment]]:
    """MCE-PL and ind-mask with the ratios of Section V-C, without and with Fil, as in Table II."""
    labels = FIGURE_LABELS[scale]
    filtered = {"filter_threshold": FILTERED}
    return {
        **{name: planned(scale, labels, heterogeneous(scale, name)) for name in MASKS},
        **{
            with_fil(name): planned(scale, labels, {**heterogeneous(scale, name), **filtered})
            for name in MASKS
        },
    }


def table(runs: Runs) -> Table:
    """Similarity of all agents' masks; filters left and fraction kept of the four agents drawn."""
    return Table(
        tuple(
            {"scheme": label, **accuracy_columns(seeds, LAST_EVALUATIONS), **_measured(seeds)}
            for label, seeds in runs.items()
        )
    )


def _measured(runs: list[Run]) -> dict[str, Sample]:
    found = [_values(FinalMasks.of(run)) for run in runs]
    return {name: Sample(tuple(each[name] for each in found)) for name in found[0]}


def _values(kept: FinalMasks | None) -> dict[str, float]:
    names = [
        "iou",
        *(f"filters_of_{agent}" for agent in AGENTS),
        *(f"share_of_{agent}" for agent in AGENTS),
    ]
    if kept is None:
        return dict.fromkeys(names, math.nan)
    places = np.array(AGENTS) - 1
    values = [kept.overlap, *kept.filters[places], *kept.fraction[places]]
    return dict(zip(names, map(float, values), strict=True))


def _follows_ratios(label: str) -> Check:
    def check(table: Table) -> Verdict:
        found = {agent: table.sample(label, f"share_of_{agent}").mean for agent in AGENTS}
        ratio = {agent: HETEROGENEOUS[agent - 1] for agent in AGENTS}
        within = all(abs(found[agent] - ratio[agent]) <= 0.01 for agent in AGENTS)
        return Verdict(
            within,
            ", ".join(f"agent {agent}: {found[agent]:.3g} of {ratio[agent]:g}" for agent in AGENTS),
        )

    return check


def _more_filters(larger: str, smaller: str, agents: Iterable[int] = AGENTS) -> Check:
    """Check that `larger` leaves more filters than `smaller`, mean over these agents."""

    def mean(table: Table, label: str) -> Sample:
        samples = [table.sample(label, f"filters_of_{agent}").values for agent in agents]
        return Sample(tuple(np.mean(samples, axis=0).tolist()))

    return lambda table: compare(mean(table, larger), mean(table, smaller))


CLAIMS = (
    Claim(
        "What MCE-PL keeps of the first convolution follows the ratios",
        _follows_ratios(MCE_PL),
        kind="by construction",
    ),
    Claim(
        "The masks of MCE-PL are more alike than those of ind-mask", above("iou", MCE_PL, IND_MASK)
    ),
    Claim("So they are where both cut filters of 20 ones", above("iou", MCE_FIL, IND_FIL)),
    Claim(
        "As in the code, agent 4 has more filters in MCE-PL than in ind-mask",
        _more_filters(MCE_PL, IND_FIL, (4,)),
    ),
    Claim(
        "Without cut filters MCE-PL has more in the mean over the four agents",
        _more_filters(MCE_PL, IND_MASK),
    ),
    Claim(
        "Where both cut filters MCE-PL has more in the mean over the four agents",
        _more_filters(MCE_FIL, IND_FIL),
    ),
)


def figure(runs: Runs, figure: Any) -> None:
    """Pictures of w m in the first convolution, first seed, red below and blue above 0.

    Rows of a picture are input channels.
    """
    figure.set_size_inches(13.0, 3.4)
    axes = figure.subplots(len(AGENTS), len(SHOWN), squeeze=False)
    for column, label in zip(axes.T, SHOWN, strict=True):
        kept = FinalMasks.of(runs[label][0])
        for panel, agent in zip(column, AGENTS, strict=True):
            panel.set(xticks=[], yticks=[])
            if kept is None:
                panel.text(
                    0.5, 0.5, "no checkpoint", ha="center", va="center", transform=panel.transAxes
                )
                continue
            picture = tiled(kept.kernels[agent - 1])
            most = float(np.abs(kept.kernels).max())
            panel.imshow(picture, cmap="RdBu", vmin=-most, vmax=most, interpolation="nearest")
            panel.set_facecolor("0.6")
            panel.set_xlabel(
                f"{kept.filters[agent - 1]} filters of {len(kept.kernels[0])}", fontsize="x-small"
            )
        column[0].set_title(label, fontsize="small")
    for panel, agent in zip(axes[:, 0], AGENTS, strict=True):
        panel.set_ylabel(f"agent {agent}\nkeeps {HETEROGENEOUS[agent - 1]:g}", fontsize="x-small")


def tiled(kernels: NDArray[np.float32]) -> NDArray[np.float32]:
    """The middle filters side by side.

    Args:
        kernels: Filters of one agent, (filters, channels, 5, 5).

    Returns:
        A picture of (6 channels - 1, 6 filters - 1) pixels, whose gaps are NaN.
    """
    start = max(len(kernels) - MIDDLE, 0) // 2
    shown = kernels[start : start + MIDDLE]
    gap = np.pad(shown, ((0, 0), (0, 0), (0, 1), (0, 1)), constant_values=np.nan)
    filters, channels, height, width = gap.shape
    return gap.transpose(1, 2, 0, 3).reshape(channels * height, filters * width)[:-1, :-1]
