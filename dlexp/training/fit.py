"""Training what the builder has built, and keeping what comes of it."""

import logging
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning.loggers import TensorBoardLogger

from dlexp.training.build import Job, build
from dlexp.training.checkpoint import save_checkpoint
from dlexp.training.quiet import quiet_libraries
from dlexp.training.result import Report, Result

log = logging.getLogger(__name__)


def fit(config: Mapping[str, Any], folder: Path, result: Result, report: Report | None = None) -> None:
    """Build and train one job; fill in ``result`` and write the other files of its folder.

    Also after an error in training, which is passed on, the metrics until then are kept.
    """
    quiet_libraries()
    torch.set_num_threads(config["threads"])
    job = build(config, folder, report)
    module, recorder, trainer = job.module, job.recorder, job.trainer
    if job.single_steps_because:
        log.info("trains in single steps: %s", job.single_steps_because)
    try:
        # Everything random comes from explicit generators; a callback of the user's own may still use the
        # global one, which must not depend on the jobs before.
        with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
            torch.manual_seed(result.seed)
            _log_hyperparameters(job, result)
            recorder.record({"model/parameters": _count_parameters(module.network)}, step=0, epoch=0)
            try:
                trainer.fit(module, datamodule=job.datamodule)
            except SystemExit:  # what Lightning makes of Ctrl-C
                raise KeyboardInterrupt from None
        result.device = _device_name(module.device)
        result.status = "diverged" if module.outcome == "diverged" else "done"
        if result.status == "diverged":
            result.error = f"the training loss was no longer finite at step {module.step}"
        elif result.config["training"]["checkpoint"]:
            save_checkpoint(
                folder,
                module.network.state_dict(),
                module.hparams,
                step=module.step,
                epoch=module.plan.epoch(module.step),
            )
        log.info("training %s after %d steps", module.outcome, module.step)
    finally:
        result.metrics = dict(recorder.final)
        recorder.write()


def _log_hyperparameters(job: Job, result: Result) -> None:
    """Show settings and final metrics in TensorBoard's HPARAMS tab.

    The metrics are declared once, before the fit; the tab then follows the last scalar of each name.
    """
    settings = {k: v for k, v in result.config.items() if k not in ("name", "rerun", "objective", "logger")}
    names = ["train/loss", "test/loss", "model/parameters"]
    if job.module.loss_name == "cross_entropy":
        names += ["train/error", "test/error"]
    for logger in job.recorder.loggers:
        if isinstance(logger, TensorBoardLogger):
            logger.log_hyperparams(_flatten(settings), dict.fromkeys(names, math.nan))
        else:
            logger.log_hyperparams(settings)


def _flatten(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in settings.items():
        if isinstance(value, Mapping):
            flat |= _flatten(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value if isinstance(value, bool | int | float | str) else str(value)
    return flat


def _count_parameters(network: torch.nn.Module) -> int:
    return sum(p.numel() for p in network.parameters() if p.requires_grad)


def _device_name(device: torch.device) -> str:
    return f"{device} ({torch.cuda.get_device_name(device)})" if device.type == "cuda" else str(device)
