"""Draws of jobs that train as one stack, in strata: each visits a corner of the space of configurations.

Plain draws miss corners: of twelve, none may have pruning with one control alone. A draw is a function of its
stratum and number, so that no run of the tests fails by chance, and prints as a command.
"""

import random
from collections.abc import Callable, Sequence
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


def draw(stratum: str, number: int) -> Draw:
    """Return a draw of a stratum."""
    rng = random.Random(f"{stratum}/{number}")
    drawn = _plain(rng)
    {**STRATA, **ALONE}[stratum](rng, drawn)
    return Draw(stratum, number, drawn.common, drawn.members)


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


def _plain(rng: random.Random) -> Draw:
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
    drawn.members = [_member(rng, drawn) for _ in range(rng.randrange(1, 6))]
    return drawn


def _member(rng: random.Random, drawn: Draw) -> dict[str, object]:
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


# The strata ----------------------------------------------------------------------------------------------

Stratum = Callable[[random.Random, Draw], None]


def _set(drawn: Draw, **settings: object) -> None:
    """Set what all jobs have in common; ``__`` stands for a dot. No member sets it by itself any more."""
    for name, value in settings.items():
        key = name.replace("__", ".")
        drawn.common[key] = value
        for member in drawn.members:
            member.pop(key, None)


def _regression(rng: random.Random, drawn: Draw) -> None:
    _set(drawn, data=rng.choice(REGRESSIONS), training__loss=rng.choice(["mse", "half_mse"]))
    for member in drawn.members:
        member.pop("data.noise", None)


def _plain_draw(rng: random.Random, drawn: Draw) -> None:
    pass


def _uneven(rng: random.Random, drawn: Draw) -> None:
    _set(drawn, optimizer=rng.choice(["sgd", "adam", "adamw"]), data__n_train=23, data__batch_size=5)
    _keep_optimizers_settings(drawn)


def _keep_optimizers_settings(drawn: Draw) -> None:
    """Drop members' settings that the optimizer now chosen does not have."""
    for member in drawn.members:
        member.pop("optimizer.momentum", None)
        member.pop("optimizer.betas", None)


def _epochs(rng: random.Random, drawn: Draw) -> None:
    _uneven(rng, drawn)
    _set(drawn, trainer__max_steps=-1, trainer__max_epochs=rng.randrange(2, 9))


def _mup(rng: random.Random, drawn: Draw) -> None:
    _set(drawn, model__parametrization="mup", model__depth=rng.choice([1, 2, 3]))
    for member in drawn.members:
        member["model.base_width"] = rng.choice([1, 2, 4, 64])


def _wide_and_narrow(rng: random.Random, drawn: Draw) -> None:
    """Widths that need more than one bucket."""
    _set(drawn, model__depth=rng.choice([1, 2]))
    drawn.members = [
        _member(rng, drawn) | {"model.width": width} for width in rng.sample([1, 4, 16, 60, 200], 4)
    ]


def _budget(rng: random.Random, drawn: Draw) -> None:
    """Layers of unequal width, solved from numbers of parameters."""
    _set(drawn, model=rng.choice(["deep", "wide"]))
    del drawn.common["model.depth"]
    for member in drawn.members:
        member.pop("model.width")
        member["model.budget"] = rng.randrange(150, 600)


def _linear_model(rng: random.Random, drawn: Draw) -> None:
    _set(drawn, model="linear")
    for key in ("depth", "activation"):
        drawn.common.pop(f"model.{key}")
    for member in drawn.members:
        for key in SHAPE:
            member.pop(f"model.{key}", None)


def _threshold(rng: random.Random, drawn: Draw) -> None:
    """Members that reach a training loss, each at its own step."""
    _regression(rng, drawn)
    _set(
        drawn,
        training__stopping__train_loss=rng.choice([0.3, 0.6, 0.9]),
        training__stopping__check_every_n_steps=rng.choice([1, 1, 7]),
        trainer__max_steps=80,
        trainer__min_steps=rng.choice([None, None, 25]),
    )
    _at_least_three(rng, drawn)
    for member in drawn.members:
        member["optimizer.lr"] = 10 ** rng.uniform(-2.5, -0.5)


def _patience(rng: random.Random, drawn: Draw) -> None:
    _set(
        drawn,
        training__stopping__patience=rng.choice([4, 10]),
        training__stopping__min_delta=rng.choice([0.01, 0.1, 0.5]),
        training__stopping__check_every_n_steps=rng.choice([1, 2, 5]),
        trainer__max_steps=80,
        trainer__min_steps=rng.choice([None, None, 25]),
    )
    _at_least_three(rng, drawn)
    for member in drawn.members:
        member["optimizer.lr"] = 10 ** rng.uniform(-4, -0.5)


def _one_by_one(rng: random.Random, drawn: Draw) -> None:
    """Members that end at steps far apart while the moments of the others matter."""
    _threshold(rng, drawn)
    _set(drawn, optimizer=rng.choice(["sgd", "adam", "adamw"]), training__stopping__train_loss=0.5)
    _set(drawn, trainer__min_steps=None, data="linear_teacher", data__noise=0.0, model__depth=1)
    _set(drawn, training__stopping__check_every_n_steps=5)
    _keep_optimizers_settings(drawn)
    for index, member in enumerate(drawn.members):
        member["optimizer.lr"] = [0.1, 0.03, 0.01, 0.003, 0.001][index]
        if drawn.common["optimizer"] == "sgd":
            member["optimizer.momentum"] = 0.9


def _at_least_three(rng: random.Random, drawn: Draw) -> None:
    drawn.members += [_member(rng, drawn) for _ in range(3 - len(drawn.members))]


def _divergence(rng: random.Random, drawn: Draw) -> None:
    _regression(rng, drawn)
    _set(drawn, optimizer=rng.choice(["sgd", "gradient_descent"]), trainer__max_steps=120)
    if drawn.common["optimizer"] == "gradient_descent":
        _set(drawn, data__batch_size="full")
    _keep_optimizers_settings(drawn)
    drawn.members += [_member(rng, drawn), _member(rng, drawn)]
    _keep_optimizers_settings(drawn)
    del drawn.members[5:]
    drawn.members[rng.randrange(len(drawn.members))] |= {
        "optimizer.lr": rng.choice([1e4, 1e6]),
        "model.parametrization": "standard",
    }


def _measured(name: str, **settings: object) -> Stratum:
    """Return the stratum of a callback with settings of its own, some of them drawn."""

    def stratum(rng: random.Random, drawn: Draw) -> None:
        own = {
            key: rng.choice(value) if isinstance(value, list) else value for key, value in settings.items()
        }
        _add_callback(rng, drawn, name, own)
        NEEDS.get(name, _plain_draw)(rng, drawn)

    return stratum


def _add_callback(rng: random.Random, drawn: Draw, name: str, own: dict[str, object]) -> None:
    listed = [*drawn.common.get("callbacks", []), name]  # type: ignore[misc]
    drawn.common["callbacks"] = listed
    if name not in WITHOUT_SCHEDULE:
        interval = rng.choice([{"every_n_steps": 13}, {"every_n_epochs": 4}, {"log_spaced": 2}, {}])
        own = {**interval, "figures": False, "at_start": rng.random() < 0.8, **own}
    for key, value in own.items():
        drawn.common[f"callbacks.{name}.{key}"] = value


def _pruned(*controls: str, rounds: Sequence[int] = (1, 2, 3), **settings: object) -> Stratum:
    """Return the stratum of pruning under controls that the members share out among them."""

    def stratum(rng: random.Random, drawn: Draw) -> None:
        cycles, rewind = rng.choice(rounds), int(str(settings.get("rewind_step", 0)))
        length = rng.randrange(5, 15)
        _set(drawn, model__depth=rng.choice([1, 2]), training__stopping__train_loss=None)
        _set(drawn, trainer__max_steps=rewind + (cycles + 1) * length)
        own = {"rounds": cycles, "rate": rng.choice([0.2, 0.5]), "figures": False, **settings}
        _add_callback(rng, drawn, "pruning", own)
        while len(drawn.members) < len(controls):
            drawn.members.append(_member(rng, drawn))
        for index, member in enumerate(drawn.members):
            member["callbacks.pruning.control"] = controls[index % len(controls)]
            if member["model.width"] == 1:
                member["model.width"] = 4

    return stratum


def _twin_out_of_order(rng: random.Random, drawn: Draw) -> None:
    """Twins that split off, or have batches in another order than their member's."""
    _uneven(rng, drawn)
    split = rng.choice([0, 3, None])
    own = {"split_step": split, "order_seed": rng.randrange(9), **SMALL_BARRIER}
    _add_callback(rng, drawn, "barrier", own)
    _set(drawn, model__depth=rng.choice([1, 2]), training__stopping__patience=None)


def _stops_with_twins(rng: random.Random, drawn: Draw) -> None:
    """Members that end one after the other, each with its twin."""
    _threshold(rng, drawn)
    _add_callback(rng, drawn, "barrier", {"split_step": None, **SMALL_BARRIER})


def _mixed(rng: random.Random, drawn: Draw) -> None:
    """Members that share nothing but their plan: they make several stacks, and look at different steps."""
    _set(drawn, data__batch_size="full")
    _at_least_three(rng, drawn)
    _keep_optimizers_settings(drawn)
    for member in drawn.members:
        member["optimizer"] = rng.choice(["sgd", "adam", "adamw"])
        member["model.depth"] = rng.choice([0, 1, 2])
        member["model.activation"] = rng.choice(["relu", "tanh", "sigmoid"])
        if rng.random() < 0.4:
            member["callbacks"] = ["hessian"]
            member["callbacks.hessian.every_n_steps"] = rng.choice([3, 8])
            member["callbacks.hessian.figures"] = False


def _accumulated(rng: random.Random, drawn: Draw) -> None:
    _uneven(rng, drawn)
    _set(drawn, trainer__accumulate_grad_batches=rng.choice([2, 3, 4]))


def _clipped(rng: random.Random, drawn: Draw) -> None:
    algorithm = rng.choice(["norm", "value"])
    _set(
        drawn, trainer__gradient_clip_val=rng.choice([0.01, 0.1]), trainer__gradient_clip_algorithm=algorithm
    )


def _in_single_steps(rng: random.Random, drawn: Draw) -> None:
    """What Lightning has to be asked about after each step."""
    rng.choice([_plain_draw, _uneven, _threshold, _patience])(rng, drawn)
    _set(drawn, trainer__max_time="00:01:00:00")


def _raises(rng: random.Random, drawn: Draw) -> None:
    """A callback that raises in some members, at a step of its own."""
    drawn.common |= {
        "+callbacks.raising._target_": "tests.laws.foreign.Raising",
        "+callbacks.raising.every_n_steps": rng.choice([5, 8]),
        "+callbacks.raising.step": rng.choice([0, 16, 40]),
        "+callbacks.raising.below": rng.choice([0.005, 0.03]),
    }
    _set(drawn, trainer__max_steps=48)


def _restarts(rng: random.Random, drawn: Draw) -> None:
    """A callback that lets some members begin anew while others go on."""
    drawn.common |= {
        "+callbacks.restarting._target_": "tests.laws.foreign.Restarting",
        "+callbacks.restarting.every_n_steps": 8,
        "+callbacks.restarting.step": rng.choice([8, 16]),
        "+callbacks.restarting.below": 0.01,
    }
    _set(drawn, optimizer=rng.choice(["sgd", "adam", "adamw"]), trainer__max_steps=40)
    _set(drawn, model__depth=rng.choice([1, 2]))
    _keep_optimizers_settings(drawn)
    _at_least_three(rng, drawn)
    _keep_optimizers_settings(drawn)
    for index, member in enumerate(drawn.members):
        member["optimizer.lr"] = [0.003, 0.03][index % 2]
        if drawn.common["optimizer"] == "sgd":
            member["optimizer.momentum"] = rng.choice([0.5, 0.9])


def _regression_data(rng: random.Random, drawn: Draw) -> None:
    _regression(rng, drawn)


def _one_input(rng: random.Random, drawn: Draw) -> None:
    _regression(rng, drawn)
    _set(
        drawn, data="chebyshev", data__input_dim=1, model__activation="relu", model__depth=rng.choice([1, 2])
    )


def _teacher(rng: random.Random, drawn: Draw) -> None:
    """Least squares on the data of a linear teacher: closed forms, whose callbacks change the network."""
    _linear_model(rng, drawn)
    _regression(rng, drawn)
    _set(drawn, data="linear_teacher", model__bias=False, trainer__max_steps=rng.choice([0, 20]))


def _tiny(rng: random.Random, drawn: Draw) -> None:
    _set(drawn, model__depth=1, model__activation="tanh", optimizer="sgd")
    _keep_optimizers_settings(drawn)
    for member in drawn.members:
        member["model.width"] = rng.choice([1, 2])


def _linear(rng: random.Random, drawn: Draw) -> None:
    _linear_model(rng, drawn)
    _regression(rng, drawn)


SMALL_BARRIER: dict[str, object] = {"points": 5, "curve_steps": 8}
WITHOUT_SCHEDULE = ("pruning", "least_squares", "isotropic_risk", "random_feature_risk")
NEEDS: dict[str, Stratum] = {
    "unexplained_variance": _regression_data,
    "linear_pieces": _one_input,
    "isotropic_risk": _teacher,
    "critical_points": _tiny,
    "min_norm": _linear,
    "least_squares": _regression_data,
}
STRATA: dict[str, Stratum] = {
    "plain": _plain_draw,
    "uneven_batches": _uneven,
    "epochs": _epochs,
    "mup": _mup,
    "wide_and_narrow": _wide_and_narrow,
    "budget": _budget,
    "linear_model": _linear_model,
    "threshold": _threshold,
    "one_by_one": _one_by_one,
    "patience": _patience,
    "divergence": _divergence,
    "raises": _raises,
    "mixed": _mixed,
    "restarts": _restarts,
    "ntk": _measured("ntk", n_samples=[7, None], n_test=5),
    "hessian": _measured("hessian", dense_up_to=[1000, 0], density_steps=8, density_probes=[2, None]),
    "sharpness": _measured("sharpness", n_starts=2, max_steps=8, n_directions=3, radius=[0.05, 0.5]),
    "landscape": _measured("landscape", lines=2, line_points=5, plane_points=5, bias=["zero", "scale"]),
    "trajectory": _measured(
        "landscape", lines=1, line_points=3, plane_points=3, directions="trajectory", every_n_steps=4
    ),
    "geometry": _measured("geometry", n_samples=[11, None]),
    "critical_points": _measured("critical_points", max_steps=20, every_n_steps=17),
    "unexplained_variance": _measured("unexplained_variance"),
    "linear_pieces": _measured("linear_pieces"),
    "min_norm": _measured("min_norm"),
    "least_squares": _measured("least_squares", ridge=[0.0, 0.1]),
    "isotropic_risk": _measured("isotropic_risk"),
    "barrier_to_initialization": _measured("barrier", partner="initialization", **SMALL_BARRIER),
    "barrier_to_twin": _measured("barrier", partner="twin", **SMALL_BARRIER),
    "twin_out_of_order": _twin_out_of_order,
    "stops_with_twins": _stops_with_twins,
    "pruning_none": _pruned("none"),
    "pruning_random": _pruned("random"),
    "pruning_reinitialize": _pruned("reinitialize"),
    "pruning_random_signs": _pruned("random_signs"),
    "pruning_mixed": _pruned("none", "random", "reinitialize", "random_signs"),
    "pruning_rewound": _pruned("none", "random", "random_signs", rewind_step=4),
    "pruning_global": _pruned("none", "random", "random_signs", scope="global"),
    "two_callbacks": lambda rng, drawn: (
        _measured("hessian", density_probes=None)(rng, drawn),
        _measured("barrier", partner="twin", **SMALL_BARRIER)(rng, drawn),
    )[0],
}


ALONE: dict[str, Stratum] = {
    "accumulated": _accumulated,
    "clipped": _clipped,
    "in_single_steps": _in_single_steps,
}
"""Jobs that no stack takes."""


def draws(numbers: Sequence[int]) -> list[tuple[str, int]]:
    """Return the stratum and number of some draws of each stratum."""
    return [(stratum, number) for stratum in STRATA for number in numbers]
