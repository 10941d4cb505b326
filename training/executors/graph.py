"""Graph: the clients' plain steps side by side as one recorded CUDA graph, which starts as one
launch.
"""

import copy
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from training.data.federated import FederatedData
from training.engine.engine import EngineSpec
from training.engine.network import Network
from training.executors.stacked import Stacked
from training.structure.layout import Part

_STREAMS = 16  # branches that run at the same time
_MOST_STEPS = 8  # of different batches or parts, each with the activations of its recording
_WARM_UPS = 3  # eager passes in which libraries choose their kernels, which a recording must not do


class Graph(Stacked):
    """As `Stacked`, with the models' own kernels: any model, also one with other layers or a closed
    form.
    """

    def __init__(self, spec: EngineSpec, data: FederatedData, most: int = 0) -> None:
        super().__init__(spec, data, most, make=Lanes)


class Lanes:
    """`clients` networks side by side, each on its row of the numbers; a step is all their backward
    passes.

    On CUDA the step of each shape of batch and each part is recorded once, with the networks as
    parallel branches, and replayed; batches are copied to where the recording reads them. Elsewhere
    the same step runs as it is written.
    """

    def __init__(self, network: Network, clients: int) -> None:
        self._device, self.layout = network.vector.device, network.layout
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
        """Gradients for `part` only."""
        self._part = part
        for network in self._networks:
            network.require(part)

    def backward(self, inputs: Tensor, targets: Tensor, feature_penalty: float = 0.0) -> Tensor:
        """Put each client's gradient of its mean loss into `gradient`; the losses, (clients,)."""
        key = (inputs.shape, self._part, feature_penalty)
        step = self._steps.pop(key, None)
        if step is None:
            step = _Step(self._networks, inputs, targets, feature_penalty)
            if self._device.type == "cuda":
                self._record(step)
        self._steps[key] = step  # the last used one is the last
        if len(self._steps) > _MOST_STEPS:
            del self._steps[next(iter(self._steps))]
        return step(inputs, targets)

    def training(self, mode: bool) -> None:
        """BatchNorm by the batch's own statistics (which move the running ones) or by the running
        ones.
        """
        for network in self._networks:
            network.training(mode)

    def join(self, rows: Sequence[Tensor]) -> Tensor:
        """The numbers of each client as rows."""
        return torch.stack(list(rows))

    def divide(self, values: Tensor) -> Sequence[Tensor]:
        """The rows."""
        return values.unbind(0)

    def _record(self, step: "_Step") -> None:
        """Record `step` on CUDA; running statistics are as before."""
        before = self.vector.clone()
        with torch.cuda.device(self._device):
            step.record([torch.cuda.Stream() for _ in range(min(_STREAMS, len(self._networks)))])
        self.vector.copy_(before)


class _Step:
    """The backward passes of all networks on batches that lie at a fixed place."""

    def __init__(
        self, networks: Sequence[Network], inputs: Tensor, targets: Tensor, feature_penalty: float
    ) -> None:
        self._networks, self._feature_penalty = networks, feature_penalty
        self._inputs, self._targets = inputs.clone(), targets.clone()
        self._losses = torch.zeros(len(networks), device=inputs.device)
        self._run: Callable[[], object] = self._pass

    def __call__(self, inputs: Tensor, targets: Tensor) -> Tensor:
        """The losses on these batches."""
        self._inputs.copy_(inputs)
        self._targets.copy_(targets)
        self._run()
        return self._losses

    def record(self, streams: Sequence[torch.cuda.Stream]) -> None:
        """From now on replay a recording in which the networks take turns on `streams`, each a
        branch.
        """
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
        for lane in range(len(self._networks)):
            with torch.cuda.stream(streams[lane % len(streams)]):
                self._backward(lane)
        for stream in streams:
            main.wait_stream(stream)

    def _pass(self) -> None:
        for lane in range(len(self._networks)):
            self._backward(lane)

    def _backward(self, lane: int) -> None:
        count = len(self._networks)
        inputs, targets = self._inputs.chunk(count)[lane], self._targets.chunk(count)[lane]
        self._losses[lane].copy_(
            self._networks[lane].backward(inputs, targets, self._feature_penalty)
        )
