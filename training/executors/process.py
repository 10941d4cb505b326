"""A worker process: reads pickled work from its input and writes pickled results to its output.

It ends when its input ends. Started by `training.executors.workers`, not by users.
"""

import os
import signal
import sys
from typing import Any

import torch

from training.data.federated import FederatedData
from training.engine.engine import Engine
from training.engine.program import LocalWork
from training.executors._messages import Messages
from wirelessfl.errors import InputError


def main() -> None:
    """Serve work until the input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent handles Ctrl-C
    torch.set_num_threads(1)
    sink = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # output of a model must not mix with the results
    shared = int(sys.argv[1]) if len(sys.argv) > 1 else None
    messages = Messages(sys.stdin.buffer, sink, shared, first=False)
    spec, file = messages.receive()
    engine = spec.build(FederatedData(**torch.load(file, mmap=True, weights_only=True)))
    messages.send(None)
    while True:
        try:
            work = messages.receive()
        except EOFError:
            return
        try:
            result = _run(engine, work)
        except InputError as error:
            result = error
        messages.send(result)


def _run(engine: Engine, work: Any) -> Any:
    """The result of training or evaluation."""
    return engine.train(work) if isinstance(work, LocalWork) else engine.evaluate(work)


if __name__ == "__main__":
    main()
