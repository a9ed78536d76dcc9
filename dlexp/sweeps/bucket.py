"""The members that share one stack, with their data and batches stacked beside them."""

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dlexp.sweeps.member import Member
from dlexp.sweeps.stack import Stack
from dlexp.training.losses import ERRORS


def member_losses(loss: str, outputs: Tensor, targets: Tensor) -> Tensor:
    """Return each member's loss (M,) from outputs (M, B, K) and targets (M, B, K) or labels (M, B)."""
    mean: Tensor
    if loss == "cross_entropy":
        flat: Tensor = F.cross_entropy(outputs.flatten(0, 1), targets.flatten(), reduction="none")
        return flat.view(targets.shape).mean(dim=1)
    mean = ((outputs - targets) ** 2).mean(dim=(1, 2))
    return 0.5 * mean if loss == "half_mse" else mean


class Bucket(nn.Module):
    """Members of about the same width, their data and their batches."""

    def __init__(self, members: Sequence[Member]) -> None:
        super().__init__()
        self.members = list(members)
        self.stack = Stack([member.network for member in members])
        self.loss = members[0].loss_name
        self.order = members[0].order
        self.data: dict[str, tuple[Tensor, Tensor]] = {}
        self.masks: list[tuple[Tensor, Tensor]] = []
        self._epoch: list[tuple[Tensor, Tensor]] = []

    def place(self) -> None:
        """Stack the members' data, which lies on the training device; make the members views."""
        self.stack.adopt()
        for split in ("train", "test"):
            x, y = (
                torch.stack([getattr(member.tensors, f"{name}_{split}") for member in self.members])
                for name in ("x", "y")
            )
            self.data[split] = (x, y)
        self._epoch = [self.data["train"]]

    def shuffle(self, permutations: Mapping[int, Tensor]) -> None:
        """Gather the batches of an epoch, given the permutation (n,) of each order seed."""
        rows = torch.stack([permutations[member.order.seed] for member in self.members])
        x, y = self.data["train"]
        which = torch.arange(len(rows), device=x.device)[:, None]
        size = self.order.batch_size
        x_batches, y_batches = x[which, rows].split(size, dim=1), y[which, rows].split(size, dim=1)
        self._epoch = list(zip(x_batches, y_batches, strict=True))

    def total_loss(self, index: int) -> Tensor:
        """Return the sum of the members' losses on batch ``index`` of the epoch; gradients stay apart."""
        x, y = self._epoch[index]
        losses = member_losses(self.loss, self.stack(x), y)
        return losses.sum()

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
        norms = [torch.linalg.vector_norm(p.flatten(1), dim=1) for p in self.stack.parameters()]
        norm: Tensor = torch.linalg.vector_norm(torch.stack(norms), dim=0)
        return norm

    @torch.no_grad()
    def take_masks(self) -> None:
        """Stack the masks that the members now have."""
        self.masks = []
        for name, _ in self.members[0].network.named_parameters():
            if any(name in member.masks for member in self.members):
                parameter = self.stack.parameter_of(name)
                mask = torch.ones_like(parameter)
                for position, member in enumerate(self.members):
                    if name in member.masks:
                        own = member.masks[name]
                        mask[position][tuple(slice(size) for size in own.shape)] = own.to(mask.dtype)
                self.masks.append((parameter.data, mask))
