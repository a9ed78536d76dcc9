"""Training what the builder has built, and keeping what comes of it."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from dlexp.training import ahead
from dlexp.training.ahead import Trained
from dlexp.training.build import Job, build, make_loggers
from dlexp.training.checkpoint import save_checkpoint
from dlexp.training.quiet import quiet_libraries
from dlexp.training.recorder import Recorder
from dlexp.training.result import Report, Result
from dlexp.training.tensorboard import RunTensorBoard

log = logging.getLogger(__name__)


def fit(config: Mapping[str, Any], folder: Path, result: Result, report: Report | None = None) -> None:
    """Train one job's network, unless it was trained ahead; fill in ``result``, write the other files.

    Also after an error in training, which is passed on, the metrics until then are kept.
    """
    torch.set_num_threads(config["threads"])
    trained = ahead.take(result.identity)
    recorder = trained.recorder if trained else Recorder()
    try:
        recorder.attach(make_loggers(config, folder))
        for logger in recorder.loggers:
            logger.log_hyperparams(_settings(config))
        if trained is None:
            reason = ahead.explanation(result.identity)
            if reason:
                log.info("trained by itself: %s", reason)
            quiet_libraries()
            trained = _train(build(config, recorder, report), result)
        _keep(trained, folder, result)
    finally:
        result.metrics = dict(recorder.final)
        recorder.write(folder)
        for logger in recorder.loggers:
            if isinstance(logger, RunTensorBoard):
                logger.end(well=result.status == "done")


def _train(job: Job, result: Result) -> Trained:
    module = job.module
    if job.single_steps_because:
        log.info("trains in single steps: %s", job.single_steps_because)
    # Everything random comes from explicit generators; a callback of the user's own may still use the
    # global one, which must not depend on the jobs before.
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        torch.manual_seed(result.seed)
        try:
            job.trainer.fit(module, datamodule=job.datamodule)
        except SystemExit:  # what Lightning makes of Ctrl-C
            raise KeyboardInterrupt from None
    return Trained(
        outcome=module.outcome,
        step=module.step,
        epoch=module.plan.epoch(module.step),
        state=module.network.state_dict(),
        hyperparameters=module.hparams,
        recorder=module.recorder,
        device=device_name(module.device),
    )


def _keep(trained: Trained, folder: Path, result: Result) -> None:
    if trained.remark:
        log.info(trained.remark)
    result.device = trained.device
    result.duration_s += trained.duration_s
    if trained.error is not None:
        raise trained.error
    result.status = "diverged" if trained.outcome == "diverged" else "done"
    if result.status == "diverged":
        result.error = f"the training loss was no longer finite at step {trained.step}"
    elif result.config["training"]["checkpoint"]:
        save_checkpoint(
            folder, trained.state, trained.hyperparameters, step=trained.step, epoch=trained.epoch
        )
    log.info("training %s after %d steps", trained.outcome, trained.step)


def _settings(config: Mapping[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in config.items() if k not in ("name", "rerun", "objective", "logger")}


def device_name(device: torch.device) -> str:
    """Return a device as results name it: ``cpu``, or ``cuda:0`` with the card's name."""
    return f"{device} ({torch.cuda.get_device_name(device)})" if device.type == "cuda" else str(device)
