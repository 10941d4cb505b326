"""Common training loops.

Naive: a deep copy and a DataLoader for each client. Lean: one model, and tensors. Best: lean with
fused SGD, images in channels_last and pools before ReLU, one thread as the engine.
"""

import copy
from functools import partial

import torch
import torch.nn.functional as F
from gate import Gate
from PIL import Image
from torch.utils.data import DataLoader, Dataset, TensorDataset
from work import PlainCnn, WorkItem, lean_epoch, normalised, rows

from training.data.torchvision_shim import torchvision
from wirelessfl import plugins


class Photographs(Dataset):
    """A client's data set as torchvision's: a PIL image, transformed whenever it is read."""

    def __init__(self, images, labels, transform):
        self._images = images.permute(0, 2, 3, 1).numpy()
        self._labels = labels.tolist()
        self._transform = transform

    def __len__(self):
        return len(self._labels)

    def __getitem__(self, row):
        return self._transform(Image.fromarray(self._images[row].squeeze())), self._labels[row]


def data_sets(setting, made):
    """One data set for each client."""
    clients = range(setting.work.clients)
    parts = [slice(k * setting.work.samples, (k + 1) * setting.work.samples) for k in clients]
    if setting.method == "naive-tensors":
        inputs = normalised(made)
        return [TensorDataset(inputs[part], made["labels"][part]) for part in parts]
    torchvision()
    from torchvision import transforms

    channels = made["images"].shape[1]
    scale = transforms.Normalize((made["mean"] / 255,) * channels, (made["std"] / 255,) * channels)
    transform = transforms.Compose([transforms.ToTensor(), scale])
    return [Photographs(made["images"][part], made["labels"][part], transform) for part in parts]


def naive_round(setting, made, sets, model, round):
    work = setting.work
    states = []
    losses = []
    for client in range(work.clients):
        local = copy.deepcopy(model)
        optimizer = torch.optim.SGD(
            local.parameters(),
            lr=work.learning_rate,
            momentum=work.momentum,
            weight_decay=work.weight_decay,
        )
        local.train()
        batch_losses = []
        if not setting.empty:
            order = (rows(made, client, round) - client * work.samples).tolist()
            for images, labels in DataLoader(
                sets[client], batch_size=work.batch_size, sampler=order
            ):
                images = images.to(setting.device)
                labels = labels.to(setting.device)
                optimizer.zero_grad()
                loss = F.cross_entropy(local(images), labels)
                loss.backward()
                optimizer.step()
                batch_losses.append(loss.item())
            losses.append(sum(batch_losses) / len(batch_losses))
        states.append(copy.deepcopy(local.state_dict()))
    average = states[0]
    for name, total in average.items():
        for state in states[1:]:
            total += state[name]
        average[name] = total / len(states) if total.is_floating_point() else total
    model.load_state_dict(average)
    return sum(losses) / len(losses) if losses else None


def lean_round(setting, made, data, model, round):
    work = setting.work
    inputs, labels = data
    numbers = [
        tensor.detach() for tensor in model.state_dict().values() if tensor.is_floating_point()
    ]
    start = [tensor.clone() for tensor in numbers]
    total = [torch.zeros_like(tensor) for tensor in numbers]
    losses = []
    for client in range(work.clients):
        torch._foreach_copy_(numbers, start)
        if not setting.empty:
            losses.append(
                lean_epoch(
                    model,
                    work,
                    inputs,
                    labels,
                    rows(made, client, round).to(setting.device),
                    **{"fused" if setting.method == "best" else "foreach": True},
                )
            )
        torch._foreach_add_(total, numbers, alpha=1 / work.clients)
    torch._foreach_copy_(numbers, total)
    return sum(losses) / len(losses) if losses else None


def main():
    setting = WorkItem.from_command_line()
    torch.set_num_threads(setting.threads)
    made = setting.load()
    best = setting.method == "best"
    if setting.work.model == "cnn":
        model = PlainCnn(pool_first=best)
    else:
        model = plugins.load("models", setting.work.model)()
    model.load_state_dict(made["start"], strict=False)  # no counts of batches
    model.to(setting.device).train()
    if best or setting.method == "lean":
        inputs = normalised(made).to(setting.device)
        if best and inputs.ndim == 4:
            inputs = inputs.to(memory_format=torch.channels_last)
            model.to(memory_format=torch.channels_last)
        one_round = partial(lean_round, setting, made, (inputs, made["labels"].to(setting.device)))
    else:
        one_round = partial(
            naive_round, setting, made, None if setting.empty else data_sets(setting, made)
        )
    gate = Gate()
    while gate.opens():
        loss = one_round(model, gate.asked)
        if setting.device != "cpu":
            torch.cuda.synchronize()
        gate.done(loss)


if __name__ == "__main__":
    main()
