"""What dlexp relies on in Lightning beyond its documented interface, and keeping its remarks from users.

Each piece has a test in ``tests/train/test_lightning.py`` that fails when an upgrade changes it.
"""

import logging
import warnings
from collections.abc import Callable

import torch
from pytorch_lightning import LightningModule, Trainer
from torch import Tensor


def count_steps_taken(trainer: Trainer, steps: int) -> None:
    """Count optimizer steps as Lightning's own optimizer wrapper does; ``trainer.global_step`` reads it.

    There is no public way: in manual optimization a step counts when Lightning's wrapper has taken it.
    """
    progress = trainer.fit_loop.epoch_loop.manual_optimization.optim_step_progress
    for count in (progress.total, progress.current):
        count.ready += steps
        count.completed += steps


def backward_by_lightning(module: LightningModule) -> Callable[[Tensor], None]:
    """Return what differentiates a loss with Lightning's hooks and precision (scaled under 16-mixed)."""
    return module.manual_backward


def step_by_lightning(module: LightningModule) -> Callable[[torch.optim.Optimizer], None]:
    """Return what takes an optimizer step with Lightning's hooks and precision.

    The wrapper that Lightning hands out (``module.optimizers()``) would do the same, but it is made in
    ``configure_optimizers`` only, and would count the step too.
    """

    def step(optimizer: torch.optim.Optimizer) -> None:
        precision = module.trainer.precision_plugin
        precision.optimizer_step(optimizer, model=module, closure=lambda: None)

    return step


class _Unwanted(logging.Filter):
    """Drops Lightning's advertisements and the remarks that repeat what the configuration says."""

    phrases = (
        "Tip:",
        "GPU available",
        "TPU available",
        "HPU available",
        "`Trainer.fit` stopped",
        "litlogger",
    )

    def filter(self, record: logging.LogRecord) -> bool:
        message = record.getMessage()
        return not any(phrase in message for phrase in self.phrases)


_UNWANTED = _Unwanted()


def quiet_libraries() -> None:
    """Send what Lightning says, and all Python warnings, to the handlers of the root logger.

    Lightning gives its loggers a handler for the terminal if it is imported before logging is set up.
    """
    logging.captureWarnings(True)
    # Ours is not a DataLoader: nothing to be gained from workers, and the loops are short on purpose.
    warnings.filterwarnings("ignore", message=".*does not have many workers.*")
    # An ensemble's engines have optimizers of their own.
    warnings.filterwarnings("ignore", message=".*configure_optimizers.*returned `None`.*")
    # A login node of a cluster: jobs are dlexp's own processes.
    warnings.filterwarnings("ignore", message=".*`srun` command is available.*")
    # torch's own use of its pytree, in Lightning's data transfer
    warnings.filterwarnings("ignore", message=".*LeafSpec.*", category=FutureWarning)
    for name in ("pytorch_lightning", "lightning.pytorch", "lightning.fabric", "lightning_fabric"):
        logger = logging.getLogger(name)
        logger.propagate = True
        logger.handlers.clear()
        for child in [n for n in logging.root.manager.loggerDict if n == name or n.startswith(f"{name}.")]:
            if _UNWANTED not in logging.getLogger(child).filters:
                logging.getLogger(child).addFilter(_UNWANTED)
