"""Training the networks of a group of jobs as one, and leaving each for its job to find."""

import json
import time
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

import torch

from dlexp.config.identity import identity
from dlexp.data.batches import BatchOrder
from dlexp.data.datamodule import SyntheticDataModule
from dlexp.sweeps.bucket import Bucket
from dlexp.sweeps.buckets import choose_buckets
from dlexp.sweeps.group import GroupModule
from dlexp.sweeps.member import Member
from dlexp.sweeps.memory import keep_freed_memory
from dlexp.training.ahead import Trained
from dlexp.training.build import (
    make_callbacks,
    make_convergence,
    make_datamodule,
    make_plan,
    make_trainer,
    measured_steps,
    module_settings,
)
from dlexp.training.fit import device_name
from dlexp.training.module import make_network
from dlexp.training.plan import Blocks
from dlexp.training.result import Report

Configs = Sequence[Mapping[str, Any]]


def train_group(configs: Configs, report: Report | None = None) -> dict[str, Trained]:
    """Train the networks of jobs that share a stack; return what came of each, by its job's identity."""
    start = time.perf_counter()
    torch.set_num_threads(configs[0]["threads"])
    keep_freed_memory()
    datamodules = _datamodules(configs)
    members = [_make_member(config, module) for config, module in zip(configs, datamodules, strict=True)]
    buckets = make_buckets(members)
    plan = members[0].plan
    callbacks = members[0].callbacks
    group = GroupModule(buckets, plan, report)
    trainer = make_trainer(configs[0], [], [], in_blocks=True)
    device, dtype = trainer.strategy.root_device, _dtype(configs[0])
    for member, module in zip(members, datamodules, strict=True):
        member.place(module.tensors(device, dtype))
    try:
        trainer.fit(group, train_dataloaders=Blocks(plan, measured_steps(callbacks, plan)))
    except SystemExit:  # what Lightning makes of Ctrl-C
        raise KeyboardInterrupt from None
    seconds = (time.perf_counter() - start) / len(members)
    trained = {}
    for member in members:
        step, state = group.states[member.identity]
        trained[member.identity] = Trained(
            outcome=member.outcome,
            step=step,
            epoch=plan.epoch(step),
            state=state,
            hyperparameters={**member.settings, "in_blocks": True},
            recorder=member.recorder,
            device=device_name(device),
            error=member.error,
            remark=f"trained as one of {len(members)} networks at once",
            duration_s=seconds,
        )
    return trained


def make_buckets(members: Sequence[Member]) -> list[Bucket]:
    """Return the members in buckets of about the same width, in each those of like settings together."""

    def size(member: Member) -> tuple[int, ...]:
        return tuple(
            layer.out_features * layer.in_features
            for layer in member.network.modules()
            if isinstance(layer, torch.nn.Linear)
        )

    by_size = sorted(members, key=lambda m: (sum(size(m)), size(m)))
    sizes = [list(same) for _, same in groupby(by_size, key=lambda m: sum(size(m)))]
    costs = [(len(same), sum(size(same[0]))) for same in sizes]
    chosen = choose_buckets(costs, rows=members[0].order.batch_size)
    buckets = []
    for indices in chosen:
        inside = [member for index in indices for member in sizes[index]]
        buckets.append(Bucket(sorted(inside, key=lambda m: json.dumps(m.optimizer_settings))))
    return buckets


def _make_member(config: Mapping[str, Any], datamodule: SyntheticDataModule) -> Member:
    order = BatchOrder(config["data"]["n_train"], config["data"]["batch_size"], config["data"]["order_seed"])
    plan = make_plan(config, order.steps_per_epoch)
    settings = module_settings(config, plan)
    network = make_network(settings["network"])
    assert isinstance(network, torch.nn.Sequential)
    return Member(
        identity(config), settings, network, order, plan, make_convergence(config), make_callbacks(config)
    )


def _datamodules(configs: Configs) -> list[SyntheticDataModule]:
    """Return each job's data module; jobs that draw the same data share one."""
    shared: dict[str, SyntheticDataModule] = {}
    modules = []
    for config in configs:
        key = json.dumps({k: v for k, v in config["data"].items() if k != "order_seed"}, sort_keys=True)
        if key not in shared:
            shared[key] = make_datamodule(config)
        modules.append(shared[key])
    return modules


def _dtype(config: Mapping[str, Any]) -> torch.dtype:
    precision = str(config["trainer"]["precision"])
    return {"64": torch.float64, "bf": torch.bfloat16}.get(precision[:2], torch.float32)
