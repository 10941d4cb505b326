"""Rounds by this toolkit: a `ServerTrainer` on the prepared data, by any executor."""

from dataclasses import dataclass

import numpy as np
import torch
from gate import Gate
from work import WorkItem

from channel_models.static import Static
from optimizers import Exact
from training.data.federated import FederatedData
from training.engine.program import Train
from training.server.method import ServerMethod
from training.server.trainer import ServerTrainer
from training.structure.form import Form
from training.task import Task
from wirelessfl.experiment import Experiment, RunSettings
from wirelessfl.protocols import Runtime
from wirelessfl.rounds.one_round import run_round
from wirelessfl.values import Backlog, Delivery, Scenario


@dataclass(frozen=True, kw_only=True)
class Prepared(Task):
    """The prepared data in place of a data set and its partition."""

    setting: WorkItem
    made: dict

    @property
    def form(self):
        return Form()

    def load(self, *, clients, seed, data_root):
        made = self.made
        samples = self.setting.work.samples
        index = tuple(torch.arange(k * samples, (k + 1) * samples) for k in range(clients))
        return FederatedData(
            train_images=made["images"],
            train_labels=made["labels"],
            test_images=made["images"][:1],
            test_labels=made["labels"][:1],
            mean=made["mean"],
            std=made["std"],
            classes=10,
            train_index=index,
            test_index=(torch.zeros(1, dtype=torch.int64),) * clients,
        )


def method_of(setting, made):
    work = setting.work
    phase = Train(
        part="shared",
        learning_rate=work.learning_rate,
        momentum=work.momentum,
        weight_decay=work.weight_decay,
        stream="batches",
        steps=0 if setting.empty else None,
        epochs=None if setting.empty else 1,
    )
    return ServerMethod(
        task=Prepared(model=work.model, batch_size=work.batch_size, setting=setting, made=made),
        program=(phase,),
        personalised=False,
        count_mask_bits=False,
    )


def whole_rounds(trainer, state, clients, seed):
    """Rounds of the whole loop: channel, allocation, cell, step."""
    experiment = Experiment(
        scenario=Scenario(clients=clients, bandwidth_hz=2e6 * clients, deadline_s=1e6),
        channel=Static(),
        allocator=Exact(),
        algorithm=None,
        run=RunSettings(rounds=10**9, eval_every=10**9, seed=seed),
    )
    backlog = Backlog.none(clients)
    clock_s = 0.0
    round = 0
    while True:
        done = run_round(experiment, trainer, state, backlog, round, clock_s)
        state, backlog, clock_s = done.state, done.backlog, done.record.clock_s
        round = round + 1
        yield done.record.loss


def steps(trainer, state, clients):
    """Rounds of training alone."""
    ratios = np.zeros(clients)
    delivery = Delivery.all(clients)
    while True:
        state, metrics = trainer.step(state, ratios, delivery)
        yield metrics.loss


def main():
    setting = WorkItem.from_command_line()
    torch.set_num_threads(setting.threads)
    made = setting.load()
    work = setting.work
    runtime = Runtime(
        device=setting.device,
        executor=setting.method,
        workers=setting.threads,
        precision=setting.precision,
    )
    trainer = ServerTrainer(
        method_of(setting, made), clients=work.clients, seed=work.seed, runtime=runtime
    )
    state = trainer.init(work.seed)
    if setting.empty:
        rounds = whole_rounds(trainer, state, work.clients, work.seed)
    else:
        rounds = steps(trainer, state, work.clients)
    gate = Gate()
    while gate.opens():
        gate.done(next(rounds))
    trainer.close()


if __name__ == "__main__":
    main()
