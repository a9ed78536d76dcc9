"""Members of foreign networks, and what the engine that replays steps and the loop make of them."""

import copy

import torch

from dlexp.data.batches import BatchOrder
from dlexp.data.datamodule import Tensors
from dlexp.train.loop import Loop
from dlexp.train.member import Member

SGD = {"name": "sgd", "lr": 0.05, "momentum": 0.9, "weight_decay": 0.1}


def members_of(networks, x, *, optimizer=SGD, batch_size="full", loss="mse"):
    """Return members with data of their own: inputs like ``x``, targets like the first network's outputs."""
    with torch.no_grad():
        outputs = copy.deepcopy(networks[0])(x)
    members = []
    for position, network in enumerate(networks):
        generator = torch.Generator().manual_seed(position)
        own = x[torch.randperm(len(x), generator=generator)]
        own = own * (1 + 0.1 * position) if x.is_floating_point() else own
        y = torch.randn(outputs.shape, generator=generator, dtype=outputs.dtype)
        member = Member(network, loss=loss, optimizer={**optimizer, "lr": optimizer["lr"] / (1 + position)})
        member.order = BatchOrder(len(x), batch_size, position)
        member.place(Tensors(own, y, own.flip(0)[:-1], y.flip(0)[:-1]))
        members.append(member)
    return members


def trained_by_loops(members, steps):
    """Return copies of members, each trained by itself."""
    alone = [copy.deepcopy(member) for member in members]
    for member in alone:
        with member.random_state.active():
            Loop([member], {}).advance(0, steps)
    return alone


def largest_difference(members, others):
    """Return how far members' networks differ in any tensor, relative to its largest entry."""
    worst = 0.0
    for one, other in zip(members, others, strict=True):
        for a, b in zip(one.network.state_dict().values(), other.network.state_dict().values(), strict=True):
            worst = max(worst, float((a - b).abs().max() / b.abs().max().clamp(min=1e-6)))
    return worst


def fresh(make, count=3):
    """Return networks in float64, each with weights of its own."""
    networks = []
    for seed in range(count):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            networks.append(make().double())
    return networks
