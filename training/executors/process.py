"""A worker process: reads pickled work from its input, writes pickled results to its output, ends with its input.

Started by `training.executors.workers`; not for use by hand.
"""

import os
import pickle
import signal
import sys
from typing import Any

import torch

from training.data._federated import FederatedData
from training.engine import Engine
from training.program import LocalWork
from wirelessfl.errors import InputError


def main() -> None:
    """Serve until the input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    torch.set_num_threads(1)
    source = sys.stdin.buffer
    sink = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a model prints must not get between the results
    spec, file = pickle.load(source)
    engine = spec.build(FederatedData(**torch.load(file, mmap=True, weights_only=True)))
    _reply(sink, None)
    while True:
        try:
            work = pickle.load(source)
        except EOFError:
            return
        try:
            result = _run(engine, work)
        except InputError as error:
            result = error
        _reply(sink, result)


def _run(engine: Engine, work: Any) -> Any:
    return engine.train(work) if isinstance(work, LocalWork) else engine.evaluate(work)


def _reply(sink: Any, message: Any) -> None:
    pickle.dump(message, sink, protocol=pickle.HIGHEST_PROTOCOL)
    sink.flush()


if __name__ == "__main__":
    main()
