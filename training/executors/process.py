"""A worker process: reads pickled work from its input, writes pickled results to its output, ends
with its input.

Started by `training.executors.workers`; not for use by hand.
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
    """Serve until the input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    torch.set_num_threads(1)
    sink = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a model prints must not get between the results
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
    return engine.train(work) if isinstance(work, LocalWork) else engine.evaluate(work)


if __name__ == "__main__":
    main()
