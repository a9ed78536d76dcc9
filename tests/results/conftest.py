"""Synthetic runs and claims, made in memory."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from dlexp.records.run import DONE, Run
from dlexp.results.claims import Claim, Finding, Region
from dlexp.results.statistic import Statistic
from dlexp.results.table import Table
from dlexp.results.verdict import judge


def nested(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings by dotted names as a configuration."""
    config: dict[str, Any] = {}
    for key, value in settings.items():
        *parents, leaf = key.split(".")
        node = config
        for parent in parents:
            node = node.setdefault(parent, {})
        node[leaf] = value
    return config


def make_run(seed: int, metrics: Mapping[str, float], *, status: str = DONE, **settings: Any) -> Run:
    """Return a run; in `settings` a double underscore stands for the dot of a key."""
    dotted = {key.replace("__", "."): value for key, value in settings.items()}
    name = ",".join(f"{key}={value}" for key, value in dotted.items())
    return Run(
        status,
        f"{name},seed={seed}",
        seed=seed,
        config=nested({"seed": seed, "data.seed": seed, "optimizer.name": "adam", **dotted}),
        metrics=dict(metrics),
        overrides=[f"{key}={value}" for key, value in dotted.items()],
    )


def make_curve(curves: Sequence[Sequence[float]], widths: Sequence[float], **settings: Any) -> list[Run]:
    """Return the runs of a curve of losses over widths for each seed."""
    return [
        make_run(seed, {"test/loss": value, "model/parameters": 22 * width}, model__width=width, **settings)
        for seed, curve in enumerate(curves)
        for width, value in zip(widths, curve, strict=True)
    ]


def make_claim(statistic: Statistic, region: Region, **fields: Any) -> Claim:
    """Return a claim of which only the statistic and the region matter."""
    defaults = {"name": "claim", "text": "It is so.", "source": "Theory 1989", "scope": "It shows it here."}
    return Claim(**{**defaults, "statistic": statistic, "region": region, **fields})


def find_one(statistic: Statistic, region: Region, runs: Sequence[Run], **fields: Any) -> Finding:
    """Return what runs say of one claim."""
    return judge([make_claim(statistic, region, **fields)], Table(tuple(runs)))[0]


@pytest.fixture(scope="session")
def run():
    return make_run


@pytest.fixture(scope="session")
def curve():
    return make_curve


@pytest.fixture(scope="session")
def claim():
    return make_claim


@pytest.fixture(scope="session")
def find():
    return find_one
