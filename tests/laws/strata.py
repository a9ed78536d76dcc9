"""Draws of jobs that train as one stack, in strata: each visits a corner of the space of configurations.

Plain draws miss corners: of twelve, none may have pruning with one control alone. A draw is a function of its
stratum and number, so that no run of the tests fails by chance.
"""

import random
from collections.abc import Callable, Sequence

from tests.laws.corners import (
    accumulated,
    budget,
    clipped,
    divergence,
    epochs,
    in_single_steps,
    linear_model,
    mixed,
    mup,
    one_by_one,
    patience,
    plain_draw,
    regression,
    threshold,
    uneven,
    wide_and_narrow,
)
from tests.laws.draws import (
    Draw,
    at_least_three,
    keep_optimizers_settings,
    member_of,
    plain,
    set_for_all,
)


def draw(stratum: str, number: int) -> Draw:
    """Return a draw of a stratum."""
    rng = random.Random(f"{stratum}/{number}")
    drawn = plain(rng)
    {**STRATA, **ALONE}[stratum](rng, drawn)
    return Draw(stratum, number, drawn.common, drawn.members)


Stratum = Callable[[random.Random, Draw], None]


def _measured(name: str, **settings: object) -> Stratum:
    """Return the stratum of a callback with settings of its own, some of them drawn."""

    def stratum(rng: random.Random, drawn: Draw) -> None:
        own = {
            key: rng.choice(value) if isinstance(value, list) else value for key, value in settings.items()
        }
        _add_callback(rng, drawn, name, own)
        NEEDS.get(name, plain_draw)(rng, drawn)

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
        set_for_all(drawn, model__depth=rng.choice([1, 2]), training__stopping__train_loss=None)
        set_for_all(drawn, trainer__max_steps=rewind + (cycles + 1) * length)
        own = {"rounds": cycles, "rate": rng.choice([0.2, 0.5]), "figures": False, **settings}
        _add_callback(rng, drawn, "pruning", own)
        while len(drawn.members) < len(controls):
            drawn.members.append(member_of(rng, drawn))
        for index, member in enumerate(drawn.members):
            member["callbacks.pruning.control"] = controls[index % len(controls)]
            if member["model.width"] == 1:
                member["model.width"] = 4

    return stratum


def _twin_out_of_order(rng: random.Random, drawn: Draw) -> None:
    """Twins that split off, or have batches in another order than their member's."""
    uneven(rng, drawn)
    split = rng.choice([0, 3, None])
    own = {"split_step": split, "order_seed": rng.randrange(9), **SMALL_BARRIER}
    _add_callback(rng, drawn, "barrier", own)
    set_for_all(drawn, model__depth=rng.choice([1, 2]), training__stopping__patience=None)


def _stops_with_twins(rng: random.Random, drawn: Draw) -> None:
    """Members that end one after the other, each with its twin."""
    threshold(rng, drawn)
    _add_callback(rng, drawn, "barrier", {"split_step": None, **SMALL_BARRIER})


def _raises(rng: random.Random, drawn: Draw) -> None:
    """A callback that raises in some members, at a step of its own."""
    drawn.common |= {
        "+callbacks.raising._target_": "tests.laws.foreign.Raising",
        "+callbacks.raising.every_n_steps": rng.choice([5, 8]),
        "+callbacks.raising.step": rng.choice([0, 16, 40]),
        "+callbacks.raising.below": rng.choice([0.005, 0.03]),
    }
    set_for_all(drawn, trainer__max_steps=48)


def _restarts(rng: random.Random, drawn: Draw) -> None:
    """A callback that lets some members begin anew while others go on."""
    drawn.common |= {
        "+callbacks.restarting._target_": "tests.laws.foreign.Restarting",
        "+callbacks.restarting.every_n_steps": 8,
        "+callbacks.restarting.step": rng.choice([8, 16]),
        "+callbacks.restarting.below": 0.01,
    }
    set_for_all(drawn, optimizer=rng.choice(["sgd", "adam", "adamw"]), trainer__max_steps=40)
    set_for_all(drawn, model__depth=rng.choice([1, 2]))
    keep_optimizers_settings(drawn)
    at_least_three(rng, drawn)
    keep_optimizers_settings(drawn)
    for index, member in enumerate(drawn.members):
        member["optimizer.lr"] = [0.003, 0.03][index % 2]
        if drawn.common["optimizer"] == "sgd":
            member["optimizer.momentum"] = rng.choice([0.5, 0.9])


def _regression_data(rng: random.Random, drawn: Draw) -> None:
    regression(rng, drawn)


def _one_input(rng: random.Random, drawn: Draw) -> None:
    regression(rng, drawn)
    set_for_all(
        drawn, data="chebyshev", data__input_dim=1, model__activation="relu", model__depth=rng.choice([1, 2])
    )


def _teacher(rng: random.Random, drawn: Draw) -> None:
    """Least squares on the data of a linear teacher: closed forms, whose callbacks change the network."""
    linear_model(rng, drawn)
    regression(rng, drawn)
    set_for_all(drawn, data="linear_teacher", model__bias=False, trainer__max_steps=rng.choice([0, 20]))


def _tiny(rng: random.Random, drawn: Draw) -> None:
    set_for_all(drawn, model__depth=1, model__activation="tanh", optimizer="sgd")
    keep_optimizers_settings(drawn)
    for member in drawn.members:
        member["model.width"] = rng.choice([1, 2])


def _linear(rng: random.Random, drawn: Draw) -> None:
    linear_model(rng, drawn)
    regression(rng, drawn)


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
    "plain": plain_draw,
    "uneven_batches": uneven,
    "epochs": epochs,
    "mup": mup,
    "wide_and_narrow": wide_and_narrow,
    "budget": budget,
    "linear_model": linear_model,
    "threshold": threshold,
    "one_by_one": one_by_one,
    "patience": patience,
    "divergence": divergence,
    "raises": _raises,
    "mixed": mixed,
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
    "accumulated": accumulated,
    "clipped": clipped,
    "in_single_steps": in_single_steps,
}
"""Jobs that no stack takes."""


def draws(numbers: Sequence[int]) -> list[tuple[str, int]]:
    """Return the stratum and number of some draws of each stratum."""
    return [(stratum, number) for stratum in STRATA for number in numbers]
