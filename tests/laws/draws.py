"""Jobs that are drawn to be trained together, and what every draw is made of; a draw prints as a command."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.laws.runs import Config, compose


@dataclass
class Draw:
    """Jobs that may share a stack.

    Attributes:
        stratum, number: where it comes from.
        common: overrides of all jobs, by key.
        members: overrides of each job, by key.
    """

    stratum: str
    number: int
    common: dict[str, object] = field(default_factory=dict)
    members: list[dict[str, object]] = field(default_factory=list)

    @property
    def configs(self) -> list[Config]:
        """The jobs' configurations."""
        return [compose(*_texts(self.common), *_texts(member)) for member in self.members]

    @property
    def arguments(self) -> list[str]:
        """What the training command is given to run the jobs, each of them an arm."""
        arms = []
        for index, member in enumerate(self.members):
            settings = ",".join(f"{key}:{_text(value)}" for key, value in member.items())
            arms.append(f"{chr(ord('a') + index)}:{{{settings}}}")
        common = ["trainer.precision=64-true", *_texts(self.common)]
        return ["-m", *common, f"+study.arms={{{','.join(arms)}}}"]

    def __str__(self) -> str:
        """Return the command that runs the jobs."""
        return " ".join(["python scripts/train.py", *map(_quoted, self.arguments)])


def _texts(settings: dict[str, object]) -> list[str]:
    return [f"{key}={_text(value)}" for key, value in settings.items()]


def _text(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return f"[{','.join(map(_text, value))}]"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _quoted(text: str) -> str:
    return f"'{text}'" if set(text) & set("[{") else text


# What every draw is made of ------------------------------------------------------------------------------

REGRESSIONS = ("linear_teacher", "sine_sum", "sphere", "radial")
CLASSIFICATIONS = ("gaussian_mixture", "parity")
SHAPE = ("width", "parametrization", "weight_std", "base_width", "readout_weight_std")


def plain(rng: random.Random) -> Draw:
    is_regression = rng.random() < 0.7
    n_train = rng.randrange(11, 40)
    name = rng.choice(["sgd", "adam", "adamw", "gradient_descent"])
    batch: object = "full" if name == "gradient_descent" else rng.choice(["full", 7, 10, n_train])
    common: dict[str, object] = {
        "data": rng.choice(REGRESSIONS if is_regression else CLASSIFICATIONS),
        "data.n_train": n_train,
        "data.n_test": 17,
        "data.input_dim": rng.randrange(3, 7),
        "data.batch_size": batch,
        "optimizer": name,
        "optimizer.schedule": rng.choice(["constant", "cosine", "linear"]),
        "model.depth": rng.choice([0, 1, 1, 2, 3]),
        "model.activation": rng.choice(["relu", "tanh", "gelu", "erf", "sigmoid", "linear"]),
        "model.bias": rng.random() < 0.7,
        "trainer.max_steps": rng.randrange(20, 61),
        "training.stopping.train_loss": None,
        "training.stopping.check_every_n_steps": rng.choice([1, 7, 50]),
        "training.log_points.per_decade": 3,
    }
    if is_regression:
        common["training.loss"] = rng.choice(["mse", "half_mse", "huber"])
    if rng.random() < 0.2:
        common |= {"training.log_points.spacing": "linear", "training.log_points.every_n_steps": 9}
    drawn = Draw("", 0, common)
    drawn.members = [member_of(rng, drawn) for _ in range(rng.randrange(1, 6))]
    return drawn


def member_of(rng: random.Random, drawn: Draw) -> dict[str, object]:
    is_adam = str(drawn.common["optimizer"]).startswith("adam")
    member: dict[str, object] = {
        "seed": rng.randrange(1000),
        "model.width": rng.choice([1, 2, 3, 5, 8, 13]),
        "optimizer.lr": 10 ** rng.uniform(-3, -1.5),
    }
    options: dict[str, Callable[[], object]] = {
        "model.parametrization": lambda: rng.choice(["standard", "ntk", "mup"]),
        "model.weight_std": lambda: rng.uniform(0.5, 1.5),
        "model.seed": lambda: rng.randrange(1000),
        "data.seed": lambda: rng.randrange(1000),
        "data.order_seed": lambda: rng.randrange(1000),
        "data.noise": lambda: rng.choice([0.0, 0.1, 0.3]),
        "optimizer.weight_decay": lambda: rng.choice([0.0, 0.01, 0.1]),
    }
    if is_adam:
        options["optimizer.betas"] = lambda: rng.choice([(0.9, 0.999), (0.8, 0.99), (0.0, 0.9)])
    elif drawn.common["optimizer"] == "sgd":
        options["optimizer.momentum"] = lambda: rng.choice([0.0, 0.5, 0.9])
    for key, choose in options.items():
        if rng.random() < 0.5:
            member[key] = choose()
    return member


def set_for_all(drawn: Draw, **settings: object) -> None:
    """Set what all jobs have in common; ``__`` stands for a dot. No member sets it by itself any more."""
    for name, value in settings.items():
        key = name.replace("__", ".")
        drawn.common[key] = value
        for member in drawn.members:
            member.pop(key, None)


def keep_optimizers_settings(drawn: Draw) -> None:
    """Drop members' settings that the optimizer now chosen does not have."""
    for member in drawn.members:
        member.pop("optimizer.momentum", None)
        member.pop("optimizer.betas", None)


def at_least_three(rng: random.Random, drawn: Draw) -> None:
    drawn.members += [member_of(rng, drawn) for _ in range(3 - len(drawn.members))]
