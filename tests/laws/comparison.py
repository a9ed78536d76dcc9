"""When two runs count as equal: to the last bit, or within what rounding can do to them."""

import math
from collections.abc import Callable, Iterator, Mapping

import numpy as np
import torch

from tests.laws.runs import Outcome

TOLERANCE = 1e-9
"""Relative, in float64. A run that amplifies a change of its start by 1e-14 to more than a tenth of this is
given ten times that."""

NUDGES = 3


def assert_same_bits(one: Outcome, other: Outcome, what: str = "") -> None:
    """Fail unless two runs agree in every bit of every number."""
    found = {name: size for name, size in differences(one, other).items() if size > 0}
    assert not found, f"{what}: not the same bits: {_shown(found)}"


def assert_equal(
    one: Outcome, definition: Outcome, nudged: Callable[[int], Outcome] | None, what: str = ""
) -> None:
    """Fail unless a run equals its definition.

    Where it does not to a relative ``TOLERANCE``, ``nudged(seed)`` is asked what comes of the definition from
    a start moved by 1e-14: ten times the change that this makes is allowed, and a discrete outcome may differ
    where this flips it.
    """
    found = {name: size for name, size in differences(one, definition).items() if size > TOLERANCE}
    if not found:
        return
    moved: dict[str, float] = {}
    for seed in range(NUDGES if nudged is not None else 0):
        assert nudged is not None
        for name, size in differences(nudged(seed), definition).items():
            moved[name] = max(size, moved.get(name, 0.0))
    if moved.get("step", 0) > 0 or moved.get("status", 0) > 0:
        # How long such a run lasts is a matter of rounding; that it is the same until then is not.
        found = {name: size for name, size in found.items() if not math.isinf(size)}
    wrong = {name: size for name, size in found.items() if not size <= 10 * moved.get(name, 0.0)}
    assert not wrong, f"{what}: differs from its definition: {_shown(wrong)}"


def differences(one: Outcome, other: Outcome) -> dict[str, float]:
    """Return by name how far two runs differ in each number, relative to it; infinity where one lacks it."""
    found = {
        "status": 0.0 if one.status == other.status else math.inf,
        "step": 0.0 if one.step == other.step else math.inf,
        "order of the records": 0.0 if _keys(one) == _keys(other) else math.inf,
    }
    found |= dict(_compared("record", _rows(one), _rows(other)))
    found |= dict(_compared("final", one.final, other.final))
    found |= dict(_compared("array", one.arrays, other.arrays))
    found |= dict(_compared("weights", one.state, other.state))
    if one.optimizer_state is not None and other.optimizer_state is not None:
        found |= dict(_compared("optimizer", _flat(one.optimizer_state), _flat(other.optimizer_state)))
    return found


def relative_difference(one: object, other: object) -> float:
    """Return how far two numbers or arrays differ, relative to the largest entry of either.

    Infinity if they differ in shape or in which entries are not finite.
    """
    a, b = (np.asarray(v.cpu() if isinstance(v, torch.Tensor) else v) for v in (one, other))
    if a.shape != b.shape:
        return math.inf
    if a.dtype.kind not in "fiub" or b.dtype.kind not in "fiub":
        return 0.0 if np.array_equal(a, b) else math.inf
    a, b = a.astype(np.float64), b.astype(np.float64)
    sound = np.isfinite(a)
    if not np.array_equal(a[~sound], b[~sound], equal_nan=True) or not np.isfinite(b[sound]).all():
        return math.inf
    if not sound.any():
        return 0.0
    scale = max(np.abs(a[sound]).max(), np.abs(b[sound]).max())
    return float(np.abs(a[sound] - b[sound]).max() / scale) if scale > 0 else 0.0


def _keys(outcome: Outcome) -> list[tuple[int, str]]:
    return [row[:2] for row in outcome.rows]


def _rows(outcome: Outcome) -> dict[str, float]:
    return {f"{name} at step {step}": value for step, name, value in outcome.rows}


def _flat(state: Mapping[str, Mapping[str, object]]) -> dict[str, object]:
    return {f"{name} {key}": value for name, own in state.items() for key, value in own.items()}


def _compared(
    kind: str, one: Mapping[str, object], other: Mapping[str, object]
) -> Iterator[tuple[str, float]]:
    for name in {**one, **other}:
        is_in_both = name in one and name in other
        yield f"{kind} {name}", relative_difference(one[name], other[name]) if is_in_both else math.inf


def _shown(found: Mapping[str, float]) -> str:
    worst = sorted(found.items(), key=lambda item: -item[1])
    lines = [f"  {size:9.2g}  {name}" for name, size in worst[:12]]
    return "\n".join([f"{len(found)} numbers", *lines])
