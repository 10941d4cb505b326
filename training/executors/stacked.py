"""Stacked clients: networks of one shape run as one, for devices that a loop cannot keep busy."""

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from itertools import islice

from training.data.federated import FederatedData
from training.engine.network import Network, Trainable
from training.engine.program import Accumulate, EvaluationWork, LocalResult, LocalWork, Prune, Train
from training.engine.spec import EngineSpec
from training.engine.stacked_network import StackedNetwork

_BYTES = 2**30  # of weights, gradients, momentum and mask of one stack
_MOST_CLIENTS = 256
_MOST_STACKS = 8  # kept at a time, by shape and number of clients


def most_clients(size: int) -> int:
    """Number of clients in a stack.

    Args:
        size: Values of a model.

    Returns:
        As many clients as fit into 1 GiB with 16 bytes for each value, from 1 to 256.
    """
    return min(_MOST_CLIENTS, max(1, _BYTES // (16 * size)))


class StackedExecutor:
    """Runs works in stacks of clients; equal to the loop within rounding.

    Works are taken `ahead` at a time. Those with the same program, the same shape of model and the
    same sizes of mini-batches form a stack (`steps` need equal batches, `epochs` equal numbers of
    samples), so that nothing is padded. A work that is alone, trains a mask, or has a model with
    layers other than linear ones, convolutions and batch norms runs as in the loop.

    Attributes:
        ahead: Number of works taken before the first result.
    """

    def __init__(
        self,
        spec: EngineSpec,
        data: FederatedData,
        most: int = 0,
        make: Callable[[Network, int], Trainable] = StackedNetwork,
    ) -> None:
        """Make the engine.

        Args:
            spec: Settings of the engine.
            data: Data of all clients.
            most: Largest number of clients in a stack; chosen by the model's size if 0.
            make: Makes a stack of a number of networks like the given one.
        """
        self._engine = spec.build(data)
        model, layout = spec.build_model()
        self.ahead = most or most_clients(layout.size)
        self._make = make
        self._fits = make is not StackedNetwork or StackedNetwork.fits(model)
        self._stacks: dict[Hashable, Trainable] = {}

    def train(self, works: Iterable[LocalWork]) -> Iterator[LocalResult]:
        """Train clients.

        Args:
            works: Local training of the clients; taken as needed.

        Yields:
            One result for each work, in order.

        Raises:
            InputError: A work does not fit the model, or training diverged.
        """
        works = iter(works)
        while window := list(islice(works, self.ahead)):
            yield from self._window(window)

    def evaluate(self, works: Iterable[EvaluationWork]) -> Iterator[float]:
        """Evaluate models.

        Args:
            works: Models and samples; taken as needed.

        Returns:
            An iterator with one accuracy for each work, in order; see `Engine.evaluate`.
        """
        return map(self._engine.evaluate, works)

    def close(self) -> None:
        """Release the stacks."""
        self._stacks.clear()

    def _window(self, works: list[LocalWork]) -> Iterator[LocalResult]:
        """The results of the works of a window, in order."""
        groups: dict[Hashable, list[int]] = {}
        for position, work in enumerate(works):
            groups.setdefault(self._shape(work) or position, []).append(position)
        results: dict[int, LocalResult] = {}
        for shape, positions in groups.items():
            results.update(
                zip(positions, self._run(shape, [works[i] for i in positions]), strict=True)
            )
        for position in range(len(works)):
            yield results.pop(position)

    def _run(self, shape: Hashable, works: Sequence[LocalWork]) -> list[LocalResult]:
        """The results of works of one shape."""
        if len(works) == 1:
            return [self._engine.train(works[0])]
        networks = [self._engine.network(work) for work in works]
        return self._engine.train_together(works, self._stack(networks[0], len(works)))

    def _stack(self, network: Network, clients: int) -> Trainable:
        """A stack of networks like `network`; the last used ones are kept."""
        key = (clients, tuple(entry.shape for entry in network.layout.entries))
        stack = self._stacks.pop(key, None) or self._make(network, clients)
        self._stacks[key] = stack
        if len(self._stacks) > _MOST_STACKS:
            del self._stacks[next(iter(self._stacks))]
        return stack

    def _shape(self, work: LocalWork) -> Hashable:
        """The key that works of one stack have in common; None if it cannot be stacked."""
        if not self._fits or not all(
            isinstance(phase, Train | Prune | Accumulate) for phase in work.program
        ):
            return None
        batches = self._engine.batches
        epochs = any(
            isinstance(phase, Train | Accumulate) and phase.epochs for phase in work.program
        )
        sizes = (
            batches.sizes(work.client, epochs=True)
            if epochs
            else batches.sizes(work.client, epochs=False)[0]
        )
        widths = None if work.sub is None else tuple(sorted(work.sub.widths.items()))
        steps = None if work.moments is None else tuple(sorted(work.moments.steps.items()))
        return work.program, widths, sizes, work.mask is None, work.correction is None, steps
