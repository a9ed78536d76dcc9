"""Whether a stack does what its members would do alone: asked before its first step and at its end."""

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from dlexp.train.member import Member
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
    for split in ("train", "test"):
        alone = float(member.evaluate(split)[f"{split}/loss"])
        other = stacked[f"{split}/loss"]
        if not (math.isfinite(alone) and math.isfinite(other)):
            if math.isfinite(alone) != math.isfinite(other):
                return f"{split}/loss is {other:.6g} in the stack and {alone:.6g} alone"
            continue
        with torch.no_grad():
            outputs = member(getattr(member.tensors, f"x_{split}"))
        size = float(outputs.abs().max()) + math.sqrt(abs(alone))
        rounding = SLACK * torch.finfo(outputs.dtype).eps * _layers(member)
        allowed = rounding * (abs(alone) + size * math.sqrt(abs(alone))) + (rounding * size) ** 2
        if abs(alone - other) > allowed:
            return f"{split}/loss is {other:.6g} in the stack and {alone:.6g} alone"
    return None


def _compare(bucket: Bucket, step: int) -> dict[Member, str]:
    stack, optimizer = bucket.stack, bucket.optimizer
    x, y = bucket.batch(step)
    with torch.no_grad():
        outputs = stack(x)
    bucket.gradients(x, y)
    gradients = stack.gradients.clone()
    kept = [tensor.clone() for tensor in optimizer.tensors()]
    steps = optimizer.steps
    states = [optimizer.state(position) for position in range(len(stack))]
    before = [stack.gather(position, stack.values) for position in range(len(stack))]
    for multiple in STEPS:
        torch.mul(gradients, multiple, out=stack.gradients)
        bucket.update(1.0)
    after = stack.values.clone()
    for tensor, value in zip(optimizer.tensors(), kept, strict=True):
        tensor.copy_(value)
    optimizer.steps = steps
    found: dict[Member, str] = {}
    for position, member in enumerate(bucket.members):
        own = stack.gather(position, gradients)
        difference = _differs_in_gradient(member, x[position], y[position], outputs[position], own)
        if difference is None:
            alone = _steps_alone(member, own, states[position])
            moved = {name: value - before[position][name] for name, value in alone.items()}
            stepped = stack.gather(position, after)
            for name, value in alone.items():
                if _is_padding_moved(bucket, name, position, after):
                    difference = f"the padding of {name} is not 0"
                # What a weight itself rounds to counts too: a step may be smaller.
                scale = _norm(moved[name]) + _norm(value) * 1e-3
                if not _is_close(stepped[name], value, scale, 1):
                    difference = f"the steps of {name} differ by {_norm(stepped[name] - value):.3g}"
        if difference is not None:
            found[member] = difference
    return found


def _differs_in_gradient(
    member: Member, x: Tensor, y: Tensor, outputs: Tensor, gradients: Mapping[str, Tensor]
) -> str | None:
    network = member.network
    parameters = dict(network.named_parameters())
    with torch.enable_grad():
        alone = network(x)
        own = torch.autograd.grad(member.loss(alone, y), list(parameters.values()))
    layers = _layers(member)
    if not _is_close(outputs, alone, _norm(alone), layers):
        return f"outputs differ by {_norm(outputs - alone):.3g} of {_norm(alone):.3g}"
    # The gradient of a layer may cancel; what it is the sum of does not.
    whole = _norm(torch.cat([g.flatten() for g in own]))
    for name, gradient in zip(parameters, own, strict=True):
        if not _is_close(gradients[name], gradient, _norm(gradient) + 1e-2 * whole, layers):
            distance = _norm(gradients[name] - gradient)
            return f"the gradient of {name} differs by {distance:.3g} of {_norm(gradient):.3g}"
    return None


def _steps_alone(
    member: Member, gradients: Mapping[str, Tensor], state: Mapping[str, Mapping[str, Tensor]]
) -> dict[str, Tensor]:
    """Return what the member's weights would be after the steps of torch's optimizer."""
    network, settings = member.network, member.optimizer_settings
    # Copies: the fused kernels do not know views into a stack.
    parameters = {
        name: nn.Parameter(p.detach().clone(memory_format=torch.contiguous_format))
        for name, p in network.named_parameters()
    }
    optimizer = optimizer_over(parameters, settings, learning_rate_factors(network, settings))
    set_state_by_name(optimizer, parameters, state)
    for multiple in STEPS:
        for name, parameter in parameters.items():
            parameter.grad = gradients[name].contiguous() * multiple
        optimizer.step()
        with torch.no_grad():
            for name, mask in member.masks.items():
                parameters[name].mul_(mask)
    return {name: p.detach() for name, p in parameters.items()}


def _layers(member: Member) -> int:
    return sum(1 for name, _ in member.network.named_parameters() if name.endswith("weight"))


def _is_padding_moved(bucket: Bucket, name: str, position: int, memory: Tensor) -> bool:
    """Whether a block has numbers other than 0 beside a member's own; what is not finite may spread there."""
    block = bucket.stack.blocks[name]
    own = torch.zeros_like(memory)
    block.of_member(own, position).fill_(1)
    padding = block.of(memory)[position][block.of(own)[position] == 0]
    return bool((padding[torch.isfinite(padding)] != 0).any())


def _norm(tensor: Tensor) -> float:
    return float(torch.linalg.vector_norm(tensor.detach().double()))


def _is_close(one: Tensor, other: Tensor, scale: float, layers: int) -> bool:
    """Whether two tensors are equal to rounding; what is not finite in one must not be in the other."""
    one, other = one.detach(), other.detach()
    finite = torch.isfinite(other)
    if not torch.equal(torch.isfinite(one), finite):
        return False
    if not math.isfinite(scale):
        return True
    distance = _norm((one - other)[finite])
    return distance <= SLACK * torch.finfo(one.dtype).eps * layers * scale
