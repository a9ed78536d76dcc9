"""Networks of any kind, many at once: by the loop, by torch.func, by replaying a recorded step."""

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, stack_module_state, vmap

from benchmarks.timing import Lap, Section, Settings, in_turn, rows_of, timed
from dlexp.data.batches import BatchOrder
from dlexp.data.datamodule import Tensors
from dlexp.models.convolutional import CNN, Conv1d
from dlexp.models.mlp import MLP
from dlexp.models.recurrent import GRU
from dlexp.models.residual import ResidualMLP
from dlexp.models.transformer import Transformer
from dlexp.train.loop import Loop
from dlexp.train.member import Member
from dlexp.train.memory import keep_freed_memory
from dlexp.train.replay.engine import Replay
from dlexp.train.stacks.engine import Stacks

REPLAY, LOOP, VMAP, STACK = "replay", "loop", "torch.func vmap(grad)", "hand-written stack"
LR, MOMENTUM = 1e-3, 0.9
ROWS, BATCH = 320, 32

MODELS: dict[str, tuple[int, Callable[[int, torch.Generator], nn.Module]]] = {
    "MLP 20-50-1": (20, lambda n, g: MLP(input_dim=n, width=50, depth=1, generator=g)),
    "conv1d, 3 x 25 channels, length 40": (40, lambda n, g: Conv1d(input_dim=n, generator=g)),
    "residual MLP, 4 x 64, LayerNorm": (20, lambda n, g: ResidualMLP(input_dim=n, generator=g)),
    "GRU of 6, length 40": (40, lambda n, g: GRU(input_dim=n, generator=g)),
    "CNN, 16 and 32 channels, 8 x 8": (64, lambda n, g: CNN(input_dim=n, generator=g)),
    "transformer, 2 layers of 32, 16 tokens": (64, lambda n, g: Transformer(input_dim=n, generator=g)),
}
"""By name: the number of inputs, and what makes a network with that many."""


def measure(settings: Settings) -> Section:
    """Time a member's share of a step: SGD with momentum, batch 32, each member with data of its own."""
    keep_freed_memory()
    section = Section()
    for name in list(MODELS)[:2] if settings.quick else MODELS:
        for count in (2,) if settings.quick else (20, 100):
            members = members_of(name, count, settings)
            replay = Replay(members, {})
            ways = {
                REPLAY: partial(_lap, replay.advance, count, settings),
                LOOP: partial(_lap, _loops(members_of(name, 2, settings)), 2, settings),
                VMAP: partial(_lap, VmapSteps(members_of(name, count, settings)).advance, count, settings),
            }
            if name.startswith("MLP"):
                stacks = Stacks(members_of(name, count, settings), {})
                ways[STACK] = partial(_lap, stacks.advance, count, settings)
            laps = in_turn(ways, settings.rounds)
            case = f"{name}, {count} members"
            section.rows += rows_of(case, laps, settings, reference=REPLAY, unit="µs/member-step")
    section.remarks.append(f"{LOOP}: two members, one after the other.")
    return section


def members_of(name: str, count: int, settings: Settings) -> list[Member]:
    """Return members with networks and data of their own."""
    inputs, make = MODELS[name]
    members = []
    for seed in range(count):
        generator = torch.Generator().manual_seed(seed)
        network = make(inputs, generator).to(settings.device)
        member = Member(network, loss="mse", optimizer={"name": "sgd", "lr": LR, "momentum": MOMENTUM})
        member.order = BatchOrder(ROWS, BATCH, seed)
        x, y = torch.randn(ROWS, inputs, generator=generator), torch.randn(ROWS, 1, generator=generator)
        x, y = x.to(settings.device), y.to(settings.device)
        member.place(Tensors(x, y, x[:BATCH], y[:BATCH]))
        members.append(member)
    return members


class VmapSteps:
    """Members' steps as torch's tutorial on model ensembling takes them: vmap of the gradient of one.

    Attributes:
        parameters: of all, stacked (M, ...).
    """

    def __init__(self, members: Sequence[Member]) -> None:
        self._members, self._base = members, members[0].network
        parameters, self._buffers = stack_module_state([member.network for member in members])
        self.parameters = {name: p.detach() for name, p in parameters.items()}
        self._momentum = {name: torch.zeros_like(p) for name, p in self.parameters.items()}
        self._gradients = vmap(grad(self._loss))

    def _loss(
        self, parameters: dict[str, Tensor], buffers: dict[str, Tensor], x: Tensor, y: Tensor
    ) -> Tensor:
        return self._members[0].loss(functional_call(self._base, (parameters, buffers), (x,)), y)

    def advance(self, start: int, stop: int) -> None:
        """Take the steps ``start`` to ``stop - 1``."""
        for step in range(start, stop):
            batches = [member.batches[step][0] for member in self._members]
            x, y = (torch.stack(parts) for parts in zip(*batches, strict=True))
            for name, gradient in self._gradients(self.parameters, self._buffers, x, y).items():
                self._momentum[name].mul_(MOMENTUM).add_(gradient)
                self.parameters[name].sub_(self._momentum[name], alpha=LR)


def _loops(members: Sequence[Member]) -> Callable[[int, int], None]:
    loops = [Loop([member], {}) for member in members]

    def advance(start: int, stop: int) -> None:
        for loop in loops:
            loop.advance(start, stop)

    return advance


def _lap(advance: Callable[[int, int], None], count: int, settings: Settings) -> Lap:
    """Return a member's share of a step; batches are drawn anew in each lap."""
    steps = ROWS // BATCH
    return timed(lambda: advance(0, steps), settings.device).times(1 / (steps * count))
