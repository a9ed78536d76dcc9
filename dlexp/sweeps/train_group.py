"""Training the networks of a group of jobs as one, and leaving each for its job to find."""

import json
import time
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from dlexp.config.identity import identity
from dlexp.data.batches import BatchOrder
from dlexp.data.datamodule import SyntheticDataModule
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
    trainer = make_trainer(configs[0], [], [], in_blocks=True)
    device, dtype = trainer.strategy.root_device, _dtype(configs[0])
    members = [
        make_member(config, datamodule, device, dtype)
        for config, datamodule in zip(configs, _datamodules(configs), strict=True)
    ]
    plan = members[0].plan
    group = GroupModule(members, report)
    try:
        trainer.fit(group, train_dataloaders=Blocks(plan, measured_steps(members[0].callbacks, plan)))
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


def make_member(
    config: Mapping[str, Any], datamodule: SyntheticDataModule, device: torch.device, dtype: torch.dtype
) -> Member:
    """Return the member of a stack that a job's configuration describes, its data on the device."""
    order = BatchOrder(config["data"]["n_train"], config["data"]["batch_size"], config["data"]["order_seed"])
    plan = make_plan(config, order.steps_per_epoch)
    settings = module_settings(config, plan)
    network = make_network(settings["network"])
    assert isinstance(network, torch.nn.Sequential)
    member = Member(
        identity(config), settings, network, order, plan, make_convergence(config), make_callbacks(config)
    )
    member.place(datamodule.tensors(device, dtype))
    return member


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
