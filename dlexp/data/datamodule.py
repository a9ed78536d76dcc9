"""The data module: samples drawn once from independent streams, kept whole in memory."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from pytorch_lightning import LightningDataModule
from torch import Tensor

from dlexp.data.batches import BatchOrder, InMemoryLoader
from dlexp.data.generators.fixed import does_draw_both_sets
from dlexp.seeding import make_generator

TASKS = ("regression", "classification")


@dataclass(frozen=True)
class Tensors:
    """A training set and a test set: x (n, input_dim), y (n, output_dim) or int64 labels (n,)."""

    x_train: Tensor
    y_train: Tensor
    x_test: Tensor
    y_test: Tensor


class SyntheticDataModule(LightningDataModule):
    """Training and test sets of one law, the same bits for the same ``seed`` on every device.

    ``generator`` is a function ``(n, torch.Generator) -> (x, y)`` as in :mod:`dlexp.data.generators` (its
    settings bound by ``functools.partial``), or one marked by ``draws_both_sets``. The inputs of the training
    set, those of the test set and the noise of each come from four independent streams: the test set does not
    depend on ``n_train``, and the inputs do not depend on the noise. The order of the batches has a seed of
    its own, ``order_seed`` (None: ``seed``).

    ``noise``, for a regression, is the standard deviation of the Gaussian noise added to the targets; for a
    classification, the probability that a label is replaced by one of the others, uniformly. ``test_noise``
    is that of the test targets (None: as ``noise``).

    Raises ``ValueError`` for sizes below 1, a noise or batch size that is not allowed, an unknown task, and
    samples that do not have the stated shape.
    """

    def __init__(
        self,
        *,
        generator: Callable[..., tuple[Tensor, ...]],
        input_dim: int,
        output_dim: int,
        n_train: int,
        n_test: int,
        task: str = "regression",
        noise: float = 0.0,
        test_noise: float | None = None,
        batch_size: int | str = "full",
        seed: int = 0,
        order_seed: int | None = None,
    ) -> None:
        super().__init__()
        if task not in TASKS:
            raise ValueError(f"task={task!r} is unknown; allowed: {', '.join(TASKS)}")
        for name, size in (("n_train", n_train), ("n_test", n_test)):
            if size < 1:
                raise ValueError(f"{name}={size} is not allowed: it must be at least 1")
        self.test_noise = noise if test_noise is None else test_noise
        if task == "classification" and output_dim < 2:
            raise ValueError(
                f"output_dim={output_dim} is not allowed: a classification has at least 2 classes"
            )
        largest = 1.0 if task == "classification" else float("inf")
        for name, level in (("noise", noise), ("test_noise", self.test_noise)):
            if not 0 <= level <= largest:
                raise ValueError(f"{name}={level} is not allowed: it must be between 0 and {largest:g}")
        self.generator = generator
        self.input_dim, self.output_dim = input_dim, output_dim
        self.n_train, self.n_test = n_train, n_test
        self.task = task
        self.noise = noise
        self.seed = seed
        self.order = BatchOrder(n_train, batch_size, seed if order_seed is None else order_seed)
        self._drawn: Tensors | None = None
        self._placed: tuple[torch.device, torch.dtype, Tensors] | None = None

    def setup(self, stage: str | None = None) -> None:
        """Draw both sets, once."""
        if self._drawn is None:
            self._drawn = self._draw()

    def tensors(self, device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32) -> Tensors:
        """Return both sets on a device, moved there once; inputs and real targets in ``dtype``.

        The tensors are shared between calls: do not change them.
        """
        self.setup()
        assert self._drawn is not None
        device = torch.device(device)
        if self._placed is None or self._placed[:2] != (device, dtype):
            drawn = vars(self._drawn).items()
            with torch.inference_mode(False):  # of trainer.test, whose tensors could not be trained on later
                placed = {k: v.to(device, dtype if v.is_floating_point() else v.dtype) for k, v in drawn}
            self._placed = (device, dtype, Tensors(**placed))
        return self._placed[2]

    def train_dataloader(self) -> InMemoryLoader:
        """Return the training batches, from the epoch that the trainer (resumed or not) is in."""
        tensors = self._tensors_of_trainer()
        epoch = self.trainer.current_epoch if self.trainer else 0
        return InMemoryLoader(tensors.x_train, tensors.y_train, self.order, first_epoch=epoch)

    def test_dataloader(self) -> InMemoryLoader:
        """Return the test set in one batch."""
        tensors = self._tensors_of_trainer()
        return InMemoryLoader(tensors.x_test, tensors.y_test, BatchOrder(self.n_test, "full", self.seed))

    def _tensors_of_trainer(self) -> Tensors:
        if self.trainer is None:
            return self.tensors()
        module = self.trainer.lightning_module
        return self.tensors(module.device, module.dtype)  # type: ignore[arg-type]

    def _draw(self) -> Tensors:
        train_stream = make_generator("data/train", self.seed)
        if does_draw_both_sets(self.generator):
            x_train, y_train, x_test, y_test = self.generator(self.n_train, self.n_test, train_stream)
        else:
            x_train, y_train = self.generator(self.n_train, train_stream)
            x_test, y_test = self.generator(self.n_test, make_generator("data/test", self.seed))
        self._require_shapes("training", self.n_train, x_train, y_train)
        self._require_shapes("test", self.n_test, x_test, y_test)
        y_train = self._with_noise(y_train, self.noise, make_generator("data/train_noise", self.seed))
        y_test = self._with_noise(y_test, self.test_noise, make_generator("data/test_noise", self.seed))
        return Tensors(x_train, y_train, x_test, y_test)

    def _require_shapes(self, name: str, n: int, x: Tensor, y: Tensor) -> None:
        expected = (n,) if self.task == "classification" else (n, self.output_dim)
        if x.shape != (n, self.input_dim) or y.shape != expected:
            raise ValueError(
                f"the {name} set has x {tuple(x.shape)} and y {tuple(y.shape)}, but input_dim="
                f"{self.input_dim} and output_dim={self.output_dim} ask for x {(n, self.input_dim)} "
                f"and y {expected}"
            )
        if self.task == "classification" and not (
            y.dtype == torch.int64 and 0 <= y.min() <= y.max() < self.output_dim
        ):
            raise ValueError(
                f"the {name} labels are {y.dtype} from {y.min()} to {y.max()}, but output_dim="
                f"{self.output_dim} asks for int64 from 0 to {self.output_dim - 1}"
            )

    def _with_noise(self, y: Tensor, level: float, stream: torch.Generator) -> Tensor:
        if self.task == "regression":
            return y + level * torch.randn(y.shape, dtype=torch.float64, generator=stream)
        is_replaced = torch.rand(y.shape, dtype=torch.float64, generator=stream) < level
        shift = torch.randint(1, self.output_dim, y.shape, generator=stream)
        return torch.where(is_replaced, (y + shift) % self.output_dim, y)


MEASURED_ROWS = 10_000
"""Of a foreign data module, how many rows of each set are kept in memory, the first ones."""


def tensors_of(
    datamodule: LightningDataModule | None, device: torch.device, dtype: torch.dtype = torch.float32
) -> Tensors:
    """Return the data of any data module, as measures use it: of a foreign one the first rows it yields.

    Batches of a foreign one must be ``(x, y)``; without a test set its validation set, or else the training
    set, takes the place of the test set. Raises ``ValueError`` for no data module.
    """
    if datamodule is None:
        raise ValueError("datamodule=None is not allowed: measures need the data of a LightningDataModule")
    if isinstance(datamodule, SyntheticDataModule):
        return datamodule.tensors(device, dtype)
    datamodule.setup("fit")
    train = _first_rows(datamodule.train_dataloader())
    test = train
    for hook in ("test_dataloader", "val_dataloader"):
        if getattr(type(datamodule), hook) is not getattr(LightningDataModule, hook):
            if hook == "test_dataloader":
                datamodule.setup("test")
            test = _first_rows(getattr(datamodule, hook)())
            break
    placed = [t.to(device, dtype if t.is_floating_point() else t.dtype) for t in (*train, *test)]
    return Tensors(*placed)


def _first_rows(loader: Any) -> tuple[Tensor, Tensor]:
    xs, ys, rows = [], [], 0
    for x, y in loader:
        xs.append(x)
        ys.append(y)
        rows += len(x)
        if rows >= MEASURED_ROWS:
            break
    return torch.cat(xs)[:MEASURED_ROWS], torch.cat(ys)[:MEASURED_ROWS]
