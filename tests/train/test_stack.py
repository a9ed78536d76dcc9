"""The stack of networks: padding that adds nothing, views that are the members' weights, cheap buckets."""

import itertools

import pytest
import torch
from torch import nn

from dlexp.models.mlp import MLP
from dlexp.seeding import make_generator
from dlexp.train.stacks.buckets import choose_buckets, partition
from dlexp.train.stacks.stack import Stack
from dlexp.train.stacks.weights import unstack

WIDTHS = (3, 1, 7)


def networks(activation="tanh", dtype=torch.float64):
    return [
        MLP(input_dim=4, width=w, depth=2, output_dim=2, activation=activation, bias_std=0.3,
            generator=make_generator("model", w)).to(dtype)
        for w in WIDTHS
    ]  # fmt: skip


@pytest.mark.parametrize("activation", ["tanh", "sigmoid", "gelu"])  # sigmoid(0) is not 0
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_outputs_and_norms_are_each_members_own(activation, dtype):
    x = torch.randn(3, 5, 4, dtype=dtype, generator=torch.Generator().manual_seed(0))
    alone, stack = networks(activation, dtype), Stack(networks(activation, dtype))
    tolerance = 100 * torch.finfo(dtype).eps
    for network, inputs, outputs, norm in zip(alone, x, stack(x), stack.norms(), strict=True):
        assert torch.allclose(outputs, network(inputs), rtol=tolerance, atol=tolerance)
        assert norm.item() == pytest.approx(nn.utils.get_total_norm(network.parameters()).item(), rel=1e-6)


def test_members_are_views_of_the_stack_until_they_are_taken_out():
    members, before = networks(), networks()
    stack = Stack(members)
    unstack(members[2])
    stack.values.add_(1)
    for member, alone, offset in zip(members, before, (1, 1, 0), strict=True):
        for name, parameter in alone.named_parameters():
            assert torch.equal(member.get_parameter(name), parameter + offset)
    with torch.no_grad():
        members[0].readout.bias.fill_(5.0)
    assert stack.gather(0, stack.values)["readout.bias"].tolist() == [5.0, 5.0]


def test_each_number_of_the_memory_belongs_to_one_weight_of_one_member_or_to_padding():
    stack = Stack(networks())
    memory = torch.zeros_like(stack.values)
    for position, network in enumerate(stack.networks):
        for name, block in stack.blocks.items():
            part = block.of_member(memory, position)
            assert part.shape == network.get_parameter(name).shape
            assert not part.any()
            stack.scatter(position, memory, {name: torch.ones_like(part)})
    assert memory.sum() == sum(p.numel() for network in stack.networks for p in network.parameters())
    assert not stack.values[memory == 0].any()


def price(buckets, costs, rows, overhead):
    return sum(overhead + sum(costs[i][0] for i in b) * costs[b[-1]][1] * rows for b in buckets)


def all_ways_to_cut(count):
    for cuts in itertools.product([False, True], repeat=count - 1):
        buckets = [[0]]
        for index, cut in enumerate(cuts, 1):
            buckets.append([index]) if cut else buckets[-1].append(index)
        yield buckets


@pytest.mark.parametrize(("overhead", "count"), [(0, 8), (1e3, None), (1e5, None), (1e9, 1)])
def test_buckets_are_the_cheapest_of_all_ways_to_cut(overhead, count):
    costs = [(20, 11 * width) for width in (1, 2, 3, 5, 8, 20, 50, 200)]
    buckets = choose_buckets(costs, rows=32, overhead=overhead)
    best = min(price(way, costs, 32, overhead) for way in all_ways_to_cut(len(costs)))
    assert [i for bucket in buckets for i in bucket] == list(range(len(costs)))
    assert price(buckets, costs, 32, overhead) == pytest.approx(best)
    assert count is None or len(buckets) == count


def test_members_of_a_bucket_are_sorted_by_what_the_optimizer_does_at_once(member_of):
    betas = ("0.5,0.9", "0.9,0.999") * 2
    members = [member_of("model.width=3", f"optimizer.betas=[{b}]", f"seed={i}") for i, b in enumerate(betas)]
    (bucket,) = partition(members)
    assert [m.optimizer_settings.betas[0] for m in bucket] == [0.5, 0.5, 0.9, 0.9]
    assert [len(b) for b in partition([*members, member_of("model.width=300")], layer_overhead=0.0)] == [4, 1]
