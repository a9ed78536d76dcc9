"""Synthetic runs and claims, made in memory."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from dlexp.studies.claims import Claim, Finding, judge, parse_claims
from dlexp.studies.runs import DONE, Run


def make_run(seed: int, metrics: Mapping[str, float], *, status: str = DONE, **settings: Any) -> Run:
    """Return a run; in `settings` a double underscore stands for the dot of a key."""
    config = {key.replace("__", "."): value for key, value in settings.items()}
    name = ",".join(f"{key}={value}" for key, value in config.items())
    return Run(
        folder=Path(f"{name},seed={seed}"),
        status=status,
        seed=seed,
        config={"seed": seed, "data.seed": seed, "optimizer.name": "adam", **config},
        metrics=metrics,
        overrides=tuple(f"{key}={value}" for key, value in config.items()),
    )


def make_curve(curves: Sequence[Sequence[float]], widths: Sequence[float], **settings: Any) -> list[Run]:
    """Return the runs of a curve of losses over widths for each seed."""
    return [
        make_run(seed, {"test/loss": value, "model/parameters": 22 * width}, model__width=width, **settings)
        for seed, curve in enumerate(curves)
        for width, value in zip(widths, curve, strict=True)
    ]


def plain_claim(statistic: Mapping[str, Any], region: Sequence[float | None], **keys: Any) -> dict[str, Any]:
    """Return a claim as a study file has it."""
    defaults = {"name": "claim", "text": "It is so.", "source": "Theory 1989", "scope": "It shows it here."}
    return {**defaults, "statistic": statistic, "region": region, **keys}


def find_one(
    statistic: Mapping[str, Any], region: Sequence[float | None], runs: Sequence[Run], **keys: Any
) -> Finding:
    """Return what runs say of one claim."""
    claims: tuple[Claim, ...] = parse_claims([plain_claim(statistic, region, **keys)])
    return judge(claims, runs)[0]


@pytest.fixture(scope="session")
def run() -> Callable[..., Run]:
    return make_run


@pytest.fixture(scope="session")
def curve() -> Callable[..., list[Run]]:
    return make_curve


@pytest.fixture(scope="session")
def plain() -> Callable[..., dict[str, Any]]:
    return plain_claim


@pytest.fixture(scope="session")
def find() -> Callable[..., Finding]:
    return find_one
