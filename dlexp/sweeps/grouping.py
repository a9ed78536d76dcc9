"""Which jobs of a sweep can be trained as one stack, and why the others cannot."""

import copy
import json
from collections.abc import Mapping
from typing import Any

from dlexp.config.identity import WITHOUT_EFFECT
from dlexp.sweeps.stack import is_stackable
from dlexp.training.build import make_callbacks, network_settings
from dlexp.training.hooks import reason_for_single_steps
from dlexp.training.module import make_network

# What the members of a stack are free to differ in; all else must be equal.
FREE = {
    "data": ("generator", "noise", "test_noise", "seed", "order_seed"),
    "model": (
        "width",
        "budget",
        "parametrization",
        "initialization",
        "weight_std",
        "bias_std",
        "random_bias",
        "readout_weight_std",
        "base_width",
        "seed",
    ),
    "optimizer": ("lr", "momentum", "betas", "weight_decay"),
    "training": ("checkpoint",),
}
# Each member has its own callbacks; they must only be called at the same steps.
FREE_IN_CALLBACKS = ("seed", "partner_seed", "order_seed", "control")


def group_key(config: Mapping[str, Any]) -> str:
    """Return what the jobs of one stack have in common, as text: equal for jobs that can share a stack."""
    shared = {k: copy.copy(v) for k, v in config.items() if k not in (*WITHOUT_EFFECT, "seed", "arm")}
    for section, keys in FREE.items():
        shared[section] = {k: v for k, v in shared[section].items() if k not in keys}
    shared["callbacks"] = {
        name: {k: v for k, v in settings.items() if k not in FREE_IN_CALLBACKS}
        for name, settings in shared["callbacks"].items()
    }
    return json.dumps(shared, sort_keys=True, default=str)


def reason_for_serial(config: Mapping[str, Any]) -> str | None:
    """Return why a job cannot be a member of a stack, in a few words, or None if it can."""
    callbacks = make_callbacks(config)
    for callback in callbacks:
        if not hasattr(callback, "due_steps"):
            return f"the callback {type(callback).__name__} is not declared safe on a stack of networks"
    reason = reason_for_single_steps(config["trainer"], callbacks)
    if reason is not None:
        return reason
    if not is_stackable(make_network(network_settings(config))):
        return f"model {config['model']['_target_']} is not a chain of linear layers and activations"
    return None
