"""The learning task: a data set, its division over clients, a model."""

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from training.data import partition as _partition
from training.data.card import Card
from training.data.counts import MOST_SIZE_SIGMA, Index
from training.data.frame import framed, framed_shape
from training.engine.program import Program, in_epochs
from training.structure.build import check_fit, check_without
from training.structure.form import Form
from training.structure.personal import NONE, Personal
from training.structure.shapes import check_known, known_form, known_shapes
from wirelessfl import plugins
from wirelessfl.border.budget import check_budget
from wirelessfl.border.gate import PluginError, inside
from wirelessfl.errors import InputError, check_choice, check_count, check_number
from wirelessfl.rng import Streams
from wirelessfl.text import in_full

if TYPE_CHECKING:  # torch takes a second, and a plan needs shapes only
    import torch

    from training.data.dataset import Dataset
    from training.data.federated import FederatedData

Partition = Literal["iid", "shards", "labels", "dirichlet", "natural"]
Augmentation = Literal["none", "crop-flip"]
EvaluatedOn = Literal["test", "validation"]
TestedOn = Literal["own", "whole"]
LabelChoice = Literal["balanced", "uniform"]
ScoreMean = Literal["clients", "samples"]
Pixels = Literal["standardised", "symmetric"]

SIZED = ("iid", "dirichlet")  # partitions in which numbers of samples can be log-normal
UNLABELLED = ("iid", "natural")  # partitions that need no classes
# Bytes of a model and of its training for each value of an input.
_BYTES_PER_INPUT = 4000
SAMPLES = ("train_samples", "test_samples")


@dataclass(frozen=True, kw_only=True)
class Task:
    """A learning task: plug-ins for data set and model, and the division of samples over clients.

    A client is tested on the whole test set (`iid`), on all test samples of its classes (`shards`,
    `labels`), or on a part of the test set with its fraction of each class (`dirichlet`). A
    `natural` client is tested on its own test samples where the data set assigns them, else on the
    whole test set.

    The model is made for the data's channels and classes, see `training.structure.build.Form`.

    **Differs:** [WFL] only says "non-IID"; two labels per client, tested on these two, is our
    reading.

    Attributes:
        dataset: Name of the data set's plug-in; in Python also a class.
        model: Name of the model's plug-in; in Python also a class.
        partition: `iid`; `shards` of samples sorted by label; `labels`, exactly `labels_per_client`
            classes each; `dirichlet`, class fractions drawn with `dirichlet_alpha`; `natural`, as
            many of the data set's own clients (writers, blogs) as there are clients, drawn by the
            seed.
        labels_per_client: Classes of a client with `labels`.
        shards_per_client: Shards of a client with `shards`.
        dirichlet_alpha: Concentration of `dirichlet`, above 0.
        batch_size: Samples of a mini-batch (128 in [WFL]).
        size_sigma: Above 0, numbers of samples of `iid` and `dirichlet` clients are log-normal with
            this standard deviation of the logarithm.
        augmentation: Augmentation of images in training: `crop-flip` pads, crops and mirrors them.
        evaluate_on: `validation` tests on the rows that the data set holds out for choosing
            settings in place of the test set.
        image_size: Height and width in pixels of a black frame around images; none if None.
        image_channels: Channels to which grey images are repeated; none if None.
        width: Fraction of the channels of each declared group, at least one: a narrower network,
            which is the whole one of the run.
        train_samples: Number of training rows, drawn by the seed with the fractions of the classes;
            all if None. Not for `natural`.
        test_samples: Number of test rows, as `train_samples`.
        tested_on: `whole` tests every client on the whole test set: the accuracy of one global
            model.
        label_choice: Choice of the classes with `labels`: `balanced`, each class on equally many
            clients, or `uniform`.
        train_fraction: Each client keeps the first int(n x `train_fraction`), at least one, of its
            n training rows of each class.
        without: Names of optional parts of the model that are omitted.
        pixels: `standardised` by mean and deviation of all training pixels, or `symmetric`, their
            range mapped to [-1, 1].
        personal: Parts of the model that stay with the clients, in an algorithm that divides it
            (`fedalt`, `fedsim`): `features`, all but the last layer; `head`, the last one; `none`;
            or names of modules and parameters such as `["conv1", "fc1.bias"]`. Not set: those that
            the model declares. Without effect in an algorithm that shares the whole model.
        score_mean: Mean that a run records as its accuracy (R^2 of a regression): over `clients`,
            each of which counts as much, or by their numbers of test `samples`.

    Example:
        >>> Task(dataset="mnist", model="mnist-cnn", partition="iid").nominal_epoch(clients=6)
        79
    """

    dataset: str = "digits"
    model: str = "digits-cnn"
    partition: Partition = "labels"
    labels_per_client: int = 2
    shards_per_client: int = 2
    dirichlet_alpha: float = 0.5
    batch_size: int = 128
    size_sigma: float = 0.0
    augmentation: Augmentation = "none"
    evaluate_on: EvaluatedOn = "test"
    image_size: int | None = None
    image_channels: int | None = None
    width: float = 1.0
    train_samples: int | None = None
    test_samples: int | None = None
    tested_on: TestedOn = "own"
    label_choice: LabelChoice = "balanced"
    train_fraction: float = 1.0
    without: tuple[str, ...] = ()
    pixels: Pixels = "standardised"
    score_mean: ScoreMean = "clients"
    personal: Personal = None

    def __post_init__(self) -> None:
        for kind, field in (("datasets", "dataset"), ("models", "model")):
            name = plugins.named(kind, getattr(self, field))  # a class is given a name
            check_known(kind, name)
            object.__setattr__(self, field, name)
        check_choice("training.partition", self.partition, get_args(Partition))
        for name in ("labels_per_client", "shards_per_client", "batch_size"):
            check_count(f"training.{name}", getattr(self, name))
        check_number("training.dirichlet_alpha", self.dirichlet_alpha, above=0)
        check_number("training.size_sigma", self.size_sigma, at_least=0, at_most=MOST_SIZE_SIGMA)
        if self.size_sigma > 0 and self.partition not in SIZED:
            raise InputError(
                f"training.size_sigma must be 0 unless training.partition is {' or '.join(SIZED)}, "
                f"got {in_full(self.size_sigma)} with {self.partition!r}"
            )
        check_choice("training.augmentation", self.augmentation, get_args(Augmentation))
        check_choice("training.evaluate_on", self.evaluate_on, get_args(EvaluatedOn))
        check_choice("training.tested_on", self.tested_on, get_args(TestedOn))
        check_choice("training.pixels", self.pixels, get_args(Pixels))
        check_choice("training.score_mean", self.score_mean, get_args(ScoreMean))
        check_choice("training.label_choice", self.label_choice, get_args(LabelChoice))
        for name in ("image_size", "image_channels", *SAMPLES):
            if getattr(self, name) is not None:
                check_count(f"training.{name}", getattr(self, name))
                if name in SAMPLES and self.partition == "natural":
                    raise InputError(
                        f"training.{name} must not be given with training.partition 'natural', "
                        f"whose clients have their own samples; got {getattr(self, name)}"
                    )
        for name in ("width", "train_fraction"):
            check_number(f"training.{name}", getattr(self, name), above=0, at_most=1)
        check_without(self.model, self.without)

    @property
    def personalises(self) -> bool:
        """False where nothing stays with the clients, in an algorithm that divides the model."""
        return self.personal not in (NONE, ())

    @property
    def form(self) -> Form:
        """Form of the model, as far as the data set's plug-in knows it without its files.

        Raises:
            InputError: The model cannot be made in this form.
        """
        data = known_form(self.dataset) or self._card_form
        form = replace(data, width=self.width, without=self.without)
        if data.input_shape is not None:
            shape = self._framed(data.input_shape)
            form = replace(form, input_shape=shape)
            if known_shapes(self.model, form) is None:
                self._check_size(shape)
                check_fit(self.model, form, f"data set {self.dataset!r}")
        return form

    def _check_size(self, shape: tuple[int, ...]) -> None:
        """Refuse images that take more memory than the budget, or models for them."""
        rows = sum(size or 0 for size in (self._card.train, self._card.test)) if self._card else 0
        check_budget(
            f"training.image_channels and training.image_size: {rows} images of shape {shape}",
            "bytes",
            (rows + _BYTES_PER_INPUT) * math.prod(shape),
        )

    def input_files(self, data_root: Path | None) -> dict[str, Path]:
        """The files of the data set.

        Args:
            data_root: Folder of data sets; that of WIRELESSFL_DATA if None.

        Returns:
            The files by name; empty for an embedded data set or one without a card.

        Raises:
            InputError: Files are missing.
        """
        files = {} if self._card is None else self._card.files(data_root)
        return {f"$WIRELESSFL_DATA/{name}": file for name, file in files.items()}

    def nominal_epoch(self, clients: int) -> int:
        """Steps of an epoch of clients with equally many samples, before the data are read.

        The samples are `train_fraction` of `train_samples`, else of those of the data set's card;
        for natural clients, of its mean.

        Args:
            clients: Number of clients K.

        Returns:
            Steps of each client's epoch.

        Raises:
            InputError: The number of samples is not known in advance.
        """
        check_count("clients", clients)
        natural = self.partition == "natural"
        samples = self.train_samples
        if samples is None and self._card is not None:
            samples = self._card.client_train if natural else self._card.train
        if samples is None:
            raise InputError(
                f"training.dataset {self.dataset!r} does not tell its samples before it is read: "
                "the length of local epochs is not known, give steps"
            )
        samples = max(1, int(samples * self.train_fraction))
        return -(-samples // (self.batch_size * (1 if natural else clients)))

    def epoch_steps(self, clients: int, program: Program) -> list[int]:
        """Nominal steps of each client's epoch, as far as a program needs them.

        Args:
            clients: Number of clients K.
            program: The clients' local training.

        Returns:
            `nominal_epoch` for each of the K clients, 0 for a program without epochs.

        Raises:
            InputError: The program has epochs and the number of samples is not known in advance.
        """
        steps = self.nominal_epoch(clients) if in_epochs(program) else 0
        return [steps] * clients

    def load(self, *, clients: int, seed: int, data_root: Path | None) -> "FederatedData":
        """The data set divided over clients, the same for the same seed.

        Args:
            clients: Number of clients K.
            seed: Seed of the division.
            data_root: Folder of data sets; that of WIRELESSFL_DATA if None.

        Returns:
            The divided data set.

        Raises:
            InputError: Data are missing or damaged, do not fit the model, or cannot be divided.
        """
        data = self.divide(clients=clients, seed=seed, data_root=data_root)
        shape = self._framed(tuple(data.train_images.shape[1:]))
        if shape != data.train_images.shape[1:]:
            data = replace(
                data,
                train_images=framed(data.train_images, shape),
                test_images=framed(data.test_images, shape),
            )
        self._check_model(data)
        return data

    def divide(self, *, clients: int, seed: int, data_root: Path | None) -> "FederatedData":
        """The data set divided over clients, as `load` but for any model.

        Args:
            clients: Number of clients K.
            seed: Seed of the division.
            data_root: Folder of data sets; that of WIRELESSFL_DATA if None.

        Returns:
            The divided data set, without a frame around images.

        Raises:
            InputError: Data are missing or damaged, or cannot be divided.
        """
        from training.data.dataset import Dataset
        from training.data.federated import FederatedData
        from training.data.subset import first_fraction, subset

        check_count("clients", clients)
        with inside("dataset", self.dataset):
            dataset: Dataset = plugins.load("datasets", self.dataset)().load(data_root)
        if not isinstance(dataset, Dataset):
            raise PluginError(
                f"dataset {self.dataset!r}: load must return a Dataset, got {dataset!r}"
            )
        if self.evaluate_on == "validation":
            dataset = self._validating(dataset)
        self._check_division(dataset)
        if self.pixels == "symmetric":
            dataset = _symmetric(dataset)
        dataset = subset(dataset, self.train_samples, self.test_samples, Streams(seed))
        train_index, test_index = self._divide(
            dataset, clients, Streams(seed).generator("partition")
        )
        train_index = first_fraction(dataset.train_labels, train_index, self.train_fraction)
        if self.tested_on == "whole":
            test_index = _partition.whole_test_sets(dataset.test_labels.numpy(), clients)
        return FederatedData(
            train_images=dataset.train_images,
            train_labels=dataset.train_labels,
            test_images=dataset.test_images,
            test_labels=dataset.test_labels,
            mean=dataset.mean,
            std=dataset.std,
            classes=dataset.classes,
            train_index=_tensors(train_index),
            test_index=_tensors(test_index),
            augmentation=self.augmentation,
            provenance=dataset.provenance,
        )

    def _divide(
        self, dataset: "Dataset", clients: int, rng: np.random.Generator
    ) -> tuple[list[Index], list[Index]]:
        """Training and test rows of each client."""
        labels = dataset.train_labels.numpy()
        test_labels = dataset.test_labels.numpy()
        classes = dataset.classes
        match self.partition:
            case "iid":
                train = _partition.iid(labels, clients, rng, size_sigma=self.size_sigma)
                return train, _partition.whole_test_sets(test_labels, clients)
            case "shards":
                train = _partition.shards(
                    labels, clients, rng, shards_per_client=self.shards_per_client
                )
                return train, _partition.matching_test_sets(labels, train, test_labels)
            case "labels":
                train = _partition.equal_labels(
                    labels,
                    clients,
                    rng,
                    classes=classes,
                    labels_per_client=self.labels_per_client,
                    choice=self.label_choice,
                )
                return train, _partition.matching_test_sets(labels, train, test_labels)
            case "dirichlet":
                train = _partition.dirichlet(
                    labels,
                    clients,
                    rng,
                    classes=classes,
                    alpha=self.dirichlet_alpha,
                    size_sigma=self.size_sigma,
                )
                return train, _partition.proportional_test_sets(
                    labels, train, test_labels, rng, classes=classes
                )
            case "natural":
                return self._natural(dataset, clients, rng)

    def _natural(
        self, dataset: "Dataset", clients: int, rng: np.random.Generator
    ) -> tuple[list[Index], list[Index]]:
        """Training and test rows of natural clients."""
        owner = dataset.train_client
        test_owner = dataset.test_client
        if owner is None:
            raise InputError(
                f"training.partition 'natural' must have a data set with clients of its own, "
                f"got {self.dataset!r}"
            )
        chosen = _partition.natural(owner.numpy(), clients, rng, dataset=self.dataset)
        train = _partition.rows_of(owner.numpy(), chosen)
        if test_owner is None:
            return train, _partition.whole_test_sets(dataset.test_labels.numpy(), clients)
        return train, _partition.rows_of(test_owner.numpy(), chosen)

    def _validating(self, dataset: "Dataset") -> "Dataset":
        """The data set with its validation rows as the test set."""
        if dataset.validation is None:
            raise InputError(
                f"training.evaluate_on must be 'test' for data set {self.dataset!r}, which holds "
                "no rows out, got 'validation'"
            )
        images, labels = dataset.validation
        return replace(dataset, test_images=images, test_labels=labels, test_client=None)

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the data set's classes in the order of the labels; empty without names."""
        return () if self._card is None else self._card.class_names

    @property
    def _card(self) -> Card | None:
        return getattr(plugins.load("datasets", self.dataset), "card", None)

    @property
    def _card_form(self) -> Form:
        """Input shape and classes by the data set's card; unknown without one."""
        card = self._card
        return Form() if card is None else Form(input_shape=card.shape, classes=card.classes)

    def _framed(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        if self.image_size is None and self.image_channels is None:
            return shape
        return framed_shape(
            shape, self.image_size, self.image_channels, f"data set {self.dataset!r}"
        )

    def _check_model(self, data: "FederatedData") -> None:
        model: Any = plugins.load("models", self.model)
        shape = tuple(data.train_images.shape[1:])
        labelled = not data.train_labels.is_floating_point()
        form = Form(input_shape=shape, classes=data.classes)
        check_fit(self.model, form, f"data set {self.dataset!r}")
        self._check_tokens(model, data)
        if self._card is None and (model.input_shape, model.classes) != (shape, data.classes):
            raise InputError(
                f"data set {self.dataset!r} must have a card with its shape and classes for "
                f"training.model {self.model!r} to be made for it"
            )
        if (getattr(model, "loss", "cross-entropy") == "cross-entropy") != labelled:
            kind = "classes" if labelled else "numbers"
            raise InputError(
                f"training.model {self.model!r} must predict {kind} for data set {self.dataset!r}"
            )

    def _check_tokens(self, model: Any, data: "FederatedData") -> None:
        """Refuse tokens for a model of numbers, numbers for one of tokens, and unknown tokens."""
        vocabulary: int | None = getattr(model, "vocabulary", None)
        images = data.train_images
        tokens = not images.is_floating_point() and images.ndim == 2
        if tokens != (vocabulary is not None):
            kinds = ("tokens", "numbers") if tokens else ("numbers", "tokens")
            raise InputError(
                f"training.model {self.model!r} must take {kinds[0]} for data set "
                f"{self.dataset!r}, got a model for {kinds[1]} (its class has "
                f"{'no' if tokens else 'a'} vocabulary)"
            )
        if vocabulary is not None:
            most = max(int(images.max()), int(data.test_images.max()))
            if most >= vocabulary:
                raise InputError(
                    f"training.model {self.model!r} must have a vocabulary above {most}, the "
                    f"largest token of data set {self.dataset!r}, got {vocabulary}"
                )

    def _check_division(self, dataset: "Dataset") -> None:
        if not dataset.is_labelled and self.partition not in UNLABELLED:
            raise InputError(
                f"training.partition must be {' or '.join(UNLABELLED)} for data set "
                f"{self.dataset!r}, whose targets are numbers; got {self.partition!r}"
            )
        for name, usual in (("augmentation", "none"), ("pixels", "standardised")):
            if getattr(self, name) != usual and dataset.train_images.ndim != 4:
                raise InputError(
                    f"training.{name} must be {usual!r} for data set {self.dataset!r}, whose "
                    f"inputs are no images; got {getattr(self, name)!r}"
                )


def _symmetric(dataset: "Dataset") -> "Dataset":
    """The data set normalised so that its training pixels range from -1 to 1."""
    least, most = (float(end) for end in dataset.train_images.aminmax())
    return replace(dataset, mean=(least + most) / 2.0, std=(most - least) / 2.0)


def _tensors(index: list[Index]) -> "tuple[torch.Tensor, ...]":
    """One tensor for each array; arrays that clients share stay shared."""
    import torch

    tensors = {id(rows): torch.from_numpy(rows) for rows in index}
    return tuple(tensors[id(rows)] for rows in index)
