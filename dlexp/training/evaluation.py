"""The callback that evaluates losses at the log points and says when training is over."""

import math
from typing import Any

import torch
from pytorch_lightning import Callback, Trainer

from dlexp.training.module import SupervisedModule
from dlexp.training.plan import Plan
from dlexp.training.result import Report


class Convergence:
    """Decides from the training losses seen so far whether training is over.

    It is when the loss is not above ``train_loss``, or when for ``patience`` steps it has not fallen by more
    than the relative amount ``min_delta`` below its best value (None switches either off).
    """

    def __init__(self, train_loss: float | None, patience: int | None, min_delta: float = 0.0) -> None:
        self.threshold, self.patience, self.min_delta = train_loss, patience, min_delta
        self.best, self.best_step = math.inf, 0

    def is_reached(self, loss: float, step: int) -> bool:
        """Take note of the training loss after ``step`` steps; return whether training has converged."""
        if loss < self.best * (1 - self.min_delta):
            self.best, self.best_step = loss, step
        if self.threshold is not None and loss <= self.threshold:
            return True
        return self.patience is not None and step - self.best_step >= self.patience


class Evaluation(Callback):
    """Evaluates the training loss at every check and log point, the test loss at every log point.

    Ends training when it has converged, or as ``diverged`` when the training loss is not finite. It comes
    first among the callbacks, so that those which measure the network know that it is sound.
    """

    def __init__(self, plan: Plan, convergence: Convergence, report: Report | None = None) -> None:
        self.plan = plan
        self.convergence = convergence
        self.report = report
        self._logged_step = -1

    def on_train_start(self, trainer: Trainer, module: Any) -> None:
        """Record the initial network."""
        count = sum(p.numel() for p in module.network.parameters() if p.requires_grad)
        module.record({"model/parameters": count})
        self._look(trainer, module, is_log_point=True, is_check=False)

    def on_train_batch_end(
        self, trainer: Trainer, module: Any, outputs: Any, batch: Any, batch_index: int
    ) -> None:
        """Record the losses if this is a log point; check convergence if it is time to."""
        step = module.step
        is_log_point = step in self.plan.log_steps and step != self._logged_step
        is_check = self.plan.is_check(step)
        is_epoch_end = module.automatic_optimization and step % self.plan.steps_per_epoch == 0
        if is_log_point or is_check or is_epoch_end:
            self._look(trainer, module, is_log_point, is_check)

    def on_train_end(self, trainer: Trainer, module: Any) -> None:
        """Record the trained network, wherever training ended."""
        if module.outcome == "running":
            module.outcome = "completed"
        if module.outcome != "diverged" and self._logged_step != module.step:
            self._look(trainer, module, is_log_point=True, is_check=False)

    def _look(self, trainer: Trainer, module: SupervisedModule, is_log_point: bool, is_check: bool) -> None:
        values = module.evaluate("train")
        if is_log_point or module.automatic_optimization:
            values |= module.evaluate("test")
        if is_log_point:
            values["weights/norm"] = _parameter_norm(module)
        # One transfer for all of them: on a GPU each would wait for the device.
        numbers = torch.stack(list(values.values())).tolist()
        metrics = dict(zip(values, numbers, strict=True))
        loss = metrics["train/loss"]
        if self.report is not None:
            self.report(module.step, self.plan.total_steps, loss)
        if not math.isfinite(loss):
            module.outcome = "diverged"
            trainer.should_stop = True
            return
        if is_check and self.convergence.is_reached(loss, module.step):
            module.outcome = "converged"
            trainer.should_stop = True
        if is_log_point:
            module.record(metrics)
            self._logged_step = module.step
        if module.automatic_optimization and trainer.training and module.step > 0:
            # For Lightning's own callbacks (EarlyStopping, ModelCheckpoint), which read callback_metrics.
            module.log_dict(metrics, logger=False)


@torch.no_grad()
def _parameter_norm(module: SupervisedModule) -> torch.Tensor:
    parameters = [p for p in module.network.parameters() if p.requires_grad]
    return torch.nn.utils.get_total_norm(parameters)
