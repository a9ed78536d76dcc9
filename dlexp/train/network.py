"""A job's network: made from settings, trusted from a checkpoint or not, put into evaluation mode."""

import contextlib
import importlib
import sys
from collections.abc import Collection, Iterator, Mapping
from typing import Any, cast

import torch
from torch import nn

from dlexp.losses import LOSSES, Loss
from dlexp.seeding import GlobalRandomState, make_generator


def make_network(settings: Mapping[str, Any]) -> nn.Module:
    """Return the network that plain settings describe: ``_target_`` names the class, ``seed`` its weights.

    The other settings are its arguments; ``generator``, drawn from the seed, is added. What the class draws
    from the global random state follows from the seed too. Raises ``ImportError`` or ``AttributeError`` if
    there is no such class and ``TypeError`` if it does not take these arguments.

    >>> make_network({"_target_": "dlexp.models.linear.Linear", "input_dim": 2, "seed": 0})
    Linear(
      (readout): ScaledLinear(in_features=2, out_features=1, bias=True, weight_scale=1, bias_scale=1)
    )
    """
    arguments = {key: value for key, value in settings.items() if key not in ("_target_", "seed")}
    module, _, name = settings["_target_"].rpartition(".")
    network_class = getattr(importlib.import_module(module), name)
    with GlobalRandomState(settings["seed"]).active():
        return cast(
            nn.Module, network_class(**arguments, generator=make_generator("model", settings["seed"]))
        )


def redrawn(settings: Mapping[str, Any], network: nn.Module, seed: int) -> nn.Module:
    """Return what plain settings describe with the weights of another seed, where and as a network is."""
    like = next(network.parameters())
    return make_network({**settings, "seed": seed}).to(device=like.device, dtype=like.dtype)


def require_known(settings: Mapping[str, Any], modules: Collection[str]) -> None:
    """Refuse a member's settings that would run code of their own choosing.

    The ``network``, the ``optimizer`` and the ``loss`` must be an ``nn.Module``, a torch optimizer and a
    :class:`~dlexp.losses.Loss` of dlexp, of a module that is imported already or of one of ``modules``; those
    that are not given are not looked at. Raises ``ValueError``.
    """
    network, optimizer, loss = (settings.get(key) for key in ("network", "optimizer", "loss"))
    named: list[tuple[str, Any, type]] = []
    if network is not None:
        named.append(("network._target_", _target(network), nn.Module))
    if _target(optimizer) is not None:
        named.append(("optimizer._target_", _target(optimizer), torch.optim.Optimizer))
    if loss is not None and loss not in LOSSES:
        named.append(("loss", loss, Loss))
    for key, target, kind in named:
        name, _, attribute = str(target).rpartition(".")
        if name in modules or name.startswith("dlexp.models."):
            with contextlib.suppress(ImportError):
                importlib.import_module(name)
        found = getattr(sys.modules.get(name), attribute, None)
        if not (issubclass(found, kind) if isinstance(found, type) else isinstance(found, kind)):
            raise ValueError(
                f"{key}={target} is not allowed: it must be a {kind.__name__} of dlexp or torch, or of a "
                f"module that is imported or named in modules=[{name!r}]"
            )


def _target(settings: Any) -> Any:
    return settings.get("_target_") if isinstance(settings, Mapping) else settings


def require_no_draws(network: nn.Module) -> None:
    """Refuse a network whose training draws random numbers (``ValueError``)."""
    for name, module in network.named_modules():
        if isinstance(module, nn.modules.dropout._DropoutNd) and module.p > 0:
            raise ValueError(
                f"module {name!r} ({type(module).__name__}) draws random numbers in training: a second "
                "network beside it would not be trained as by itself"
            )


@contextlib.contextmanager
def evaluation_mode(network: nn.Module) -> Iterator[None]:
    """Put every module of a network into evaluation mode, then each back into its own."""
    modes = [(module, module.training) for module in network.modules()]
    if any(mode for _, mode in modes):
        network.eval()
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode
