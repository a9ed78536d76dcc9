"""Networks that share one stack, with their data and batches stacked beside them."""

from collections.abc import Mapping, Sequence
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dlexp.sweeps.backpropagation import Backpropagation
from dlexp.sweeps.stack import Stack
from dlexp.training.learner import Trainee
from dlexp.training.losses import ERRORS


def member_losses(loss: str, outputs: Tensor, targets: Tensor) -> Tensor:
    """Return each member's loss (M,) from outputs (M, B, K) and targets (M, B, K) or labels (M, B)."""
    mean: Tensor
    if loss == "cross_entropy":
        flat: Tensor = F.cross_entropy(outputs.flatten(0, 1), targets.flatten(), reduction="none")
        return flat.view(targets.shape).mean(dim=1)
    mean = ((outputs - targets) ** 2).mean(dim=(1, 2))
    return 0.5 * mean if loss == "half_mse" else mean


class Bucket:
    """Networks of about the same width, their data and their batches."""

    def __init__(self, trainees: Sequence[Trainee]) -> None:
        self.trainees = list(trainees)
        self.stack = Stack([cast(nn.Sequential, trainee.network) for trainee in trainees])
        self.loss = trainees[0].loss_name
        self.order = trainees[0].order
        self.data: dict[str, tuple[Tensor, Tensor]] = {
            split: (self._stacked(f"x_{split}"), self._stacked(f"y_{split}")) for split in ("train", "test")
        }
        self._epoch = [self.data["train"]]
        self._backpropagation = Backpropagation(self.stack, self.loss)
        self.masks: list[tuple[Tensor, Tensor]] = []
        self.take_masks()

    def _stacked(self, name: str) -> Tensor:
        return torch.stack([getattr(trainee.tensors, name) for trainee in self.trainees])

    def shuffle(self, permutations: Mapping[int, Tensor]) -> None:
        """Gather the batches of an epoch, given the permutation (n,) of each order seed, on the CPU."""
        rows = torch.stack([permutations[trainee.order.seed] for trainee in self.trainees])
        count, n = rows.shape
        rows = _sent((rows + n * torch.arange(count)[:, None]).flatten(), self.data["train"][0].device)
        # One gather an epoch: its batches are views.
        x, y = (
            whole.flatten(0, 1).index_select(0, rows).view(whole.shape).split(self.order.batch_size, dim=1)
            for whole in self.data["train"]
        )
        self._epoch = list(zip(x, y, strict=True))

    def batch(self, index: int) -> tuple[Tensor, Tensor]:
        """Return batch ``index`` of the epoch: inputs (M, B, input_dim) and targets (M, B, ...)."""
        return self._epoch[index]

    def compute_gradients(self, x: Tensor, y: Tensor) -> None:
        """Set each network's gradient on a batch."""
        self._backpropagation(x, y)

    @torch.no_grad()
    def evaluate(self, split: str) -> dict[str, Tensor]:
        """Return each member's loss (M,) over a whole set, and for classes the error, by metric name."""
        x, y = self.data[split]
        outputs = self.stack(x)
        metrics = {f"{split}/loss": member_losses(self.loss, outputs, y)}
        if self.loss in ERRORS:
            wrong = outputs.argmax(dim=-1) != y
            metrics[f"{split}/error"] = wrong.to(outputs.dtype).mean(dim=1)
        return metrics

    @torch.no_grad()
    def weight_norms(self) -> Tensor:
        """Return the norm (M,) of each member's parameters; padding is 0 and adds nothing."""
        norms = [torch.linalg.vector_norm(p.flatten(1), dim=1) for p in self.stack.parameters.values()]
        norm: Tensor = torch.linalg.vector_norm(torch.stack(norms), dim=0)
        return norm

    @torch.no_grad()
    def take_masks(self) -> None:
        """Stack the masks that the members now have."""
        self.masks = []
        for name, parameter in self.stack.parameters.items():
            if any(name in trainee.masks for trainee in self.trainees):
                mask = torch.ones_like(parameter)
                for position, trainee in enumerate(self.trainees):
                    if name in trainee.masks:
                        own = self.stack.view_of_member(position, name, mask[position])
                        own.copy_(trainee.masks[name])
                self.masks.append((parameter.data, mask))


def _sent(tensor: Tensor, device: torch.device) -> Tensor:
    """Return a tensor of the CPU on the device, without waiting for what the device has still to do."""
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor.to(device)
