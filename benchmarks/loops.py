"""Training loops that a user would write, to compare with: from a notebook's to torch.func ensembling."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap
from torch.utils.data import DataLoader, TensorDataset

from dlexp.data.batches import BatchOrder

LR = 1e-3


def notebook_loop(network: nn.Module, x: Tensor, y: Tensor, batch_size: int, steps: int) -> list[float]:
    """Train with a DataLoader over a TensorDataset, Adam as it comes, and ``.item()`` at each step.

    ``x``, ``y`` lie on the CPU; batches go to the network's device. Returns the losses.
    """
    device = next(network.parameters()).device
    loader = DataLoader(TensorDataset(x, y), batch_size=batch_size, shuffle=True)
    optimizer = torch.optim.Adam(network.parameters(), lr=LR)
    loss_fn = nn.MSELoss()
    losses: list[float] = []
    while True:
        for x_batch, y_batch in loader:
            if len(losses) == steps:
                return losses
            optimizer.zero_grad()
            loss = loss_fn(network(x_batch.to(device)), y_batch.to(device))
            loss.backward()
            optimizer.step()
            losses.append(loss.item())


def plain_loop(network: nn.Module, x: Tensor, y: Tensor, order: BatchOrder, steps: int) -> None:
    """Train on data that lie on the device, by fused Adam, with nothing between the steps."""
    optimizer = torch.optim.Adam(network.parameters(), lr=LR, fused=True)
    loss_fn = nn.MSELoss()
    batches = _batches(x, y, order)
    for _ in range(steps):
        x_batch, y_batch = next(batches)
        optimizer.zero_grad()
        loss_fn(network(x_batch), y_batch).backward()
        optimizer.step()


def _batches(x: Tensor, y: Tensor, order: BatchOrder) -> Iterator[tuple[Tensor, Tensor]]:
    epoch = 0
    while True:
        for rows in order.epoch(epoch, x.device):
            yield (x, y) if rows is None else (x[rows], y[rows])
        epoch += 1


class VmapEnsemble:
    """Networks of one shape trained at once as torch's tutorial on model ensembling does: vmap over weights.

    Args:
        networks: of one shape.
        x, y: (M, n, input_dim) and (M, n, output_dim), a set for each.
        orders: of their batches.
    """

    def __init__(
        self, networks: Sequence[nn.Module], x: Tensor, y: Tensor, orders: Sequence[BatchOrder]
    ) -> None:
        parameters, _ = stack_module_state(list(networks))
        self.parameters = {name: p.detach().requires_grad_() for name, p in parameters.items()}
        self.x, self.y, self.orders = x, y, orders
        self._base = networks[0]
        self._batches: list[tuple[Tensor, Tensor]] = []

    def losses(self, step: int) -> Tensor:
        """Return the members' losses (M,) on their batches of a step."""
        epoch, index = divmod(step, self.orders[0].steps_per_epoch)
        if index == 0:
            self._gather(epoch)
        x, y = self._batches[index]
        result: Tensor = vmap(self._loss)(self.parameters, x, y)
        return result

    def _loss(self, parameters: dict[str, Tensor], x: Tensor, y: Tensor) -> Tensor:
        outputs: Tensor = functional_call(self._base, parameters, (x,))
        return ((outputs - y) ** 2).mean()

    def _gather(self, epoch: int) -> None:
        order = self.orders[0]
        if order.is_full:
            self._batches = [(self.x, self.y)]
            return
        drawn = [torch.cat([r for r in o.epoch(epoch) if r is not None]) for o in self.orders]
        rows = torch.stack(drawn).to(self.x.device)
        which = torch.arange(len(rows), device=self.x.device)[:, None]
        size = order.batch_size
        x, y = self.x[which, rows].split(size, dim=1), self.y[which, rows].split(size, dim=1)
        self._batches = list(zip(x, y, strict=True))


def vmap_loop(ensembles: Sequence[VmapEnsemble], steps: int) -> None:
    """Train ensembles, one for each shape, in lock-step by one fused Adam."""
    parameters = [p for ensemble in ensembles for p in ensemble.parameters.values()]
    optimizer = torch.optim.Adam(parameters, lr=LR, fused=True)
    for step in range(steps):
        optimizer.zero_grad()
        torch.cat([ensemble.losses(step) for ensemble in ensembles]).sum().backward()
        optimizer.step()
