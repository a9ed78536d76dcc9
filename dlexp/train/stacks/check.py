"""Whether a stack does what its members would do alone: asked before its first step and at its end."""

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from dlexp.measures.chain import require_chain
from dlexp.train.member import Member
from dlexp.train.network import evaluation_mode
from dlexp.train.optimizers import OptimizerSettings, learning_rate_factors, optimizer_over, set_state_by_name
from dlexp.train.stacks.bucket import Bucket
from dlexp.train.stacks.engine import Stacks
from dlexp.train.stacks.stack import Stack
from dlexp.train.stacks.weights import StackedWeights


class StackDifference(Exception):
    """A stack has trained a member otherwise than it would have been alone; its results are not used."""


OUTPUTS = "outputs"
SLACK = 1000.0
"""Largest error of a sum, in units of eps x number of layers x the root of its number of terms."""

STEPS = (1.0, -0.5)
"""What multiplies the gradient in each step that is compared.

The first step of a fresh optimizer does not depend on momentum and betas; nor, of Adam, does any other step
along the same gradient.
"""


def differences(stacks: Stacks, step: int) -> dict[Member, str]:
    """Return, for each member that the stack would train otherwise than alone, in which number.

    On the batch of ``step`` every member's outputs and gradients are compared with its own, by autograd, and
    two optimizer steps with those of torch's optimizer by the *same* gradients. What pads the stack must stay
    0. Nothing is changed.

    A difference is measured relative to the norm of what is compared, layer by layer, and must stay below
    ``SLACK`` roundings for each layer: sums of some hundred terms in another order differ by less, a wrong
    rule by more.
    """
    return {member: text for bucket in stacks.buckets for member, text in _compare(bucket, step).items()}


def require_equal_end(member: Member, stacked: Mapping[str, float]) -> None:
    """Raise ``StackDifference`` if a member's final losses by its own network differ from the stack's.

    Two ways of rounding outputs f move a loss of value l by about eps |f| times its slope, sqrt(l) for a
    squared error: losses below that (networks that interpolate) are equal as far as anyone can tell.
    """
    layers = sum(1 for parameter in member.network.parameters() if parameter.ndim > 1) or 1
    for split in ("train", "test"):
        x, y = getattr(member.tensors, f"x_{split}"), getattr(member.tensors, f"y_{split}")
        with torch.no_grad(), evaluation_mode(member.network):
            outputs = member(x)
            alone = float(member.loss(outputs, y))
        other = stacked[f"{split}/loss"]
        if not (math.isfinite(alone) and math.isfinite(other)):
            is_equal = math.isfinite(alone) == math.isfinite(other)
        else:
            size = float(outputs.abs().max()) + math.sqrt(abs(alone))
            rounding = SLACK * torch.finfo(outputs.dtype).eps * layers
            allowed = rounding * (abs(alone) + size * math.sqrt(abs(alone))) + (rounding * size) ** 2
            is_equal = abs(alone - other) <= allowed
        if not is_equal:
            raise StackDifference(f"{split}/loss is {other:.6g} in the stack and {alone:.6g} alone")


def _compare(bucket: Bucket, step: int) -> dict[Member, str]:
    stack = bucket.stack
    assert isinstance(stack, Stack)
    layers = len(stack.layers)
    x, y = bucket.batch(step)
    with torch.no_grad():
        outputs = stack(x)
    bucket.gradients(x, y)
    gradients = stack.gradients.clone()
    alone_outputs, alone_gradients, magnified = _alone(bucket, x, y, outputs)
    is_own = _is_own(stack)
    found = _Found(bucket.members)
    norms = {name: _norms(block.of(alone_gradients)) for name, block in stack.blocks.items()}
    # The gradient of a layer may cancel; what it is the sum of does not.
    whole = torch.stack(list(norms.values())).norm(dim=0)
    scales = {name: magnified * (norm + 1e-2 * whole) for name, norm in norms.items()}
    scales[OUTPUTS] = _norms(alone_outputs)

    def compare_values() -> None:
        found.compare("outputs differ", outputs, alone_outputs, scales[OUTPUTS], layers)
        for name, block in stack.blocks.items():
            other = block.of(alone_gradients)
            one = block.of(gradients).where(block.of(is_own), 0)
            found.compare(f"the gradient of {name} differs", one, other, scales[name], layers)

    compare_values()
    for member in found:
        # Whether sums whose terms nearly cancel have been taken in another order, or something is wrong.
        position = bucket.members.index(member)
        for name, scale in _without_cancelling(member, x[position], y[position]).items():
            scales[name][position] = scales[name][position].maximum(scale)
    if found:
        found.clear()
        compare_values()
    return {**compare_steps(bucket, gradients), **found}


def compare_steps(bucket: Bucket, gradients: Tensor) -> dict[Member, str]:
    """Return the members that two steps by these gradients would bring elsewhere than torch's optimizer."""
    stack, before = bucket.stack, bucket.stack.values.clone()
    after, alone_after = _stepped(bucket, gradients), _stepped_alone(bucket, gradients)
    is_own = _is_own(stack)
    found = _Found(bucket.members)
    for name, block in stack.blocks.items():
        own, one, other = block.of(is_own), block.of(after), block.of(alone_after)
        # What is not finite may spread there.
        padding, zero = one.where(~own & one.isfinite(), 0), torch.zeros_like(one)
        found.compare(f"the padding of {name} differs from 0", padding, zero, _norms(zero), 1)
        # What a weight itself rounds to counts too: a step may be smaller.
        scale = _norms(other - block.of(before)) + 1e-3 * _norms(other)
        found.compare(f"the steps of {name} differ", one.where(own, 0), other, scale, 1)
    return found


class _Found(dict[Member, str]):
    """The first difference found in each member."""

    def __init__(self, members: Sequence[Member]) -> None:
        super().__init__()
        self.members = members

    def compare(self, what: str, one: Tensor, other: Tensor, scale: Tensor, layers: int) -> None:
        """Note the members (M, ...) in which one differs from the other by more than rounding."""
        for position in _differ(one, other, scale, layers).nonzero().flatten().tolist():
            distance, size = (float(_norms(t)[position]) for t in (one - other, other))
            self.setdefault(self.members[position], f"{what} by {distance:.3g} of {size:.3g}")


def _alone(bucket: Bucket, x: Tensor, y: Tensor, like: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return members' outputs, and gradients laid out as the stack's, by their own networks and autograd.

    And by how much roundings are magnified (M,): a network that nearly interpolates has outputs whose own
    rounding is a large part of their distance to the targets, and so of every gradient.
    """
    stack = bucket.stack
    outputs, gradients = torch.empty_like(like), torch.zeros_like(stack.values)
    magnified = like.new_ones(len(stack))
    for position, member in enumerate(bucket.members):
        parameters = dict(member.network.named_parameters())
        with torch.enable_grad():
            own = member.network(x[position])
            loss = member.loss(own, y[position])
            by_outputs, *found = torch.autograd.grad(loss, [own, *parameters.values()])
        outputs[position] = own.detach()
        slope = 2 / len(own)  # at which a squared error's derivative follows the outputs
        ratio = slope * own.detach().norm() / by_outputs.norm()
        magnified[position] = ratio.nan_to_num(nan=1.0, posinf=math.inf).clamp(min=1.0)
        stack.scatter(position, gradients, dict(zip(parameters, found, strict=True)))
    return outputs, gradients, magnified


def _without_cancelling(member: Member, x: Tensor, y: Tensor) -> dict[str, Tensor]:
    """Return the norms of a member's outputs and gradients, had the terms of their sums not cancelled.

    Of outputs: the readout's products without their signs. Of gradients: the rows' with random signs, whose
    sum is about as large as the root of the sum of their squares.
    """
    *hidden, readout = require_chain(member.network, "network")
    parameters = dict(member.network.named_parameters())
    signs = 2.0 * torch.randint(2, (len(x),), generator=torch.Generator().manual_seed(0)) - 1
    with torch.enable_grad():
        losses = member.loss.per_row(member.network(x), y)
        total = (losses * signs.to(losses)).mean()
        gradients = torch.autograd.grad(total, list(parameters.values()))
    with torch.no_grad():
        for layer in hidden:
            x = layer.linear(x) if layer.activation is None else layer.activation(layer.linear(x))
        outputs = x.abs() @ (readout.weight_scale * readout.linear.weight).abs().mT
    return {OUTPUTS: outputs.norm()} | {
        name: gradient.norm() for name, gradient in zip(parameters, gradients, strict=True)
    }


def _stepped(bucket: Bucket, gradients: Tensor) -> Tensor:
    """Return what the stack's values would be after its optimizer's steps by these gradients."""
    stack, optimizer = bucket.stack, bucket.optimizer
    kept, steps = [tensor.clone() for tensor in optimizer.tensors()], optimizer.steps
    for multiple in STEPS:
        torch.mul(gradients, multiple, out=stack.gradients)
        bucket.update(1.0)
    after = stack.values.clone()
    for tensor, value in zip(optimizer.tensors(), kept, strict=True):
        tensor.copy_(value)
    optimizer.steps = steps
    return after


def _is_own(stack: StackedWeights) -> Tensor:
    """Say of each number in the stack's memory whether it is a member's own, no padding."""
    is_own = torch.zeros_like(stack.values, dtype=torch.bool)
    for block in stack.blocks.values():
        for position in range(len(stack)):
            block.of_member(is_own, position).fill_(True)
    return is_own


def _stepped_alone(bucket: Bucket, gradients: Tensor) -> Tensor:
    """Return what they would be by torch's optimizers, padding 0.

    What these optimizers do to a number depends on its settings alone: those of like settings go together.
    """
    stack, optimizer = bucket.stack, bucket.optimizer
    kinds: dict[tuple[str, float, int], tuple[int, OptimizerSettings]] = {}
    labels = torch.zeros_like(stack.values, dtype=torch.int64)  # 0: padding
    masks = torch.ones_like(stack.values)
    for position, member in enumerate(bucket.members):
        settings = member.optimizer_settings
        factors = learning_rate_factors(member.network, settings)
        for name, block in stack.blocks.items():
            kind = repr(settings), factors.get(name, 1.0), optimizer.age(position)
            label, _ = kinds.setdefault(kind, (1 + len(kinds), settings))
            block.of_member(labels, position).fill_(label)
        stack.scatter(position, masks, member.masks)
    after = torch.zeros_like(stack.values)
    _, *alike = labels.argsort().split(labels.bincount(minlength=1 + len(kinds)).tolist())
    for ((_, factor, age), (_, settings)), numbers in zip(kinds.items(), alike, strict=True):
        parameters = {"": nn.Parameter(stack.values[numbers])}
        alone = optimizer_over(parameters, settings, {"": factor})
        if age:
            moments = {key: memory[numbers] for key, memory in optimizer.moments.items()}
            set_state_by_name(alone, parameters, {"": {**moments, "step": torch.tensor(float(age))}})
        for multiple in STEPS:
            parameters[""].grad = gradients[numbers] * multiple
            alone.step()
            parameters[""].data.mul_(masks[numbers])
        after[numbers] = parameters[""].detach()
    return after


def _norms(parts: Tensor) -> Tensor:
    """Return the norm of each member's part (M,)."""
    norms: Tensor = torch.linalg.vector_norm(parts.reshape(len(parts), -1).double(), dim=1)
    return norms


def _differ(one: Tensor, other: Tensor, scale: Tensor, layers: int) -> Tensor:
    """Say of each member (M,) whether two tensors (M, ...) differ by more than rounding.

    What is not finite in one must not be in the other.
    """
    finite = other.isfinite()
    is_alike = (one.isfinite() == finite).reshape(len(one), -1).all(dim=1)
    is_close = _norms((one - other).where(finite, 0)) <= SLACK * torch.finfo(one.dtype).eps * layers * scale
    return ~(is_alike & (is_close | ~scale.isfinite()))
