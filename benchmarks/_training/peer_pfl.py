"""The same rounds by pfl: its backend, its federated averaging, its loop.

A callback waits between the rounds.
"""

from functools import partial

import torch
import torch.nn.functional as F
from gate import Gate
from pfl.aggregate.simulate import SimulatedBackend
from pfl.algorithm.base import NNAlgorithmParams
from pfl.algorithm.federated_averaging import FederatedAveraging
from pfl.callback.base import TrainingProcessCallback
from pfl.data.dataset import Dataset
from pfl.data.federated_dataset import FederatedDataset
from pfl.hyperparam import NNTrainHyperParams
from pfl.metrics import Metrics
from pfl.model.pytorch import PyTorchModel
from work import PlainCnn, WorkItem, normalised, rows


class Model(PlainCnn):
    """The CNN with the methods that pfl requires; the losses are kept for comparison."""

    def __init__(self):
        super().__init__()
        self.losses = []

    def loss(self, images, labels):
        loss = F.cross_entropy(self(images), labels)
        self.losses.append(loss.detach())
        return loss

    def metrics(self, images, labels):
        return {}


class PflClients:
    """All clients in order, round after round, with samples in the order of the batches."""

    def __init__(self, setting):
        self._made = setting.load()
        self._work = setting.work
        self._drawn = 0
        self._inputs, self._labels = normalised(self._made), self._made["labels"].clone()

    def draw(self):
        self._drawn += 1
        return (self._drawn - 1) % self._work.clients

    def data(self, client):
        order = rows(self._made, client, (self._drawn - 1) // self._work.clients + 1)
        return Dataset(
            raw_data=[self._inputs.index_select(0, order), self._labels.index_select(0, order)]
        )


class Wait(TrainingProcessCallback):
    """Stops the loop until the next round is requested."""

    def __init__(self, gate, model, setting):
        self._gate = gate
        self._model = model
        self._setting = setting

    def on_train_begin(self, *, model):
        self._gate.opens()
        return Metrics()

    def after_central_iteration(self, aggregate_metrics, model, *, central_iteration):
        losses = torch.stack(self._model.losses).mean().item() if self._model.losses else None
        self._model.losses.clear()
        self._gate.done(losses)
        return not self._gate.opens(), Metrics()


def main():
    setting = WorkItem.from_command_line()
    torch.set_num_threads(setting.threads)
    work = setting.work
    module = Model()
    module.load_state_dict(setting.load()["start"])
    model = PyTorchModel(
        model=module,
        local_optimizer_create=partial(
            torch.optim.SGD, momentum=work.momentum, weight_decay=work.weight_decay
        ),
        central_optimizer=torch.optim.SGD(module.parameters(), lr=1.0),
    )
    clients = PflClients(setting)
    data = FederatedDataset(clients.data, clients.draw)
    FederatedAveraging().run(
        algorithm_params=NNAlgorithmParams(
            central_num_iterations=10**6,
            evaluation_frequency=10**6,
            train_cohort_size=work.clients,
            val_cohort_size=0,
        ),
        backend=SimulatedBackend(training_data=data, val_data=data),
        model=model,
        model_train_params=NNTrainHyperParams(
            local_num_epochs=0 if setting.empty else 1,
            local_learning_rate=work.learning_rate,
            local_batch_size=work.batch_size,
        ),
        callbacks=[Wait(Gate(), module, setting)],
        send_metrics_to_platform=False,
    )


if __name__ == "__main__":
    main()
