"""Stored results of earlier versions that were wrong and are to be trained anew, each with the reason.

A row is a condition on a job's configuration; where it holds, version 0.1 may have stored a number that this
version does not give. The conditions may hold for a result that was right, never the other way round: whether
a job shared a stack, say, is not stored.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from dlexp.config.identity import current_target
from dlexp.config.names import FAMILIES

Plain = Mapping[str, Any]


@dataclass(frozen=True)
class Obsolete:
    """What was wrong in results of versions before ``before`` whose configuration ``applies``."""

    before: tuple[int, ...]
    applies: Callable[[Plain], bool]
    reason: str


def reason_to_train_anew(plain: Plain, versions: Mapping[str, str]) -> str | None:
    """Return why a stored result is not to be relied on, or None if it is.

    Args:
        plain: its configuration.
        versions: of the libraries that it was made with, as ``result.json`` holds them.

    >>> model = {"_target_": "dlexp.models.mlp.MLP", "parametrization": "mup"}
    >>> plain = {"optimizer": {"name": "adamw", "weight_decay": 0.1}, "model": model}
    >>> reason_to_train_anew(plain, {"dlexp": "0.1.0"})
    'weight decay of AdamW shrank with the width under model.parametrization=mup'
    >>> reason_to_train_anew(plain, {"dlexp": "0.2.0"}) is None
    True
    """
    made_by = _version(versions.get("dlexp", ""))
    for row in OBSOLETE:
        if made_by < row.before and row.applies(plain):
            return row.reason
    return None


def _version(text: str) -> tuple[int, ...]:
    """Return a version's first two numbers; of one that cannot be read, those of the first version."""
    parts = text.split(".")[:2]
    return tuple(map(int, parts)) if len(parts) == 2 and all(part.isdigit() for part in parts) else (0, 1)


def _get(plain: Plain, key: str) -> Any:
    value: Any = plain
    for name in key.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def _callbacks(plain: Plain) -> list[Mapping[str, Any]]:
    chosen = _get(plain, "callbacks")
    values = chosen.values() if isinstance(chosen, Mapping) else ()
    return [settings for settings in values if isinstance(settings, Mapping)]


def _has(plain: Plain, *names: str) -> bool:
    """Whether a job has one of dlexp's callbacks of these class names."""
    return any(_class_of(settings) in names for settings in _callbacks(plain))


def _class_of(settings: Mapping[str, Any]) -> str:
    target = str(current_target(settings.get("_target_")))
    return target.rpartition(".")[2] if target.startswith("dlexp.callbacks.") else ""


def _is_own_model(plain: Plain) -> bool:
    target = _get(plain, "model._target_")
    return target is not None and current_target(target) not in FAMILIES


def _is_pruned_at_random(plain: Plain) -> bool:
    return any(_class_of(s) == "Pruning" and s.get("control") == "random" for s in _callbacks(plain))


def _measures_an_own_model(plain: Plain) -> bool:
    return _is_own_model(plain) and _has(plain, "Hessian", "NTK", "Sharpness", "Landscape", "Barrier")


def _final_value_may_be_undefined(plain: Plain) -> bool:
    return _has(plain, "NTK")


def _follows_curvature(plain: Plain) -> bool:
    """Whether eigenvalues were found from a warm start to a tolerance at which Lanczos stops too low."""
    return any(_class_of(s) == "Hessian" and (s.get("tolerance") or 0) >= 1e-3 for s in _callbacks(plain))


def _fits_a_curve_in_batches(plain: Plain) -> bool:
    n_train = _get(plain, "data.n_train") or 0
    sizes = [
        s.get("curve_batch_size")
        for s in _callbacks(plain)
        if _class_of(s) == "Barrier" and s.get("curve", True)
    ]
    return any(size and n_train % size for size in sizes)


def _has_neighbours_on_a_grid(plain: Plain) -> bool:
    law = str(_get(plain, "data.generator._target_")).rpartition(".")[2]
    measured = any(
        _class_of(s) == "Geometry" and "twonn_dimension" in (s.get("measures") or ["twonn_dimension"])
        for s in _callbacks(plain)
    )
    return measured and law in ("damped_wave_grid", "tent", "chebyshev")


def _accumulates(plain: Plain) -> bool:
    return (_get(plain, "trainer.accumulate_grad_batches") or 1) != 1


def _stops_by_lightning(plain: Plain) -> bool:
    stops = any(str(s.get("_target_")).endswith(".EarlyStopping") for s in _callbacks(plain))
    return stops or _get(plain, "trainer.max_time") is not None


def _limits_lightnings_loop(plain: Plain) -> bool:
    trainer = _get(plain, "trainer")
    set_keys = (
        {key for key, value in trainer.items() if value is not None}
        if isinstance(trainer, Mapping)
        else set()
    )
    return any(key.startswith(("limit_", "fast_dev_run", "overfit_batches", "num_nodes")) for key in set_keys)


def _decays_under_mup(plain: Plain) -> bool:
    is_adamw = _get(plain, "optimizer.name") == "adamw" and bool(_get(plain, "optimizer.weight_decay"))
    return is_adamw and _get(plain, "model.parametrization") == "mup"


FIRST = (0, 2)
OBSOLETE = (
    Obsolete(
        FIRST,
        _is_pruned_at_random,
        "pruning with control=random trained on a stack with masks of an earlier round",
    ),
    Obsolete(
        FIRST,
        _measures_an_own_model,
        "measures of a network that uses a module twice changed the network",
    ),
    Obsolete(
        FIRST,
        _is_own_model,
        "a network of one's own drew random numbers that the job's seed did not set, and the shape of its "
        "outputs was not compared with the targets'",
    ),
    Obsolete(
        FIRST,
        _final_value_may_be_undefined,
        "ntk/condition or ntk/parameter_drift was stored as last finite where it ended otherwise",
    ),
    Obsolete(
        FIRST,
        _follows_curvature,
        "hessian/lambda_max was up to 6 % low: Lanczos stopped early from a warm start",
    ),
    Obsolete(
        FIRST,
        _fits_a_curve_in_batches,
        "barrier/curve was fitted without the last batch of each pass",
    ),
    Obsolete(
        FIRST,
        _has_neighbours_on_a_grid,
        "geometry/twonn_dimension has no meaning on a regular grid",
    ),
    Obsolete(
        FIRST,
        _accumulates,
        "trainer.accumulate_grad_batches trained at a fraction of the learning rate",
    ),
    Obsolete(
        FIRST,
        _stops_by_lightning,
        "trainer.max_time and EarlyStopping ended in an error",
    ),
    Obsolete(
        FIRST,
        _limits_lightnings_loop,
        "an argument of the Trainer that dlexp does not keep left the run without metrics",
    ),
    Obsolete(
        FIRST,
        _decays_under_mup,
        "weight decay of AdamW shrank with the width under model.parametrization=mup",
    ),
)
