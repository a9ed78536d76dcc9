"""A job trained by itself equals the textbook: every loss at every step, how it ended, the final weights."""

import copy
import random
from collections.abc import Callable

import pytest
import torch

from tests.laws import textbook
from tests.laws.comparison import assert_equal
from tests.laws.runs import (
    Config,
    Outcome,
    initial_network,
    permutation,
    rate_factors,
    tensors,
    train_alone,
)
from tests.laws.strata import ALONE, Draw, draw

STRATA = (
    "plain",
    "uneven_batches",
    "epochs",
    "mup",
    "budget",
    "linear_model",
    "threshold",
    "patience",
    "divergence",
    *ALONE,
)
QUICK = [(stratum, number) for stratum in STRATA for number in (20,)]
MORE = [(stratum, number) for stratum in STRATA for number in range(22, 34)]


def looks_and_checks(config: Config, steps: int) -> tuple[set[int], set[int]]:
    """Return the steps after which losses are recorded, and those after which convergence is checked."""
    points = config["training"]["log_points"]
    every, check = points["every_n_steps"], config["training"]["stopping"]["check_every_n_steps"]
    looks = {0, steps}
    if points["spacing"] == "linear":
        looks |= set(range(0, steps, every))
    else:
        looks |= {round(10 ** (k / points["per_decade"])) for k in range(100)}
    looks = {step for step in looks if step <= steps}
    first = config["trainer"]["min_steps"] or 1
    return looks, {step for step in range(first, steps + 1) if step % check == 0 or step == steps}


def stopping_rule(config: Config) -> Callable[[dict[int, float]], bool]:
    """Return whether training is over, given the training losses at the checks so far."""
    rule = config["training"]["stopping"]

    def is_over(losses: dict[int, float]) -> bool:
        best, best_step = float("inf"), 0
        for step, loss in losses.items():
            if loss < best * (1 - rule["min_delta"]):
                best, best_step = loss, step
        is_low = rule["train_loss"] is not None and loss <= rule["train_loss"]
        return is_low or (rule["patience"] is not None and step - best_step >= rule["patience"])

    return is_over


def optimizer_of(config: Config, network: torch.nn.Module) -> torch.optim.Optimizer:
    """Return the optimizer of torch that a job's configuration names, without any of its faster ways."""
    own, factors = config["optimizer"], rate_factors(config, network)
    decoupled = own["name"] == "adamw"  # lr x weight_decay is the same for all layers and widths
    groups = []
    for name, p in network.named_parameters():
        factor = factors.get(name, 1.0)
        decay = own["weight_decay"] / factor if decoupled else own["weight_decay"]
        groups.append({"params": [p], "lr": own["lr"] * factor, "weight_decay": decay})
    plain = {"foreach": False, "fused": False}
    if own["name"] in ("sgd", "gradient_descent"):
        return torch.optim.SGD(groups, lr=own["lr"], momentum=own["momentum"], **plain)
    kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[own["name"]]
    return kind(groups, lr=own["lr"], betas=tuple(own["betas"]), **plain)


def clipping(limit: float | None, algorithm: str | None) -> Callable[[torch.nn.Module], None]:
    """Return what changes a network's gradients before a step."""
    if limit is None:
        return lambda network: None
    if algorithm == "value":
        return lambda network: torch.nn.utils.clip_grad_value_(network.parameters(), limit)
    return lambda network: torch.nn.utils.clip_grad_norm_(network.parameters(), limit)


def by_the_textbook(config: Config, nudge: int | None = None) -> Outcome:
    """Return what the textbook makes of a job."""
    network, data = initial_network(config), tensors(config)
    if nudge is not None:
        generator = torch.Generator().manual_seed(nudge)
        with torch.no_grad():
            for p in network.parameters():
                p += 1e-14 * torch.randn(p.shape, dtype=torch.float64, generator=generator)
    size, trainer = config["data"]["batch_size"], config["trainer"]
    n_train = config["data"]["n_train"]
    # Gradients that are accumulated are the mean over the rows since the last step: those of a larger batch.
    batch_size = n_train if size == "full" else min(n_train, size * (trainer["accumulate_grad_batches"] or 1))
    limits = [trainer["max_steps"]] if trainer["max_steps"] != -1 else []
    if trainer["max_epochs"] is not None:
        limits.append(trainer["max_epochs"] * -(-n_train // batch_size))
    steps, loss_of = min(limits), textbook.LOSSES[config["training"]["loss"]]
    looks, checks = looks_and_checks(config, steps)
    status, step, losses = textbook.train(
        network,
        (data.x_train, data.y_train),
        (data.x_test, data.y_test),
        loss_of,
        optimizer_of(config, network),
        batch_size=batch_size,
        order=(lambda epoch: torch.arange(n_train)) if size == "full" else lambda e: permutation(config, e),
        rate=textbook.RATES[config["optimizer"]["schedule"]],
        steps=steps,
        looks=looks,
        checks=checks,
        is_over=stopping_rule(config),
        clip=clipping(trainer["gradient_clip_val"], trainer["gradient_clip_algorithm"]),
    )
    names = ("train/loss", "test/loss")
    rows = [(s, name, value) for s, both in losses.items() for name, value in zip(names, both, strict=True)]
    return Outcome(status, step, rows, {}, state={} if status == "diverged" else network.state_dict())


def alone(config: Config) -> Outcome:
    """Return what comes of a job alone, as far as the textbook speaks of it."""
    outcome = train_alone(config)
    rows = [row for row in outcome.rows if row[1] in ("train/loss", "test/loss")]
    if outcome.status == "diverged":  # where it was found, which no record tells
        step = int(str(outcome.error).rsplit(" ", 1)[1])
        return Outcome(outcome.status, step, rows, {})
    return Outcome(outcome.status, outcome.step, rows, {}, state=outcome.state)


def check(drawn: Draw) -> None:
    for index, config in enumerate(drawn.configs):
        expected = by_the_textbook(copy.deepcopy(config))
        nudged = lambda seed, c=config: by_the_textbook(c, nudge=seed)  # noqa: E731
        assert_equal(alone(config), expected, nudged, f"{drawn}\njob {index}")


@pytest.mark.parametrize(("stratum", "number"), QUICK)
def test_a_job_alone_equals_the_textbook(stratum, number):
    drawn = draw(stratum, number)
    drawn.members = random.Random(number).sample(drawn.members, min(3, len(drawn.members)))
    check(drawn)


@pytest.mark.slow
@pytest.mark.parametrize(("stratum", "number"), MORE)
def test_more_jobs_alone_equal_the_textbook(stratum, number):
    check(draw(stratum, number))
