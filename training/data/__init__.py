"""A data set divided over clients: reading, partition, augmentation; plug-ins in `datasets`."""

from training.data.card import Card
from training.data.dataset import Dataset
from training.data.federated import FederatedData

__all__ = ["Card", "Dataset", "FederatedData"]
