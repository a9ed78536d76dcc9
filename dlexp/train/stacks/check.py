"""Whether a stack does what its members would do alone: asked before its first step and at its end."""

import math
from collections import defaultdict
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from dlexp.train.member import Member, evaluation_mode
from dlexp.train.optimizers import learning_rate_factors, optimizer_over, set_state_by_name
from dlexp.train.stacks.engine import Bucket, Stacks

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


def end_difference(member: Member, stacked: Mapping[str, float]) -> str | None:
    """Return how a member's final losses by its own network differ from the stack's, None if they do not.

    Two ways of rounding outputs f move a loss of value l by about eps |f| times its slope, sqrt(l) for a
    squared error: losses below that (networks that interpolate) are equal as far as anyone can tell.
    """
    layers = sum(1 for name, _ in member.network.named_parameters() if name.endswith("weight"))
    for split in ("train", "test"):
        x, y = getattr(member.tensors, f"x_{split}"), getattr(member.tensors, f"y_{split}")
        with torch.no_grad(), evaluation_mode(member.network):
            outputs = member(x)
            alone = float(member.loss(outputs, y))
        other = stacked[f"{split}/loss"]
        if not (math.isfinite(alone) and math.isfinite(other)):
            if math.isfinite(alone) != math.isfinite(other):
                return f"{split}/loss is {other:.6g} in the stack and {alone:.6g} alone"
            continue
        size = float(outputs.abs().max()) + math.sqrt(abs(alone))
        rounding = SLACK * torch.finfo(outputs.dtype).eps * layers
        allowed = rounding * (abs(alone) + size * math.sqrt(abs(alone))) + (rounding * size) ** 2
        if abs(alone - other) > allowed:
            return f"{split}/loss is {other:.6g} in the stack and {alone:.6g} alone"
    return None


def _compare(bucket: Bucket, step: int) -> dict[Member, str]:
    stack, layers = bucket.stack, len(bucket.stack.layers)
    x, y = bucket.batch(step)
    with torch.no_grad():
        outputs = stack(x)
    bucket.gradients(x, y)
    gradients, before = stack.gradients.clone(), stack.values.clone()
    alone_outputs, alone_gradients, is_own = _alone(bucket, x, y, outputs)
    after, alone_after = _stepped(bucket, gradients), _stepped_alone(bucket, gradients)
    found: dict[Member, str] = {}

    def compare(what: str, one: Tensor, other: Tensor, scale: Tensor, layers: int) -> None:
        for position in _differ(one, other, scale, layers).nonzero().flatten().tolist():
            distance, size = (float(_norms(t)[position]) for t in (one - other, other))
            found.setdefault(bucket.members[position], f"{what} by {distance:.3g} of {size:.3g}")

    compare("outputs differ", outputs, alone_outputs, _norms(alone_outputs), layers)
    norms = {name: _norms(block.of(alone_gradients)) for name, block in stack.blocks.items()}
    # The gradient of a layer may cancel; what it is the sum of does not.
    whole = torch.stack(list(norms.values())).norm(dim=0)
    for name, block in stack.blocks.items():
        own = block.of(is_own)
        one, other = block.of(gradients).where(own, 0), block.of(alone_gradients)
        compare(f"the gradient of {name} differs", one, other, norms[name] + 1e-2 * whole, layers)
    for name, block in stack.blocks.items():
        own, one, other = block.of(is_own), block.of(after), block.of(alone_after)
        # What is not finite may spread there.
        padding, zero = one.where(~own & one.isfinite(), 0), torch.zeros_like(one)
        compare(f"the padding of {name} differs from 0", padding, zero, _norms(zero), 1)
        # What a weight itself rounds to counts too: a step may be smaller.
        scale = _norms(other - block.of(before)) + 1e-3 * _norms(other)
        compare(f"the steps of {name} differ", one.where(own, 0), other, scale, 1)
    return found


def _alone(bucket: Bucket, x: Tensor, y: Tensor, like: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return members' outputs and gradients by their own networks and autograd, and which numbers are theirs.

    The gradients lie as the stack's do, padding 0, and so does what says which numbers are no padding.
    """
    stack = bucket.stack
    outputs, gradients = torch.empty_like(like), torch.zeros_like(stack.values)
    is_own = torch.zeros_like(stack.values, dtype=torch.bool)
    for position, member in enumerate(bucket.members):
        parameters = dict(member.network.named_parameters())
        with torch.enable_grad():
            own = member.network(x[position])
            found = torch.autograd.grad(member.loss(own, y[position]), list(parameters.values()))
        outputs[position] = own.detach()
        stack.scatter(position, gradients, dict(zip(parameters, found, strict=True)))
        for block in stack.blocks.values():
            block.of_member(is_own, position).fill_(True)
    return outputs, gradients, is_own


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


def _stepped_alone(bucket: Bucket, gradients: Tensor) -> Tensor:
    """Return what they would be by torch's optimizers, one for all members of like settings; padding 0."""
    stack, after = bucket.stack, torch.zeros_like(bucket.stack.values)
    factors = [learning_rate_factors(m.network, m.optimizer_settings) for m in bucket.members]
    alike: dict[str, list[int]] = defaultdict(list)
    for position, member in enumerate(bucket.members):
        alike[repr((member.optimizer_settings, factors[position]))].append(position)
    for positions in alike.values():
        places = {f"{name} of {p}": (name, p) for p in positions for name in stack.blocks}
        # Copies: the fused kernels do not know views into a stack.
        parameters = {
            key: nn.Parameter(stack.blocks[name].of_member(stack.values, p).contiguous().clone())
            for key, (name, p) in places.items()
        }
        rates = {key: factors[p].get(name, 1.0) for key, (name, p) in places.items()}
        optimizer = optimizer_over(parameters, bucket.members[positions[0]].optimizer_settings, rates)
        states = {p: bucket.optimizer.state(p) for p in positions}
        known = {key: states[p][name] for key, (name, p) in places.items() if name in states[p]}
        set_state_by_name(optimizer, parameters, known)
        for multiple in STEPS:
            for key, (name, p) in places.items():
                own = stack.blocks[name].of_member(gradients, p)
                parameters[key].grad = own.contiguous() * multiple
            optimizer.step()
            with torch.no_grad():
                for key, (name, p) in places.items():
                    if name in bucket.members[p].masks:
                        parameters[key].mul_(bucket.members[p].masks[name])
        for key, (name, p) in places.items():
            stack.scatter(p, after, {name: parameters[key].detach()})
    return after


def _norms(parts: Tensor) -> Tensor:
    """Return the norm of each member's part (M,)."""
    norms: Tensor = torch.linalg.vector_norm(parts.flatten(1).double(), dim=1)
    return norms


def _differ(one: Tensor, other: Tensor, scale: Tensor, layers: int) -> Tensor:
    """Say of each member (M,) whether two tensors (M, ...) differ by more than rounding.

    What is not finite in one must not be in the other.
    """
    finite = other.isfinite()
    is_alike = (one.isfinite() == finite).flatten(1).all(dim=1)
    is_close = _norms((one - other).where(finite, 0)) <= SLACK * torch.finfo(one.dtype).eps * layers * scale
    return ~(is_alike & (is_close | ~scale.isfinite()))
