"""Corners of training that a draw is taken to: each function changes a draw in place."""

import random

from tests.laws.draws import (
    REGRESSIONS,
    SHAPE,
    Draw,
    at_least_three,
    keep_optimizers_settings,
    member_of,
    set_for_all,
)


def regression(rng: random.Random, drawn: Draw) -> None:
    set_for_all(drawn, data=rng.choice(REGRESSIONS), training__loss=rng.choice(["mse", "half_mse"]))
    for member in drawn.members:
        member.pop("data.noise", None)


def plain_draw(rng: random.Random, drawn: Draw) -> None:
    pass


def uneven(rng: random.Random, drawn: Draw) -> None:
    set_for_all(drawn, optimizer=rng.choice(["sgd", "adam", "adamw"]), data__n_train=23, data__batch_size=5)
    keep_optimizers_settings(drawn)


def epochs(rng: random.Random, drawn: Draw) -> None:
    uneven(rng, drawn)
    set_for_all(drawn, trainer__max_steps=-1, trainer__max_epochs=rng.randrange(2, 9))


def mup(rng: random.Random, drawn: Draw) -> None:
    set_for_all(drawn, model__parametrization="mup", model__depth=rng.choice([1, 2, 3]))
    for member in drawn.members:
        member["model.base_width"] = rng.choice([1, 2, 4, 64])


def wide_and_narrow(rng: random.Random, drawn: Draw) -> None:
    """Widths that need more than one bucket."""
    set_for_all(drawn, model__depth=rng.choice([1, 2]))
    drawn.members = [
        member_of(rng, drawn) | {"model.width": width} for width in rng.sample([1, 4, 16, 60, 200], 4)
    ]


def budget(rng: random.Random, drawn: Draw) -> None:
    """Layers of unequal width, solved from numbers of parameters."""
    set_for_all(drawn, model=rng.choice(["deep", "wide"]))
    del drawn.common["model.depth"]
    for member in drawn.members:
        member.pop("model.width")
        member["model.budget"] = rng.randrange(150, 600)


def linear_model(rng: random.Random, drawn: Draw) -> None:
    set_for_all(drawn, model="linear")
    for key in ("depth", "activation"):
        drawn.common.pop(f"model.{key}")
    for member in drawn.members:
        for key in SHAPE:
            member.pop(f"model.{key}", None)


def threshold(rng: random.Random, drawn: Draw) -> None:
    """Members that reach a training loss, each at its own step."""
    regression(rng, drawn)
    set_for_all(
        drawn,
        training__stopping__train_loss=rng.choice([0.3, 0.6, 0.9]),
        training__stopping__check_every_n_steps=rng.choice([1, 1, 7]),
        trainer__max_steps=80,
        trainer__min_steps=rng.choice([None, None, 25]),
    )
    at_least_three(rng, drawn)
    for member in drawn.members:
        member["optimizer.lr"] = 10 ** rng.uniform(-2.5, -0.5)


def patience(rng: random.Random, drawn: Draw) -> None:
    set_for_all(
        drawn,
        training__stopping__patience=rng.choice([4, 10]),
        training__stopping__min_delta=rng.choice([0.01, 0.1, 0.5]),
        training__stopping__check_every_n_steps=rng.choice([1, 2, 5]),
        trainer__max_steps=80,
        trainer__min_steps=rng.choice([None, None, 25]),
    )
    at_least_three(rng, drawn)
    for member in drawn.members:
        member["optimizer.lr"] = 10 ** rng.uniform(-4, -0.5)


def one_by_one(rng: random.Random, drawn: Draw) -> None:
    """Members that end at steps far apart while the moments of the others matter."""
    threshold(rng, drawn)
    set_for_all(drawn, optimizer=rng.choice(["sgd", "adam", "adamw"]), training__stopping__train_loss=0.5)
    set_for_all(drawn, trainer__min_steps=None, data="linear_teacher", data__noise=0.0, model__depth=1)
    set_for_all(drawn, training__stopping__check_every_n_steps=5)
    keep_optimizers_settings(drawn)
    for index, member in enumerate(drawn.members):
        member["optimizer.lr"] = [0.1, 0.03, 0.01, 0.003, 0.001][index]
        if drawn.common["optimizer"] == "sgd":
            member["optimizer.momentum"] = 0.9


def divergence(rng: random.Random, drawn: Draw) -> None:
    regression(rng, drawn)
    set_for_all(drawn, optimizer=rng.choice(["sgd", "gradient_descent"]), trainer__max_steps=120)
    if drawn.common["optimizer"] == "gradient_descent":
        set_for_all(drawn, data__batch_size="full")
    keep_optimizers_settings(drawn)
    drawn.members += [member_of(rng, drawn), member_of(rng, drawn)]
    keep_optimizers_settings(drawn)
    del drawn.members[5:]
    drawn.members[rng.randrange(len(drawn.members))] |= {
        "optimizer.lr": rng.choice([1e4, 1e6]),
        "model.parametrization": "standard",
    }


def mixed(rng: random.Random, drawn: Draw) -> None:
    """Members that share nothing but their plan: they make several stacks, and look at different steps."""
    set_for_all(drawn, data__batch_size="full")
    at_least_three(rng, drawn)
    keep_optimizers_settings(drawn)
    for member in drawn.members:
        member["optimizer"] = rng.choice(["sgd", "adam", "adamw"])
        member["model.depth"] = rng.choice([0, 1, 2])
        member["model.activation"] = rng.choice(["relu", "tanh", "sigmoid"])
        if rng.random() < 0.4:
            member["callbacks"] = ["hessian"]
            member["callbacks.hessian.every_n_steps"] = rng.choice([3, 8])
            member["callbacks.hessian.figures"] = False


def accumulated(rng: random.Random, drawn: Draw) -> None:
    uneven(rng, drawn)
    set_for_all(drawn, trainer__accumulate_grad_batches=rng.choice([2, 3, 4]))


def clipped(rng: random.Random, drawn: Draw) -> None:
    algorithm = rng.choice(["norm", "value"])
    set_for_all(
        drawn, trainer__gradient_clip_val=rng.choice([0.01, 0.1]), trainer__gradient_clip_algorithm=algorithm
    )


def in_single_steps(rng: random.Random, drawn: Draw) -> None:
    """What Lightning has to be asked about after each step."""
    rng.choice([plain_draw, uneven, threshold, patience])(rng, drawn)
    set_for_all(drawn, trainer__max_time="00:01:00:00")
