"""The engines of an ensemble: asked as one, made anew as members come and go."""

import contextlib
from collections.abc import Collection, Iterator, Mapping, Sequence

import torch
from pytorch_lightning import LightningModule

from dlexp.train.choose import choose_engines, is_worth_restacking
from dlexp.train.engine import Engine
from dlexp.train.lightning import backward_by_lightning, step_by_lightning
from dlexp.train.loop import Loop
from dlexp.train.member import Member
from dlexp.train.optimizers import OptimizerState
from dlexp.train.replay.engine import Replay
from dlexp.train.sandbox import sandbox


class Engines:
    """What takes the steps of members, each by the fastest engine whose list holds it, else by the loop.

    Args:
        setting: ``auto``, ``loop``, or ``stack`` or ``replay`` to refuse members that it does not hold.
        lightning: the module through which a single member's loop steps, where Lightning's hooks are called
            around each optimizer step.
    """

    def __init__(self, setting: str, lightning: LightningModule | None = None) -> None:
        self._setting, self._lightning = setting, lightning
        self._engines: list[Engine] = []

    def __iter__(self) -> Iterator[Engine]:
        return iter(self._engines)

    def take(self, members: Sequence[Member], states: Mapping[Member, OptimizerState], step: int) -> None:
        """Take members, and no others, with what their optimizers remember."""
        self._engines = self._choose(members, states, step)

    def go_on(self, engines: Sequence[Engine]) -> None:
        """Be these engines, as they stood before."""
        self._engines = list(engines)

    def of(self, member: Member) -> Engine:
        """Return the engine that has a member."""
        return next(engine for engine in self._engines if member in engine.members)

    def advance(self, start: int, stop: int) -> None:
        """Take the steps ``start`` to ``stop - 1`` of all members."""
        for engine in self._engines:
            with _sandbox(engine):
                engine.advance(start, stop)

    @property
    def last_loss(self) -> torch.Tensor | None:
        """The loss of a single member's last batch, before its step; None in a stack."""
        return getattr(self._engines[0], "last_loss", None) if self._engines else None

    def evaluate(self, with_all: bool) -> dict[Member, dict[str, float]]:
        """Return each member's training loss, or all metrics: one transfer from the device an engine."""
        found: dict[Member, dict[str, float]] = {}
        for engine in self._engines:
            with _sandbox(engine):
                values = engine.evaluate("train")
                if with_all:
                    values |= engine.evaluate("test")
                    values["weights/norm"] = engine.norms()
                table = torch.stack(list(values.values())).T.tolist()
                for member, row in zip(engine.members, table, strict=True):
                    found[member] = dict(zip(values, row, strict=True))
        return found

    def differences(self, step: int) -> dict[Member, str]:
        """Return the members that are no longer trained as they would be alone, and in what it shows."""
        replays = [engine for engine in self._engines if isinstance(engine, Replay)]
        return {member: text for replay in replays for member, text in replay.differences(step).items()}

    def compact(self, staying: Collection[Member], step: int) -> None:
        """Leave out engines that nobody needs; stack anew what then costs much less a step."""
        engines = []
        for engine in self._engines:
            left = [member for member in engine.members if member in staying]
            if not left:
                continue
            if is_worth_restacking(engine, left):
                engines += self._choose(left, {member: engine.state(member) for member in left}, step)
            else:
                engines.append(engine)
        self._engines = engines

    def _choose(
        self, members: Sequence[Member], states: Mapping[Member, OptimizerState], step: int
    ) -> list[Engine]:
        because = "training.engine=loop" if self._setting == "loop" else None
        if self._lightning is not None:
            because = because or "Lightning's hooks are called in each step"
        engines = choose_engines(members, states, step=step, loop_because=because, engine=self._setting)
        if self._lightning is not None:
            for loop in engines:
                assert isinstance(loop, Loop)
                loop.backward = backward_by_lightning(self._lightning)
                loop.step_optimizer = step_by_lightning(self._lightning)
                self._lightning.trainer.optimizers = [loop.optimizer]
        return engines


def _sandbox(engine: Engine) -> contextlib.AbstractContextManager[None]:
    """Return the sandbox of a member that is trained by itself: its code may be anybody's."""
    return sandbox(engine.member) if isinstance(engine, Loop) else contextlib.nullcontext()
