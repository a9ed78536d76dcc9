"""How single calls are made for all members at once, where torch's own vmap is slow or has no way.

Every rule gives what the call gives for each member; the check of a stack finds one that does not. A rule
returns ``NotImplemented`` for arguments that it leaves to vmap.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

aten: Any = torch.ops.aten


class Stacked:
    """A value of every member: ``tensor`` (M, ...); whatever else a call is given is the same for all."""

    def __init__(self, tensor: Tensor) -> None:
        self.tensor = tensor


Rule = Callable[..., Any]
RULES: dict[Any, Rule] = {}
"""By call."""


def rule_for(*calls: Any) -> Callable[[Rule], Rule]:
    """Let a function be the rule for calls."""

    def register(rule: Rule) -> Rule:
        RULES.update(dict.fromkeys(calls, rule))
        return rule

    return register


def are_stacked(*values: Any) -> bool:
    """Whether all of some arguments differ between members."""
    return all(isinstance(value, Stacked) for value in values)


@rule_for(aten.mm.default)
def _mm(one: Any, other: Any) -> Any:
    return Stacked(torch.bmm(one.tensor, other.tensor)) if are_stacked(one, other) else NotImplemented


@rule_for(aten.addmm.default)
def _addmm(bias: Any, one: Any, other: Any, *, beta: float = 1, alpha: float = 1) -> Any:
    if not are_stacked(bias, one, other) or bias.tensor.ndim != 2:
        return NotImplemented
    bias = bias.tensor.unsqueeze(1)
    return Stacked(torch.baddbmm(bias, one.tensor, other.tensor, beta=beta, alpha=alpha))


@rule_for(aten.t.default)
def _t(matrix: Any) -> Any:
    return Stacked(matrix.tensor.transpose(1, 2)) if matrix.tensor.ndim == 3 else NotImplemented


@rule_for(aten.view.default, aten._unsafe_view.default)
def _view(value: Any, size: list[int]) -> Any:
    # What lies in one piece for a member need not for all.
    sizes = [-1 if s == -1 else int(s) for s in size]
    return Stacked(value.tensor.reshape(len(value.tensor), *sizes))


@rule_for(aten.embedding.default)
def _embedding(
    weight: Any, indices: Any, padding: int = -1, by_count: bool = False, sparse: bool = False
) -> Any:
    if not are_stacked(weight) or sparse:
        return NotImplemented
    members, rows = weight.tensor.shape[:2]
    return Stacked(torch.embedding(weight.tensor.flatten(0, 1), _apart(indices, members, rows)))


@rule_for(aten.embedding_dense_backward.default)
def _embedding_backward(gradient: Any, indices: Any, rows: int, padding: int, by_count: bool) -> Any:
    if not are_stacked(gradient) or padding >= 0 or by_count:
        return NotImplemented
    members = len(gradient.tensor)
    own = _apart(indices, members, rows)
    summed = aten.embedding_dense_backward(gradient.tensor, own, members * rows, -1, False)
    return Stacked(summed.unflatten(0, (members, rows)))


def _apart(indices: Any, members: int, rows: int) -> Tensor:
    """Return indices (M, ...) into members' rows laid one after the other."""
    own = indices.tensor if isinstance(indices, Stacked) else indices.expand(members, *indices.shape)
    first = torch.arange(0, members * rows, rows, device=own.device)
    return own + first.view(-1, *[1] * (own.ndim - 1))


@rule_for(
    aten._scaled_dot_product_flash_attention_for_cpu.default,
    aten._scaled_dot_product_flash_attention_for_cpu_backward.default,
)
def _attention(*values: Any, attn_mask: Any = None, **options: Any) -> Any:
    # Members are so many more rows of a batch; what is no tensor (dropout, causality) is the same for all.
    tensors = [value for value in values if isinstance(value, Stacked | Tensor)]
    if (
        not are_stacked(*tensors)
        or isinstance(attn_mask, Stacked)
        or (attn_mask is not None and attn_mask.ndim > 2)
    ):
        return NotImplemented
    members = len(values[0].tensor)
    call = aten._scaled_dot_product_flash_attention_for_cpu
    if len(tensors) > 3:
        call = aten._scaled_dot_product_flash_attention_for_cpu_backward
    rows = [value.tensor.flatten(0, 1) if isinstance(value, Stacked) else value for value in values]
    made = call(*rows, attn_mask=attn_mask, **options)
    return [Stacked(part.unflatten(0, (members, -1))) for part in made]
