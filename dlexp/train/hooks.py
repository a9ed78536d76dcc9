"""Which jobs need Lightning's hooks in every optimizer step, which need a Trainer of their own, and why."""

from collections.abc import Mapping, Sequence
from typing import Any

from pytorch_lightning import Callback

FREQUENT_HOOKS = (
    "on_train_batch_start",
    "on_train_batch_end",
    "on_train_epoch_start",
    "on_train_epoch_end",
    "on_before_backward",
    "on_after_backward",
    "on_before_optimizer_step",
    "on_before_zero_grad",
)
"""Hooks that Lightning calls for each batch or epoch; a callback that has one expects so."""

PRECISIONS_IN_BLOCKS = ("32-true", "64-true", "bf16-true", "16-true", "32", "64", 32, 64)


def is_measure(callback: Callback) -> bool:
    """Whether a callback says in advance at which steps it looks (``due_steps``), as dlexp's do."""
    return hasattr(callback, "due_steps")


def reason_for_single_steps(trainer: Mapping[str, Any], callbacks: Sequence[Callback]) -> str | None:
    """Return why a job cannot train in blocks of steps, in one sentence, or None if it can."""
    if trainer.get("max_time") is not None:
        return "trainer.max_time is set"
    if trainer.get("min_epochs") is not None:
        return "trainer.min_epochs is set"
    if trainer["precision"] not in PRECISIONS_IN_BLOCKS:
        return f"trainer.precision={trainer['precision']} scales or casts within a step"
    for callback in callbacks:
        if is_measure(callback):
            continue
        for hook in FREQUENT_HOOKS:
            if getattr(type(callback), hook) is not getattr(Callback, hook):
                return f"the callback {type(callback).__name__} has {hook}"
    return None


def reason_for_own_trainer(trainer: Mapping[str, Any], callbacks: Sequence[Callback]) -> str | None:
    """Return why a job cannot share a Trainer with others, in a few words, or None if it can."""
    for callback in callbacks:
        if not is_measure(callback):
            return f"the callback {type(callback).__name__} may use the Trainer"
    if trainer.get("profiler") is not None:
        return "trainer.profiler is set"
    return reason_for_single_steps(trainer, callbacks)
