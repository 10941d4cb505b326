"""Interface of a run as its tables and figures read it."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from studies.report.columns import Records
from wirelessfl.experiment import Experiment
from wirelessfl.records.run_store import RunStore


class Recorded(Protocol):
    """A run with its records."""

    @property
    def records(self) -> Records:
        """Records in order."""
        ...

    @property
    def folder(self) -> RunStore | None:
        """Run folder, or the memory of this process."""
        ...

    @property
    def experiment(self) -> Experiment:
        """Experiment of the run."""
        ...

    @property
    def stopped(self) -> str | None:
        """Reason for which the run ended early."""
        ...

    def __len__(self) -> int:
        """Number of rounds."""
        ...

    def series(self, field: str) -> NDArray[np.float64]:
        """A field of every round, see `Run.series`."""
        ...
