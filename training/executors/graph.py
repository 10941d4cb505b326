"""CUDA graph: the clients' steps side by side as one recorded graph, started as one launch."""

import copy
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from training.data.federated import FederatedData
from training.engine.network import Network
from training.engine.spec import EngineSpec
from training.executors.stacked import StackedExecutor
from training.structure.layout import Part

_STREAMS = 16  # parallel branches
_MOST_STEPS = 8  # recordings kept at a time; each holds its activations
_WARM_UPS = 3  # eager passes first: libraries choose kernels in them, which a recording forbids


class GraphExecutor(StackedExecutor):
    """A `StackedExecutor` whose stack keeps the models' own kernels.

    It takes any model, including those with other layers or a gradient in closed form.
    """

    def __init__(self, spec: EngineSpec, data: FederatedData, most: int = 0) -> None:
        """Make the engine.

        Args:
            spec: Settings of the engine.
            data: Data of all clients.
            most: Largest number of clients in a stack; chosen by the model's size if 0.
        """
        super().__init__(spec, data, most, make=ParallelNetworks)


class ParallelNetworks:
    """Networks of several clients side by side, each on its row of the vectors.

    On CUDA the step of each shape of mini-batch and each part is recorded once, with the networks
    as parallel branches, and replayed; mini-batches are copied to the addresses that the recording
    reads. On other devices the same step runs eagerly.

    Attributes:
        layout: Layout of one client's vector.
        vector: Weights and buffers, (clients, size).
        gradient: Gradient of the parameters, (clients, parameter_size).
    """

    def __init__(self, network: Network, clients: int) -> None:
        """Copy a network for each client.

        Args:
            network: The network of one client, whose model is copied.
            clients: Number of clients.
        """
        self._device = network.vector.device
        self.layout = network.layout
        self.vector = torch.zeros(clients, self.layout.size, device=self._device)
        self.gradient = torch.zeros(clients, self.layout.parameter_size, device=self._device)
        precision = "bfloat16" if network.bfloat16 else "float32"
        self._networks = [
            Network(
                copy.deepcopy(network.model), self.layout, self._device, precision, vector, gradient
            )
            for vector, gradient in zip(self.vector, self.gradient, strict=True)
        ]
        self._steps: dict[tuple[torch.Size, Part, float], _Step] = {}
        self._part: Part = "all"

    def require(self, part: Part) -> None:
        """Restrict gradients to one part.

        Args:
            part: The part that is trained next.
        """
        self._part = part
        for network in self._networks:
            network.require(part)

    def backward(self, inputs: Tensor, targets: Tensor, feature_penalty: float = 0.0) -> Tensor:
        """Put each client's gradient of its mean loss into `gradient`.

        Args:
            inputs: Normalised inputs, (clients * batch, ...), client after client.
            targets: Labels or numbers, (clients * batch,).
            feature_penalty: Factor of the mean feature norm in the differentiated objective.

        Returns:
            The losses without the penalty, (clients,), on the device.
        """
        key = (inputs.shape, self._part, feature_penalty)
        step = self._steps.pop(key, None)
        if step is None:
            step = _Step(self._networks, inputs, targets, feature_penalty)
            if self._device.type == "cuda":
                self._record(step)
        self._steps[key] = step  # in order of use
        if len(self._steps) > _MOST_STEPS:
            del self._steps[next(iter(self._steps))]
        return step(inputs, targets)

    def training(self, mode: bool) -> None:
        """Switch batch norm between training and evaluation.

        Args:
            mode: True for the statistics of the batch, which update the running ones; False for the
                running ones.
        """
        for network in self._networks:
            network.training(mode)

    def join(self, rows: Sequence[Tensor]) -> Tensor:
        """Join one vector of each client.

        Args:
            rows: A vector (n,) of each client.

        Returns:
            (clients, n).
        """
        return torch.stack(list(rows))

    def divide(self, vectors: Tensor) -> Sequence[Tensor]:
        """Divide joined vectors: the inverse of `join`.

        Args:
            vectors: (clients, n).

        Returns:
            A vector (n,) of each client.
        """
        return vectors.unbind(0)

    def _record(self, step: "_Step") -> None:
        """Record `step` on CUDA; running statistics are restored."""
        before = self.vector.clone()
        with torch.cuda.device(self._device):
            step.record([torch.cuda.Stream() for _ in range(min(_STREAMS, len(self._networks)))])
        self.vector.copy_(before)


class _Step:
    """The backward passes of all networks on mini-batches at fixed addresses."""

    def __init__(
        self, networks: Sequence[Network], inputs: Tensor, targets: Tensor, feature_penalty: float
    ) -> None:
        self._networks = networks
        self._feature_penalty = feature_penalty
        self._inputs = inputs.clone()
        self._targets = targets.clone()
        self._losses = torch.zeros(len(networks), device=inputs.device)
        self._run: Callable[[], object] = self._pass

    def __call__(self, inputs: Tensor, targets: Tensor) -> Tensor:
        """The losses on these mini-batches, (clients,)."""
        self._inputs.copy_(inputs)
        self._targets.copy_(targets)
        self._run()
        return self._losses

    def record(self, streams: Sequence[torch.cuda.Stream]) -> None:
        """Replay a recording from now on; the networks take turns on `streams`, each a branch."""
        aside = torch.cuda.Stream()
        aside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(aside):
            for _ in range(_WARM_UPS):
                self._branches(streams)
        torch.cuda.current_stream().wait_stream(aside)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            self._branches(streams)
        self._run = graph.replay

    def _branches(self, streams: Sequence[torch.cuda.Stream]) -> None:
        main = torch.cuda.current_stream()
        for stream in streams:
            stream.wait_stream(main)
        for client in range(len(self._networks)):
            with torch.cuda.stream(streams[client % len(streams)]):
                self._backward(client)
        for stream in streams:
            main.wait_stream(stream)

    def _pass(self) -> None:
        for client in range(len(self._networks)):
            self._backward(client)

    def _backward(self, client: int) -> None:
        count = len(self._networks)
        inputs = self._inputs.chunk(count)[client]
        targets = self._targets.chunk(count)[client]
        loss = self._networks[client].backward(inputs, targets, self._feature_penalty)
        self._losses[client].copy_(loss)
