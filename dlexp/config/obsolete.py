"""Stored results of version 0.1 that were wrong and are to be trained anew, each with the reason.

A reason comes with a condition on a job's configuration; where it holds, version 0.1 may have stored a number
that this version does not give. The conditions may hold for a result that was right, never the other way
round: whether a job shared a stack, say, is not stored.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from dlexp.config.identity import current_target
from dlexp.config.names import FAMILIES

Plain = Mapping[str, Any]
RIGHT_SINCE = (0, 2)


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
    if _version(versions.get("dlexp", "")) >= RIGHT_SINCE:
        return None
    return next((reason for reason, applies in OBSOLETE.items() if applies(plain)), None)


def _version(text: str) -> tuple[int, ...]:
    """Return a version's first two numbers; of one that cannot be read, those of the first version."""
    parts = text.split(".")[:2]
    return tuple(map(int, parts)) if len(parts) == 2 and all(part.isdigit() for part in parts) else (0, 1)


def _get(plain: Plain, key: str) -> Any:
    value: Any = plain
    for name in key.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def _callbacks(plain: Plain, target: str) -> Iterator[Mapping[str, Any]]:
    """Yield the settings of a job's callbacks whose class's path ends so."""
    for settings in (_get(plain, "callbacks") or {}).values():
        if isinstance(settings, Mapping) and str(settings.get("_target_")).endswith(f".{target}"):
            yield settings


def _is_pruned_at_random(plain: Plain) -> bool:
    return any(pruning.get("control") == "random" for pruning in _callbacks(plain, "pruning.Pruning"))


def _is_own_model(plain: Plain) -> bool:
    target = _get(plain, "model._target_")
    return target is not None and current_target(target) not in FAMILIES


def _follows_curvature(plain: Plain) -> bool:
    """Whether eigenvalues were found from a warm start to a tolerance at which Lanczos stops too low."""
    return any((hessian.get("tolerance") or 0) >= 1e-3 for hessian in _callbacks(plain, "hessian.Hessian"))


def _fits_a_curve_in_batches(plain: Plain) -> bool:
    n_train = _get(plain, "data.n_train") or 0
    curves = [barrier for barrier in _callbacks(plain, "barrier.Barrier") if barrier.get("curve", True)]
    return any(size and n_train % size for size in (barrier.get("curve_batch_size") for barrier in curves))


def _has_neighbours_on_a_grid(plain: Plain) -> bool:
    law = str(_get(plain, "data.generator._target_")).rpartition(".")[2]
    return law in ("damped_wave_grid", "tent", "chebyshev") and any(
        "twonn_dimension" in (geometry.get("measures") or ["twonn_dimension"])
        for geometry in _callbacks(plain, "geometry.Geometry")
    )


def _stops_by_lightning(plain: Plain) -> bool:
    return any(_callbacks(plain, "EarlyStopping")) or _get(plain, "trainer.max_time") is not None


def _limits_lightnings_loop(plain: Plain) -> bool:
    unkept = ("limit_", "fast_dev_run", "overfit_batches", "num_nodes")
    trainer = _get(plain, "trainer") or {}
    return any(value is not None and key.startswith(unkept) for key, value in trainer.items())


def _decays_under_mup(plain: Plain) -> bool:
    is_adamw = _get(plain, "optimizer.name") == "adamw" and bool(_get(plain, "optimizer.weight_decay"))
    return is_adamw and _get(plain, "model.parametrization") == "mup"


OBSOLETE: dict[str, Callable[[Plain], bool]] = {
    "pruning with control=random trained on a stack with masks of an earlier round": _is_pruned_at_random,
    "a network of one's own drew random numbers that the job's seed did not set, the shape of its outputs "
    "was not compared with the targets', and measures changed it if it uses a module twice": _is_own_model,
    "ntk/condition or ntk/parameter_drift was stored as last finite where it ended otherwise": (
        lambda plain: any(_callbacks(plain, "ntk.NTK"))
    ),
    "hessian/lambda_max was up to 6 % low: Lanczos stopped early from a warm start": _follows_curvature,
    "barrier/curve was fitted without the last batch of each pass": _fits_a_curve_in_batches,
    "geometry/twonn_dimension has no meaning on a regular grid": _has_neighbours_on_a_grid,
    "trainer.accumulate_grad_batches trained at a fraction of the learning rate": (
        lambda plain: (_get(plain, "trainer.accumulate_grad_batches") or 1) != 1
    ),
    "trainer.max_time and EarlyStopping ended in an error": _stops_by_lightning,
    "an argument of the Trainer that dlexp does not keep left the run without metrics": (
        _limits_lightnings_loop
    ),
    "weight decay of AdamW shrank with the width under model.parametrization=mup": _decays_under_mup,
}
"""By reason, the configurations whose results it is about."""
