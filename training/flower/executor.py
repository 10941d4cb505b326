"""Algorithms of this toolkit on the nodes of Flower: an executor, and the app of the nodes."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any, Self

from training.engine.program import EvaluationWork, LocalResult, LocalWork
from training.executors import check_device
from training.executors.loop import LoopExecutor
from training.flower.codec import decode, encode
from training.method_based import MethodBased
from wirelessfl.border.extras import needs_extra
from wirelessfl.config.scenario_file import experiment_hash
from wirelessfl.errors import DivergenceError, InputError, check_count, check_number
from wirelessfl.experiment import Experiment
from wirelessfl.protocols import Runtime

with needs_extra("flower", "training.flower"):
    from flwr.app import Array, ArrayRecord, ConfigRecord, Message, MessageType, RecordDict
    from flwr.clientapp import ClientApp

ATTEMPTS = 3  # at a work, each on another node where there are several
_POLL_S = 0.2
_TEXT, _ARRAYS, _ERROR, _DIVERGED = "work", "arrays", "error", "diverged"


class FlowerExecutor:
    """Runs the clients' work on the nodes of a Flower grid.

    Client k is served by the node at place k modulo n of the nodes in the order of their
    identifiers. A window of `ahead` works travels at once; results come back in the order of the
    works, so that a run is the same, bit for bit, as with the executor `loop`. A work of a node
    that fails or does not answer is sent to the next node, three times at most. The nodes run
    `node_app` of the same experiment, which every message names. Messages hold JSON and arrays, no
    pickles.

    Attributes:
        ahead: Number of works taken before the first result.
    """

    def __init__(
        self,
        grid: Any,
        experiment: Experiment,
        *,
        ahead: int | None = None,
        timeout_s: float = 600.0,
    ) -> None:
        """Take the nodes that are connected now.

        Args:
            grid: Grid of the server app.
            experiment: The experiment of the run.
            ahead: Number of works in progress at once; one for each node if None.
            timeout_s: Longest wait for the results of an attempt in s.

        Raises:
            InputError: No node is connected, or a number is out of range.
        """
        if ahead is not None:
            check_count("ahead", ahead)
        check_number("timeout_s", timeout_s, above=0)
        self._grid = grid
        self._experiment = _identity(experiment)
        self._nodes = sorted(grid.get_node_ids())
        if not self._nodes:
            raise InputError("a grid must have at least 1 node, got 0")
        self._timeout_s = timeout_s
        self.ahead = ahead or len(self._nodes)

    @classmethod
    def connect(
        cls,
        grid: Any,
        experiment: Experiment,
        *,
        nodes: int,
        wait_s: float = 300.0,
        **options: Any,
    ) -> Self:
        """Wait for nodes, then take them.

        Args:
            grid: Grid of the server app.
            experiment: The experiment of the run.
            nodes: Number of nodes to wait for.
            wait_s: Longest wait in s.
            **options: `ahead` and `timeout_s`.

        Returns:
            The executor.

        Raises:
            InputError: Fewer nodes have connected in time.
        """
        end = time.monotonic() + wait_s
        while len(found := list(grid.get_node_ids())) < nodes:
            if time.monotonic() >= end:
                raise InputError(
                    f"a grid must have at least {nodes} nodes within {wait_s:g} s, got {len(found)}"
                )
            time.sleep(_POLL_S)
        return cls(grid, experiment, **options)

    def train(self, works: Iterable[LocalWork]) -> Iterator[LocalResult]:
        """Train clients.

        Args:
            works: Local training of the clients; taken as needed.

        Returns:
            An iterator with one result for each work, in order.

        Raises:
            InputError: A work failed, or a node did not answer.
        """
        return self._run(works, MessageType.TRAIN)

    def evaluate(self, works: Iterable[EvaluationWork]) -> Iterator[float]:
        """Evaluate models.

        Args:
            works: Models and samples; taken as needed.

        Returns:
            An iterator with one accuracy for each work, in order; see `Engine.evaluate`.

        Raises:
            InputError: A work failed, or a node did not answer.
        """
        return self._run(works, MessageType.EVALUATE)

    def close(self) -> None:
        """Release nothing: the nodes belong to the grid."""

    def _run(self, works: Iterable[Any], message_type: str) -> Iterator[Any]:
        works = iter(works)
        while window := list(islice(works, self.ahead)):
            yield from self._window(window, message_type)

    def _window(self, window: list[Any], message_type: str) -> Iterator[Any]:
        """Results of some works; one without a result is sent to the next node."""
        found: dict[int, Any] = {}
        reason = ""
        for attempt in range(ATTEMPTS):
            messages = [
                Message(
                    content=_packed(encode(work), place, self._experiment),
                    message_type=message_type,
                    dst_node_id=self._nodes[(work.client + attempt) % len(self._nodes)],
                )
                for place, work in enumerate(window)
                if place not in found
            ]
            for reply in self._grid.send_and_receive(messages, timeout=self._timeout_s):
                if reply.has_error():
                    reason = f": node {reply.metadata.src_node_id}: {reply.error.reason}"
                else:
                    record = reply.content.config_records[_TEXT]
                    found[int(str(record["place"]))] = reply.content
            if len(found) == len(window):
                break
        for place, work in enumerate(window):
            if place not in found:
                raise InputError(
                    f"a node must answer for client {work.client} within {self._timeout_s:g} s, "
                    f"got no result in {ATTEMPTS} attempts{reason}"
                )
            yield _result(found[place])


def node_app(
    experiment: Experiment,
    *,
    data_root: Path | None = None,
    runtime: Runtime | None = None,
    mods: Sequence[Any] = (),
) -> Any:
    """The app of the nodes: local training and evaluation of an experiment's clients.

    A node reads the data set, divides it by the experiment's seed, and uses the samples of the
    clients that it is asked for.

    Args:
        experiment: The experiment, the same one as at the server.
        data_root: Folder of the data sets on the node.
        runtime: Device and precision of the node; those of the experiment if None.
        mods: Mods of the app.

    Returns:
        A `flwr.clientapp.ClientApp`.

    Raises:
        InputError: The algorithm has no local work of its own.
    """
    algorithm = experiment.algorithm
    if not isinstance(algorithm, MethodBased):
        raise InputError(
            f"training.algorithm must be one of this toolkit, got {type(algorithm).__name__}"
        )
    node = _Node(experiment, algorithm, runtime or experiment.run.runtime(data_root))
    app = ClientApp(mods=list(mods))

    @app.train()
    def train(message: Message, context: Any) -> Message:
        return node.answer(message, node.executor.train)

    @app.evaluate()
    def evaluate(message: Message, context: Any) -> Message:
        return node.answer(message, node.executor.evaluate)

    return app


@dataclass(frozen=True)
class _Node:
    """Work of a node; other processes can be sent one that has not worked yet."""

    experiment: Experiment
    algorithm: MethodBased[Any]
    runtime: Runtime

    @cached_property
    def executor(self) -> LoopExecutor:
        """The executor on the data of the clients, made at the first message."""
        spec = replace(
            self.algorithm.method.spec(),
            device=check_device(self.runtime.device),
            precision=self.runtime.precision,
            deterministic=self.runtime.deterministic,
        )
        clients, seed = self.experiment.scenario.clients, self.experiment.run.seed
        root = self.runtime.data_root
        return LoopExecutor(
            spec, self.algorithm.task.load(clients=clients, seed=seed, data_root=root)
        )

    def answer(self, message: Message, run: Callable[[list[Any]], Iterator[Any]]) -> Message:
        """The reply to a work: its result, or the error in one line."""
        record = message.content.config_records[_TEXT]
        try:
            mine = _identity(self.experiment)
            wanted = str(record["experiment"])
            if mine != wanted:
                raise InputError(
                    f"node_app must have the experiment of the server, {wanted}, got {mine}"
                )
            work = decode(str(record["json"]), _arrays(message.content))
            content = _packed(encode(next(run([work]))), record["place"])
        except InputError as error:
            failed = {"place": record["place"], _ERROR: str(error)}
            failed[_DIVERGED] = isinstance(error, DivergenceError)
            content = RecordDict({_TEXT: ConfigRecord(failed)})
        return Message(content=content, reply_to=message)


def _identity(experiment: Experiment) -> str:
    """Hash of the experiment, whatever its number of rounds."""
    return experiment_hash(experiment, with_rounds=False)


def _packed(encoded: tuple[str, list[Any]], place: Any, experiment: str = "") -> RecordDict:
    text, arrays = encoded
    return RecordDict(
        {
            _TEXT: ConfigRecord({"json": text, "place": place, "experiment": experiment}),
            _ARRAYS: ArrayRecord({str(i): Array(one) for i, one in enumerate(arrays)}),
        }
    )


def _arrays(content: RecordDict) -> list[Any]:
    record = content.array_records[_ARRAYS]
    return [record[str(index)].numpy() for index in range(len(record))]


def _result(content: RecordDict) -> Any:
    record = content.config_records[_TEXT]
    if _ERROR in record:
        kind = DivergenceError if record[_DIVERGED] else InputError
        raise kind(str(record[_ERROR]))
    return decode(str(record["json"]), _arrays(content))
