"""Base of server-based algorithms; torch is imported when training begins."""

from dataclasses import dataclass, field

from training.method_based import MethodBased
from training.server.method import ServerMethod
from training.sparsity.quantise import UploadPrecision
from wirelessfl.protocols import Runtime, Trainer


@dataclass(frozen=True, kw_only=True)
class ServerBased(MethodBased[ServerMethod]):
    """Base of algorithm plug-ins that are described by a `ServerMethod`.

    Attributes:
        upload: Bits of a weight in the uploads.
    """

    upload: UploadPrecision = field(default_factory=UploadPrecision)

    @staticmethod
    def trainer_type(
        method: ServerMethod, /, *, clients: int, seed: int, runtime: Runtime
    ) -> Trainer:
        """A trainer of the method, see `MethodBased.trainer`.

        Args:
            method: The algorithm as data.
            clients: Number of clients K.
            seed: Seed of the partition.
            runtime: Device, executor and precision.

        Returns:
            The trainer.
        """
        from training.server.trainer import ServerTrainer

        return ServerTrainer(method, clients=clients, seed=seed, runtime=runtime)
