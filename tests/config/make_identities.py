"""Store (overrides, identity, run_id) of many configurations: python tests/config/make_identities.py"""

import json
from pathlib import Path
from typing import Any

from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.types import RunMode
from omegaconf import OmegaConf

from dlexp.config.composition import SweepConfigLoader
from dlexp.config.identity import identity, run_id
from dlexp.config.plain import to_plain
from dlexp.config.resolve import conf_directory, register
from dlexp.sweeps.arms import expand_arm, overrides_of

CONF = conf_directory()
SETTINGS = {
    "data": [
        "data.noise=0",
        "data.noise=1",
        "data.test_noise=0",
        "data.test_noise=0.5",
        "data.batch_size=10",
        "data.n_train=30",
        "data.seed=7",
        "data.order_seed=3",
        "data.input_dim=5",
        "seed=3 data.seed=4",
        "data.generator.teacher_dim=40",
        "data.generator.teacher_seed=5",
        "seed=11",
    ],
    "model": [
        "model.width=5",
        "model.depth=0",
        "model.weight_std=1",
        "model.weight_std=1.5",
        "model.bias_std=1",
        "model.bias=false",
        "model.readout_bias=false",
        "model.parametrization=ntk model.random_bias=true",
        "model.parametrization=mup model.base_width=32",
        "model.initialization=xavier",
        "model.seed=9",
        "model.activation=tanh",
        "model.width=null model.budget=300",
        "model.readout_weight_std=2",
        "+model.options.extra=1",
        "model=wide model.budget=1000",
        "model=deep model.depth=3",
    ],
    "optimizer": [
        "optimizer.lr=1",
        "optimizer.lr=1e-3",
        "optimizer.lr=0.010",
        "optimizer.betas=[0,0.9]",
        "optimizer=sgd optimizer.momentum=0",
        "optimizer=sgd optimizer.momentum=0.9",
        "optimizer.weight_decay=0",
        "optimizer.weight_decay=1",
        "optimizer.schedule=linear",
        "optimizer=gradient_descent optimizer.lr=0.5",
        "optimizer=adamw optimizer.weight_decay=0.1",
    ],
    "training": [
        "training.loss=half_mse",
        "training.stopping.train_loss=null",
        "training.stopping.train_loss=0",
        "training.stopping.patience=100 training.stopping.min_delta=0",
        "training.checkpoint=false",
        "training.log_points.spacing=linear training.log_points.every_n_steps=7",
        "training.stopping.check_every_n_steps=5",
        "training.log_points.per_decade=3",
    ],
    "trainer": [
        "trainer.max_steps=100",
        "trainer.max_epochs=3 trainer.max_steps=-1",
        "trainer.precision=64-true",
        "trainer.precision=64",
        "trainer.gradient_clip_val=1",
        "trainer.accelerator=cpu",
        "trainer.accumulate_grad_batches=2",
        "trainer.devices=2",
        "trainer.min_steps=10",
        "trainer.min_epochs=1",
        "trainer.deterministic=true",
        "trainer.max_time=00:00:01:00",
        "trainer.benchmark=true",
        "trainer.detect_anomaly=true",
        "trainer.profiler=simple",
        "trainer.gradient_clip_val=0.5 trainer.gradient_clip_algorithm=value",
    ],
    "rest": [
        "threads=2",
        "name=other",
        "arm=a",
        "objective=train/loss",
        "rerun=true",
        "logger=none",
        "debug=fast",
        "callbacks=[hessian,ntk,sharpness]",
        "",
    ],
    "callbacks": [
        "callbacks=[hessian] callbacks.hessian.every_n_steps=50",
        "callbacks=[ntk] callbacks.ntk.log_spaced=3",
        "callbacks=[sharpness] callbacks.sharpness.radius=1",
        "callbacks=[barrier] callbacks.barrier.split_step=5",
        "callbacks=[barrier] callbacks.barrier.partner=initialization",
        "callbacks=[pruning] callbacks.pruning.control=random training.stopping.train_loss=null",
        "callbacks=[landscape] callbacks.landscape.extent=2",
        "callbacks=[geometry] callbacks.geometry.layers=[a,b]",
        "callbacks=[geometry] callbacks.geometry.measures=[cka] seed=5",
        "callbacks=[least_squares,random_feature_risk] callbacks.least_squares.ridge=0.1 model=random_features",
        "callbacks=[least_squares,isotropic_risk] data.noise=0.1 data.test_noise=0 data.seed=2",
        "callbacks=[random_feature_risk] data.noise=0",
        "callbacks=[isotropic_risk] data.generator.teacher_dim=40 data=linear_teacher",
        "callbacks=[linear_pieces] callbacks.linear_pieces.upper=2",
        "callbacks=[critical_points] seed=2",
        "callbacks=[hessian] callbacks.hessian.seed=4",
        "callbacks=[hessian] callbacks.hessian.figures=false",
        "+callbacks.mine._target_=my.Callback +callbacks.mine.rate=1",
    ],
}


def options() -> list[str]:
    return [
        f"{path.parent.relative_to(CONF)}={path.stem}"
        for group in ("data", "model", "optimizer", "trainer", "logger", "callbacks")
        for path in sorted((CONF / group).glob("*.yaml"))
        if path.stem != "base" and not path.stem.startswith("_")
    ]


def study_jobs(loader: Any, name: str) -> list[list[str]]:
    """Return the overrides of the first and the last job of each arm, in full and fast."""
    master = loader.load_configuration("train", [f"study={name}"], RunMode.MULTIRUN)
    study: Any = OmegaConf.to_container(master.study, resolve=True)
    parser = OverridesParser.create(config_loader=loader)
    common = parser.parse_overrides([f"{k}={v}" for k, v in (master.hydra.sweeper.params or {}).items()])
    arms = study.get("arms") or {None: None}
    jobs = []
    for arm, own in arms.items():
        expanded = expand_arm(
            arm, common=common, own=parser.parse_overrides(overrides_of(own)), fast=[], command_line=[]
        )
        jobs += [[f"study={name}", *job] for job in (expanded[0], expanded[-1])]
    return jobs


def main() -> None:
    register()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        loader = GlobalHydra.instance().hydra.config_loader
        master = loader.load_configuration("train", [], RunMode.MULTIRUN)
        jobs = [[option] for option in options()]
        jobs += [line.split() for lines in SETTINGS.values() for line in lines]
        for path in sorted((CONF / "study").glob("*.yaml")):
            jobs += study_jobs(loader, path.stem)
        shared = SweepConfigLoader(loader)
        pairs = []
        for job in jobs:
            config = to_plain(shared.load_sweep_config(master, job))
            pairs.append({"overrides": job, "identity": identity(config), "run_id": run_id(config, job)})
    path = Path(__file__).with_name("identities_of_version_0.1.json")
    path.write_text("[\n" + ",\n".join(json.dumps(pair) for pair in pairs) + "\n]\n")
    print(len(pairs), "pairs")


if __name__ == "__main__":
    main()
