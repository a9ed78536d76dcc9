"""Which jobs need Lightning's work between every two optimizer steps, and why."""

from collections.abc import Mapping, Sequence
from typing import Any

from pytorch_lightning import Callback

# Hooks that Lightning calls for each batch or epoch: a callback that has one expects to be called that often.
FREQUENT_HOOKS = (
    "on_train_batch_start",
    "on_train_batch_end",
    "on_train_epoch_start",
    "on_train_epoch_end",
    "on_validation_end",
    "on_before_backward",
    "on_after_backward",
    "on_before_optimizer_step",
    "on_before_zero_grad",
)
# Arguments of the Trainer that mean the same for one step as for many.
NO_MATTER = (
    "max_epochs",
    "max_steps",
    "accelerator",
    "devices",
    "precision",
    "deterministic",
    "benchmark",
    "detect_anomaly",
    "accumulate_grad_batches",
    "profiler",
)
PRECISIONS_IN_BLOCKS = ("32-true", "64-true", "bf16-true", "32", "64", 32, 64)


def reason_for_single_steps(trainer: Mapping[str, Any], callbacks: Sequence[Callback]) -> str | None:
    """Return why a job cannot train in blocks of steps, in one sentence, or None if it can.

    dlexp's own callbacks say in advance at which steps they look (``due_steps``); blocks end there.
    """
    for key, value in trainer.items():
        if value is not None and key not in NO_MATTER:
            return f"trainer.{key} is set"
    if trainer["accumulate_grad_batches"] != 1:
        return "trainer.accumulate_grad_batches is not 1"
    if trainer["precision"] not in PRECISIONS_IN_BLOCKS:
        return f"trainer.precision={trainer['precision']} scales or casts within a step"
    for callback in callbacks:
        if hasattr(callback, "due_steps"):
            continue
        for hook in FREQUENT_HOOKS:
            if getattr(type(callback), hook) is not getattr(Callback, hook):
                return f"the callback {type(callback).__name__} has {hook}"
    return None
