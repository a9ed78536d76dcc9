"""Evaluate many at once where that can be trusted, else one by one, which is the definition."""

import logging
import warnings
from collections.abc import Callable

import torch
from torch import Tensor

log = logging.getLogger(__name__)


class Batching:
    """Whether a module's batched results are used: undecided until they were compared with the definition.

    Batched evaluation (``torch.vmap``, batched reverse passes) is fast where torch can follow a module, and
    wrong for some. It is used once it has given the definition's result for one item, and never again after
    it failed.

    Attributes:
        what: is evaluated, for the log.
        is_used: None until it is decided.

    >>> Batching("a list")(lambda items: (items**2,), lambda item: (item**2,), torch.tensor([1.0, 3.0]))
    (tensor([1., 9.]),)
    """

    def __init__(self, what: str, *, is_trusted: bool = False) -> None:
        self.what = what
        self.is_used: bool | None = True if is_trusted else None

    def __call__(
        self,
        batched: Callable[[Tensor], tuple[Tensor, ...]],
        single: Callable[[Tensor], tuple[Tensor, ...]],
        items: Tensor,
    ) -> tuple[Tensor, ...]:
        """Return ``batched(items)`` if it can be had and trusted, else ``single`` of each item, stacked."""
        if self.is_used is not False and len(items) > 1:
            found = self._together(batched, items)
            if found and self.is_used is None:
                pairs = zip(found, single(items[-1]), strict=True)
                self.is_used = all(agree(part[-1], expected) for part, expected in pairs)
                if not self.is_used:
                    log.info("%s: one by one: batched results differ from single ones", self.what)
            if found and self.is_used:
                return found
        parts = [single(item) for item in items]
        return tuple(torch.stack(part) for part in zip(*parts, strict=True))

    def _together(self, batched: Callable[[Tensor], tuple[Tensor, ...]], items: Tensor) -> tuple[Tensor, ...]:
        try:
            with warnings.catch_warnings():
                # Operations that torch knows only as a loop are slow, but right.
                warnings.filterwarnings("ignore", message="There is a performance drop")
                return batched(items)
        except Exception as error:  # whatever it is, the definition decides whether it is the module's
            self.is_used = False
            log.info("%s: one by one: %s", self.what, str(error).split("\n", 1)[0] or type(error).__name__)
            return ()


def agree(one: Tensor, other: Tensor) -> bool:
    """Whether two tensors are equal in norm to the square root of their precision, NaN and infinity alike.

    >>> agree(torch.tensor([1.0, 2.0]), torch.tensor([1.0, 2.1]))
    False
    """
    finite = one.isfinite() & other.isfinite()
    if not torch.equal(one[~finite].nan_to_num(), other[~finite].nan_to_num()):
        return False
    tolerance: float = torch.finfo(one.dtype).eps ** 0.5
    one, other = one[finite], other[finite]
    return bool(torch.dist(one, other) <= tolerance * torch.maximum(one.norm(), other.norm()))
