"""What all of dlexp's callbacks share: settings that are checked in one place, a trial before training."""

from typing import Any, ClassVar

from pytorch_lightning import Callback, Trainer

from dlexp.config.check import callback_settings
from dlexp.config.errors import first_line
from dlexp.config.schedule import CallbackSettings
from dlexp.train.member import Member, evaluation_mode


class ConfiguredCallback(Callback):
    """A callback with the settings of its model in :mod:`dlexp.config.callbacks`, where their bounds stand.

    Raises ``ConfigError``, a ``ValueError``, with a sentence for each setting that is not allowed.
    """

    name: ClassVar[str]
    settings_model: ClassVar[type[CallbackSettings]]
    changes_network = False  # one that does is called after those that measure the network as it was trained
    settings: Any

    def __init__(self, **settings: Any) -> None:
        given = {"_target_": f"{type(self).__module__}.{type(self).__name__}", **settings}
        self.settings = callback_settings(self.settings_model, given, self.name)

    def find_problems(self, trial: Member) -> list[str]:
        """Return why a network cannot be trained with this callback, in a sentence, or nothing.

        Args:
            trial: the untrained network as a member, on a few rows of no meaning.
        """
        try:
            with evaluation_mode(trial.network):
                self.try_on(trial)
        except Exception as error:  # of a user's own network it can be any
            return [f"callbacks.{self.name} is not allowed with this network: {first_line(error)}."]
        return []

    def try_on(self, trial: Member) -> None:
        """Raise an error where the callback cannot do with a network what it is to do."""

    def require_own_training(self, trainer: Trainer, member: Member, what: str) -> None:
        """Raise ``ValueError`` where Lightning's loop trains the member: it does not do ``what``."""
        if trainer.lightning_module is member:
            ours = "dlexp's own training (dlexp.train, scripts/train.py)"
            raise ValueError(f"callbacks.{self.name} needs {ours}, which {what}")

    def due_steps(self, total_steps: int, steps_per_epoch: int) -> frozenset[int]:
        """Return the optimizer steps after which the network is looked at, the end left out."""
        return frozenset()
