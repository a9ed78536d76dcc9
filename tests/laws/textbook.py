"""Training as a textbook has it: torch.optim, a loop, a permutation an epoch. It knows nothing of dlexp."""

import math
from collections.abc import Callable, Collection

import torch
from torch import Tensor, nn


def train(
    network: nn.Module,
    training_set: tuple[Tensor, Tensor],
    test_set: tuple[Tensor, Tensor],
    loss_of: Callable[[Tensor, Tensor], Tensor],
    optimizer: torch.optim.Optimizer,
    *,
    batch_size: int,
    order: Callable[[int], Tensor],
    rate: Callable[[float], float],
    steps: int,
    looks: Collection[int],
    checks: Collection[int],
    is_over: Callable[[dict[int, float]], bool],
    clip: Callable[[nn.Module], None] = lambda network: None,
) -> tuple[str, int, dict[int, tuple[float, float]]]:
    """Train a network in place; return how it ended, after how many steps, and both losses at ``looks``.

    Training ends as ``diverged`` when the training loss is not finite after one of the steps ``looks`` or
    ``checks``, and when at one of ``checks`` the training losses at those so far say that it ``is_over``.
    ``order(epoch)`` is the permutation of the rows, ``rate(t)`` what multiplies the learning rates at the
    share t of all steps; ``clip(network)`` may change the gradients before a step.
    """
    x, y = training_set
    full_rates = [group["lr"] for group in optimizer.param_groups]
    losses: dict[int, tuple[float, float]] = {}
    checked: dict[int, float] = {}
    for step in range(steps + 1):
        if step in looks or step in checks:
            with torch.no_grad():
                seen, unseen = (float(loss_of(network(a), b)) for a, b in (training_set, test_set))
            if not math.isfinite(seen):
                return "diverged", step, losses
            if step in checks:
                checked[step] = seen
            is_last = step == steps or (step in checks and is_over(checked))
            if step in looks or is_last:
                losses[step] = seen, unseen
            if is_last:
                break
        epoch, index = divmod(step, math.ceil(len(x) / batch_size))
        rows = order(epoch)[index * batch_size : (index + 1) * batch_size]
        for group, full_rate in zip(optimizer.param_groups, full_rates, strict=True):
            group["lr"] = full_rate * rate(step / steps)
        optimizer.zero_grad()
        loss_of(network(x[rows]), y[rows]).backward()
        clip(network)
        optimizer.step()
    return "done", step, losses


def mean_squared_error(outputs: Tensor, targets: Tensor) -> Tensor:
    """Return the mean over all entries of (f - y)^2."""
    return (outputs - targets).square().mean()


LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "mse": mean_squared_error,
    "huber": nn.functional.huber_loss,
    "half_mse": lambda outputs, targets: mean_squared_error(outputs, targets) / 2,
    "cross_entropy": nn.functional.cross_entropy,
}
RATES: dict[str, Callable[[float], float]] = {
    "constant": lambda t: 1.0,
    "linear": lambda t: 1 - t,
    "cosine": lambda t: math.cos(math.pi * t / 2) ** 2,
}
