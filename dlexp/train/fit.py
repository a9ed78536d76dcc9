"""Training members as one ensemble under a Lightning Trainer, the process left as it was."""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch

from dlexp.train.build import engine_of, make_loader, make_trainer
from dlexp.train.ensemble import Ensemble, Report
from dlexp.train.hooks import reason_for_single_steps
from dlexp.train.keeper import Keeper
from dlexp.train.member import Member
from dlexp.train.memory import keep_freed_memory


def fit(
    config: Mapping[str, Any],
    members: Sequence[Member],
    *,
    engine: str | None = None,
    report: Report | None = None,
    on_end: Callable[[Member], None] | None = None,
    keeper: Keeper | None = None,
) -> None:
    """Train members to their ends.

    Args:
        config: of any of their jobs: they agree in all that concerns the Trainer (``build.ensemble_key``).
        members: each with its data drawn.
        engine: in place of the configuration's ``training.engine``.
        report: told how far training is.
        on_end: called with each member as it ends.
        keeper: of the group's snapshots.
    """
    keep_freed_memory()
    single = reason_for_single_steps(config["trainer"], members[0].callbacks) is not None
    loggers = members[0].recorder.loggers if len(members) == 1 else ()
    with _process_settings(config):
        trainer = make_trainer(config, loggers=loggers, in_single_steps=single)
        ensemble = Ensemble(
            members,
            engine=engine or engine_of(config),
            in_single_steps=single,
            report=report,
            on_end=on_end,
            keeper=keeper,
        )
        start = keeper.stored.step if keeper and keeper.stored else 0
        loader = make_loader(members, in_single_steps=single, start=start)
        try:
            with keeper.awaiting_signals() if keeper else contextlib.nullcontext():
                trainer.fit(ensemble, train_dataloaders=loader)
        except SystemExit:  # what Lightning makes of Ctrl-C
            raise KeyboardInterrupt from None


@contextlib.contextmanager
def _process_settings(config: Mapping[str, Any]) -> Iterator[None]:
    """Use the job's number of threads; put back all that a Trainer sets for the whole process."""
    threads = torch.get_num_threads()
    deterministic = torch.are_deterministic_algorithms_enabled()
    warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
    cudnn = torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic
    torch.set_num_threads(config["threads"])
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        torch.use_deterministic_algorithms(deterministic, warn_only=warn_only)
        torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic = cudnn
