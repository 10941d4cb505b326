"""States of the five families: read-only arrays that a checkpoint restores."""

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass

import numpy as np
import pytest

from training.algorithms.control_variates.sparse_proxskip import SparseProxskip
from training.algorithms.decentralised.mce_pl import McePl
from training.algorithms.server.fedalt import FedAlt
from training.algorithms.server.prunefl import Prunefl
from training.algorithms.submodels.fedmp import Fedmp
from training.method_based import MethodBased
from training.state import read_only
from training.submodels.ratios import FilterRatios
from training.task import Task
from wirelessfl.errors import InputError
from wirelessfl.protocols import Runtime
from wirelessfl.values import Delivery

CLIENTS = 3
TASK = Task(partition="iid", batch_size=16, train_samples=96, test_samples=30)
FAMILIES = {
    "server": FedAlt(task=TASK),
    "global mask": Prunefl(task=TASK),
    "sub-models": Fedmp(task=TASK, ranks=FilterRatios(ratios="bandit")),
    "decentralised": McePl(task=TASK),
    "control variates": SparseProxskip(task=TASK),
}


def arrays_of(value: object) -> Iterator[np.ndarray]:
    """All arrays in a state, at any depth."""
    if isinstance(value, np.ndarray):
        yield value
    elif isinstance(value, Mapping | tuple):
        for item in value.values() if isinstance(value, Mapping) else value:
            yield from arrays_of(item)
    elif is_dataclass(value):
        for field in fields(value):
            yield from arrays_of(getattr(value, field.name))


@pytest.mark.parametrize("algorithm", FAMILIES.values(), ids=FAMILIES)
def test_states_are_read_only_before_and_after_a_round_and_from_a_checkpoint(algorithm):
    trainer = algorithm.trainer(clients=CLIENTS, seed=0, runtime=Runtime(executor="loop"))
    initial = trainer.init(0)
    last = np.arange(CLIENTS) == CLIENTS - 1
    none = np.zeros(CLIENTS, dtype=bool)
    delivery = Delivery(participates=~none, on_time=~last, late=last, arrived_late=none)
    after, _ = trainer.step(initial, np.zeros(CLIENTS), delivery)
    packed = {name: array.copy() for name, array in trainer.pack(after).items()}
    restored = trainer.unpack(packed)
    for state in (initial, after, restored):
        arrays = list(arrays_of(state))
        assert len(arrays) >= 2
        for array in arrays:
            with pytest.raises(ValueError, match="read-only"):
                array[...] = 0
    for name, array in trainer.pack(restored).items():
        np.testing.assert_array_equal(array, packed[name], err_msg=name)
    some = next(name for name, array in packed.items() if array.ndim)
    with pytest.raises(InputError, match=f"training state {some} must have shape"):
        trainer.unpack({name: array for name, array in packed.items() if name != some})
    trainer.close()


def test_a_read_only_view_leaves_the_array_itself_writable():
    array = np.arange(3.0)
    view = read_only(array)
    array[0] = 5.0
    assert view.tolist() == [5.0, 1.0, 2.0]
    with pytest.raises(ValueError, match="read-only"):
        view[0] = 1.0


def test_an_algorithm_without_a_method_cannot_be_created():
    class WithoutMethod(MethodBased):
        pass

    with pytest.raises(TypeError, match="method"):
        WithoutMethod()
