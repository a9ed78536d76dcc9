"""What Lightning does for its users holds in an ensemble too: compared with plain Lightning or by hand.

Also each private thing of Lightning's that ``dlexp.train.lightning`` relies on.
"""

import copy
import csv
import itertools
import logging
import warnings
from pathlib import Path

import pytest
import torch
from pytorch_lightning import LightningModule, Trainer
from pytorch_lightning.callbacks import EarlyStopping, LearningRateMonitor, ModelCheckpoint
from pytorch_lightning.loggers import CSVLogger

from dlexp.callbacks.ntk import NTK
from dlexp.train.build import make_loader, make_member, make_trainer
from dlexp.train.ensemble import Ensemble
from dlexp.train.fit import fit
from dlexp.train.lightning import count_steps_taken, quiet_libraries
from dlexp.train.member import Member
from dlexp.train.optimizers import make_optimizer
from tests.train.foreign import Data, Listens

QUIET = {
    "logger": False,
    "enable_progress_bar": False,
    "enable_model_summary": False,
    "enable_checkpointing": False,
}
SGD = ["optimizer=sgd", "optimizer.momentum=0.9", "optimizer.lr=0.05", "model.width=5"]


@pytest.fixture(autouse=True)
def _quiet():
    quiet_libraries()


class Plain(LightningModule):
    """A member's network trained as Lightning's documentation says, in automatic optimization."""

    def __init__(self, member):
        super().__init__()
        self.network, self.loss_function = copy.deepcopy(member.network), member.loss
        self.settings, self.schedule = member.optimizer_settings, member.schedule

    def training_step(self, batch, batch_idx):
        return self.loss_function(self.network(batch[0]), batch[1])

    def configure_optimizers(self):
        optimizer = make_optimizer(self.network, self.settings)
        if "mixed" in str(self.trainer.precision):  # where Lightning does not clip fused ones
            optimizer.param_groups[0]["fused"] = optimizer._step_supports_amp_scaling = False
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, self.schedule.factor)
        return [optimizer], [{"scheduler": schedule, "interval": "step"}]


def by_plain_lightning(config, **settings):
    member = make_member(config)
    module = Plain(member)
    keys = (
        "max_steps",
        "precision",
        "gradient_clip_val",
        "gradient_clip_algorithm",
        "accumulate_grad_batches",
    )
    chosen = {key: config["trainer"][key] for key in keys}
    chosen["max_epochs"] = config["trainer"]["max_epochs"] or -1
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of how small the data are
        trainer = Trainer(**QUIET, accelerator="cpu", **{**chosen, **settings})
        trainer.fit(module, datamodule=member.data)
    return module, trainer


def by_ensemble(config, *callbacks, **settings):
    """Train a member as ``fit`` does, with callbacks and the Trainer on hand."""
    member = make_member(config)
    member.callbacks.extend(callbacks)
    trainer = make_trainer(config, in_single_steps=bool(callbacks))
    trainer.callbacks.extend(settings.get("trainer_callbacks", ()))
    ensemble = Ensemble([member], in_single_steps=bool(callbacks))
    trainer.fit(ensemble, train_dataloaders=make_loader([member], in_single_steps=bool(callbacks)))
    return member, trainer


def assert_same_network(member, module, tolerance=1e-6):
    for (name, parameter), other in zip(
        member.network.named_parameters(), module.network.parameters(), strict=True
    ):
        assert torch.allclose(parameter, other, rtol=tolerance, atol=tolerance), name


SETTINGS = {
    "batches": [],
    "cosine": ["optimizer.schedule=cosine"],
    "epochs": ["trainer.max_epochs=4", "trainer.max_steps=-1"],
    "whichever limit comes first": ["trainer.max_epochs=4", "trainer.max_steps=7"],
    "clipped by norm": ["trainer.gradient_clip_val=0.05"],
    "clipped by value": ["trainer.gradient_clip_val=0.02", "trainer.gradient_clip_algorithm=value"],
    "bf16-mixed": ["trainer.precision=bf16-mixed"],
    "bf16-mixed, clipped": ["trainer.precision=bf16-mixed", "trainer.gradient_clip_val=0.05"],
    "bf16-true": ["trainer.precision=bf16-true"],
    "accumulated": ["trainer.accumulate_grad_batches=2", "data.batch_size=5", "trainer.max_steps=9"],
}


@pytest.mark.parametrize("hooks", [False, True])
@pytest.mark.parametrize("name", SETTINGS)
def test_training_is_that_of_plain_lightning(name, hooks, small):
    """20 rows make batches of 8, 8, 4, or of 5, which two accumulated make a step of evenly."""
    config = small(*SGD, "data.batch_size=8", *SETTINGS[name])
    Listens.heard.clear()
    member, trainer = by_ensemble(config, *([Listens()] if hooks else []))
    if not hooks and "mixed" in name:
        member = make_member(config)
        fit(config, [member])  # which finds out that Lightning is wanted in each step
    module, plain = by_plain_lightning(config)
    assert trainer.global_step == plain.global_step
    assert_same_network(member, module, 2e-2 if "bf16" in name else 1e-6)


def test_unequal_batches_accumulate_to_the_mean_gradient_of_their_rows(small):
    """Lightning weighs the batches of a step alike, and those of an epoch's last, shorter one too little."""
    config = small(
        *SGD, "data.batch_size=8", "trainer.accumulate_grad_batches=2", "trainer.max_epochs=3",
        "trainer.max_steps=-1", "trainer.gradient_clip_val=0.1", "trainer.precision=64-true",
    )  # fmt: skip
    member, trainer = by_ensemble(config)
    assert (trainer.global_step, member.plan.steps_per_epoch) == (6, 2)
    by_hand = make_member(config)
    network = by_hand.network.double()
    optimizer = make_optimizer(network, by_hand.optimizer_settings)
    x, y, order = member.tensors.x_train, member.tensors.y_train, member.batches.order
    for epoch in range(3):
        for rows in order.permutation(epoch).split(16):
            optimizer.zero_grad()
            by_hand.loss(network(x[rows]), y[rows]).backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), 0.1)
            optimizer.step()
    assert_same_network(member, by_hand, 1e-12)


def test_hooks_are_called_around_each_step_with_the_member_and_its_batch(small):
    config = small(*SGD, "data.batch_size=8", "trainer.max_steps=7", "trainer.gradient_clip_val=1e-3")
    Listens.heard.clear()
    member, _ = by_ensemble(config, Listens())
    heard = {
        kind: [entry[1:] for entry in Listens.heard if entry[0] == kind]
        for kind in ("start", "gradient", "end", "epoch")
    }
    sizes = [8, 8, 4, 8, 8, 4, 8]
    assert heard["start"] == [(step, member, [(n, 4), (n, 1)]) for step, n in enumerate(sizes)]
    assert [step for step, *_ in heard["gradient"]] == list(range(7))
    assert all(norm > 0.01 for *_, norm in heard["gradient"])  # clipped after the hook, as in Lightning
    assert [step for step, *_ in heard["end"]] == list(range(1, 8))
    assert [(step, epoch) for step, _, epoch in heard["epoch"]] == [(3, 0), (6, 1), (7, 2)]
    assert all(entry[1] is member for kind in ("start", "gradient") for entry in heard[kind])
    copied = heard["epoch"][0][1]
    assert type(copied) is Member
    assert not torch.equal(copied.network.readout.weight, member.network.readout.weight)
    recorded = {step: value for step, _, name, value in member.recorder._rows if name == "train/loss"}
    shown = {step: metrics["train/loss"] for step, _, metrics in heard["end"] if step in recorded}
    assert shown == pytest.approx({step: value for step, value in recorded.items() if step})


def test_the_loss_that_hooks_see_is_the_batchs_before_its_step(small):
    config = small(
        *SGD,
        "data.batch_size=full",
        "trainer.max_steps=4",
        "training.log_points.spacing=linear",
        "training.log_points.every_n_steps=1",
    )
    Listens.heard.clear()
    member, _ = by_ensemble(config, Listens())
    shown = [entry[2] for entry in Listens.heard if entry[0] == "end"]
    recorded = [value for _, _, name, value in member.recorder._rows if name == "train/loss"]
    assert shown == pytest.approx(recorded[:-1], rel=1e-6)


def test_what_a_callback_logs_on_the_member_is_recorded(run):
    Listens.heard.clear()
    result, folder = run(
        "trainer.max_steps=6", "+callbacks.l._target_=tests.train.foreign.Listens", "data.batch_size=30"
    )
    assert result.metrics["mine/half"] == 3.0
    rows = [row for row in result.rows() if row[2] == "mine/half"]
    assert [(step, value) for step, _, _, value in rows] == [(step, step / 2) for step in range(1, 7)]
    assert (folder / "result.json").exists()


STOPS = {
    "early stopping": ([], 9),
    "min_epochs": (["trainer.min_epochs=6"], 18),
    "min_steps": (["trainer.min_steps=16"], 16),
}


@pytest.mark.parametrize("name", STOPS)
def test_lightnings_ways_to_stop(name, small):
    """Three steps an epoch; the first epoch sets the mark, two more show no progress."""
    overrides, steps = STOPS[name]
    config = small(*SGD, "data.batch_size=8", "trainer.max_steps=-1", "trainer.max_epochs=50", *overrides)
    _, trainer = by_ensemble(config, EarlyStopping("test/loss", patience=2, min_delta=100.0))
    assert trainer.global_step == steps


@pytest.mark.parametrize(("limits", "steps"), [(["min_steps=13"], 15), (["min_epochs=6"], 18), ([], 5)])
def test_convergence_waits_for_the_least_steps(limits, steps, small):
    stopping = ["training.stopping.train_loss=1000.0", "training.stopping.check_every_n_steps=5"]
    config = small(*SGD, *stopping, "data.batch_size=8", *(f"trainer.{limit}" for limit in limits))
    member = make_member(config)
    ends = []
    fit(config, [member], on_end=lambda member: ends.append((member.step, member.outcome)))
    checked = next(s for s in itertools.count(5, 5) if s >= steps)
    assert ends == [(checked, "converged")]


def test_training_ends_when_its_time_is_up(small):
    config = small(
        *SGD,
        "trainer.max_steps=100000000",
        "trainer.max_time=00:00:00:01",
        "training.log_points.per_decade=1",
    )
    member = make_member(config)
    ends = []
    fit(config, [member], on_end=lambda member: ends.append(member.step))
    assert 0 < ends[0] < 10**6
    assert member.recorder._rows[-1][0] == ends[0]


def test_lightnings_own_callbacks_do_what_they_do(small, tmp_path):
    config = small(*SGD, "data.batch_size=8", "trainer.max_steps=9")
    checkpoint = ModelCheckpoint(tmp_path, filename="best-{step}", monitor="test/loss", save_last=True)
    member, _ = by_ensemble(config, checkpoint)
    losses = {step: value for step, _, name, value in member.recorder._rows if name == "test/loss"}
    assert checkpoint.best_model_score == pytest.approx(min(losses[s] for s in (3, 6, 9) if s in losses))
    again = Member.load_from_checkpoint(tmp_path / "last.ckpt")
    assert_same_network(member, again, 0)


def test_the_learning_rate_is_monitored(small, tmp_path):
    config = small(*SGD, "data.batch_size=8", "trainer.max_steps=9", "optimizer.schedule=linear")
    member = make_member(config)
    member.callbacks.append(LearningRateMonitor("step"))
    logger = CSVLogger(tmp_path)
    trainer = make_trainer(config, loggers=[logger], in_single_steps=True)
    trainer.fit(
        Ensemble([member], in_single_steps=True),
        train_dataloaders=make_loader([member], in_single_steps=True),
    )
    rows = csv.DictReader(Path(logger.log_dir, "metrics.csv").read_text().splitlines())
    rates = [float(row["lr-SGD"]) for row in rows if row.get("lr-SGD")]
    assert rates == pytest.approx([0.05 * (1 - step / 9) for step in range(9)])


@pytest.mark.filterwarnings("ignore:.*have no `validation_step`")
@pytest.mark.parametrize("data", ["dlexp's", "foreign"])
def test_a_member_trains_and_is_measured_under_a_trainer_of_ones_own(data, small):
    config = small(*SGD, "data.batch_size=8")
    made = make_member(config)
    module = Data() if data == "foreign" else made.data
    member = Member(
        copy.deepcopy(made.network),
        loss="mse",
        optimizer={"name": "sgd", "lr": 0.05, "momentum": 0.9, "schedule": "cosine"},
    )
    trainer = Trainer(
        **QUIET,
        accelerator="cpu",
        max_epochs=4,
        callbacks=[NTK(figures=False, every_n_steps=6)],
        limit_val_batches=0,
    )
    trainer.fit(member, module)
    plain = Plain(member)
    plain.network = copy.deepcopy(made.network)
    assert plain.schedule.period == 12
    other = Trainer(**QUIET, accelerator="cpu", max_epochs=4, limit_val_batches=0)
    other.fit(plain, Data() if data == "foreign" else make_member(config).data)
    assert trainer.global_step == other.global_step == 12
    assert_same_network(member, plain)
    drift = [(step, value) for step, _, name, value in member.recorder._rows if name == "ntk/drift"]
    assert [step for step, _ in drift] == [0, 6, 12]
    assert drift[0][1] == 0 < drift[1][1] < drift[2][1]
    (tested,) = trainer.test(member, made.data, verbose=False)
    x, y = made.data.tensors().x_test, made.data.tensors().y_test
    assert tested["test/loss"] == pytest.approx(made.loss(member(x), y).item(), rel=1e-5)


def test_steps_are_counted_where_lightning_reads_them():
    trainer = Trainer(**QUIET, accelerator="cpu")
    module = LightningModule()
    module.automatic_optimization = False
    trainer.strategy.connect(module)
    count_steps_taken(trainer, 5)
    count_steps_taken(trainer, 2)
    assert trainer.global_step == 7


def test_lightning_says_nothing_on_the_terminal(small, capfd):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        quiet_libraries()
        by_ensemble(small(*SGD, "trainer.max_steps=2"))
    assert [str(w.message) for w in caught] == []
    assert capfd.readouterr() == ("", "")
    assert not logging.getLogger("pytorch_lightning").handlers
