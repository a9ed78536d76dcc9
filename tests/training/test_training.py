"""Training one job: closed forms, equality of the two ways to step, stopping, divergence, reruns."""

import csv

import pytest
import torch
from dlexp.training.build import build
from dlexp.training.module import SupervisedModule
from dlexp.training.recorder import Recorder
from pytorch_lightning import Callback
from pytorch_lightning.callbacks import EarlyStopping

from dlexp.measures.functional import parameter_vector


def metric_rows(folder):
    with open(folder / "metrics.csv") as file:
        return list(csv.DictReader(file))


def trained(config, *callbacks):
    job = build(config, Recorder())
    job.trainer.callbacks.extend(callbacks)
    job.trainer.fit(job.module, datamodule=job.datamodule)
    return job


LINEAR = ["model=linear", "data.n_train=30", "data.input_dim=5", "trainer.precision=64-true"]


@pytest.mark.parametrize("loss", ["mse", "half_mse"])
def test_gradient_descent_on_a_linear_model_follows_its_closed_form(loss, compose_plain):
    """Predictions f_t - y = (I - eta c K / n)^t (f_0 - y), K = X X^T + 1, c = 2 for MSE, 1 for half."""
    rate, steps = 0.05, 40
    config = compose_plain(
        *LINEAR,
        "optimizer=gradient_descent",
        f"optimizer.lr={rate}",
        f"training.loss={loss}",
        f"trainer.max_steps={steps}",
        "trainer.accelerator=cpu",
    )
    job = trained(config)
    x, y = job.module.tensors.x_train, job.module.tensors.y_train
    kernel = x @ x.T + 1
    contraction = torch.eye(30, dtype=torch.float64) - rate * (2 if loss == "mse" else 1) * kernel / 30
    expected = y + torch.linalg.matrix_power(contraction, steps) @ (0 - y)
    assert torch.allclose(job.module.network(x), expected, rtol=0, atol=1e-12)


STEPPING = [
    ["optimizer=adam"],
    ["optimizer=adamw", "optimizer.schedule=linear"],
    ["optimizer=sgd", "optimizer.momentum=0.9", "optimizer.weight_decay=0.01", "optimizer.schedule=cosine"],
    ["optimizer=adam", "model.parametrization=mup", "model.depth=2"],
    ["data=gaussian_mixture", "data.n_train=60", "optimizer=sgd"],
]


class LooksAtEveryBatch(Callback):
    def __init__(self):
        self.steps = []

    def on_train_batch_end(self, trainer, module, outputs, batch, batch_index):
        self.steps.append(trainer.global_step)


@pytest.mark.parametrize("overrides", STEPPING, ids=lambda o: " ".join(o))
def test_blocks_and_single_steps_give_the_same_bits(overrides, compose_plain, monkeypatch):
    config = compose_plain(
        *overrides, "data.batch_size=16", "trainer.max_steps=25", "trainer.accelerator=cpu", "logger=none"
    )
    in_blocks = trained(config)
    assert in_blocks.single_steps_because is None
    monkeypatch.setattr("dlexp.training.build.reason_for_single_steps", lambda *_: "the test says so")
    watcher = LooksAtEveryBatch()
    single = trained(config, watcher)
    assert watcher.steps == list(range(1, 26))
    assert torch.equal(parameter_vector(in_blocks.module.network), parameter_vector(single.module.network))
    assert in_blocks.module.recorder.final == single.module.recorder.final
    assert in_blocks.trainer.global_step == single.trainer.global_step == 25


def test_a_callback_that_looks_at_each_batch_gets_each_batch(compose_plain):
    config = compose_plain(
        "+callbacks.stop._target_=pytorch_lightning.callbacks.EarlyStopping",
        "+callbacks.stop.monitor=test/loss",
        "+callbacks.stop.patience=2",
        "+callbacks.stop.min_delta=100.0",
        "trainer.accelerator=cpu",
        "logger=none",
    )
    job = trained(config)
    assert "EarlyStopping" in job.single_steps_because
    assert any(isinstance(c, EarlyStopping) for c in job.trainer.callbacks)
    assert job.trainer.global_step == 3  # the first epoch sets the mark, two more show no progress


@pytest.mark.parametrize(
    "override",
    [
        "trainer.gradient_clip_val=0.5",
        "trainer.accumulate_grad_batches=2",
        "trainer.min_steps=3",
        "trainer.precision=bf16-mixed",
        "+trainer.limit_train_batches=2",
    ],
)
def test_what_lightning_does_between_steps_is_left_to_it(override, run, caplog):
    with caplog.at_level("INFO"):
        result, _ = run(override, "data.batch_size=30")
    assert (result.status, result.error) == ("done", None)
    assert f"trains in single steps: {override.lstrip('+').split('=')[0]}" in caplog.text


def test_serial_reruns_are_bitwise_equal_whatever_ran_before(run):
    first, folder = run("data.batch_size=16", "model.width=7")
    run("seed=3", "model.width=2", "trainer.precision=64-true")
    torch.manual_seed(99)
    second, again = run("data.batch_size=16", "model.width=7")
    assert first.metrics == second.metrics
    assert (folder / "metrics.csv").read_bytes() == (again / "metrics.csv").read_bytes()
    one, two = (torch.load(f / "checkpoints" / "last.ckpt")["state_dict"] for f in (folder, again))
    assert all(torch.equal(one[name], two[name]) for name in one)


def test_training_leaves_the_global_generator_alone(run):
    torch.manual_seed(5)
    state = torch.get_rng_state()
    run()
    assert torch.equal(torch.get_rng_state(), state)


def test_float32_and_float64_runs_start_from_the_same_point(run):
    single, _ = run("trainer.max_steps=0")
    double, _ = run("trainer.max_steps=0", "trainer.precision=64-true")
    assert single.metrics["train/loss"] == pytest.approx(double.metrics["train/loss"], rel=1e-6)
    assert single.metrics["train/loss"] != double.metrics["train/loss"]


def test_the_initial_and_the_last_network_are_logged(run):
    _, folder = run("training.log_points.spacing=linear", "training.log_points.every_n_steps=5")
    steps = [int(row["step"]) for row in metric_rows(folder) if row["name"] == "test/loss"]
    assert steps == [0, 5, 10, 12]


def test_epochs_are_passes_over_the_training_set(run):
    _, folder = run("data.batch_size=30", "trainer.max_steps=-1", "trainer.max_epochs=3")
    last = metric_rows(folder)[-1]
    assert (last["step"], last["epoch"]) == ("12", "3")  # 100 samples make 4 batches of 30


def test_stops_below_the_training_loss(run):
    result, folder = run(
        *LINEAR,
        "data.noise=0",
        "optimizer=gradient_descent",
        "training.stopping.train_loss=0.01",
        "training.stopping.check_every_n_steps=7",
        "trainer.max_steps=4000",
    )
    losses = {int(r["step"]): float(r["value"]) for r in metric_rows(folder) if r["name"] == "train/loss"}
    last = max(losses)
    assert last % 7 == 0
    assert losses[last] <= 0.01
    assert all(loss > 0.01 for step, loss in losses.items() if step < last and step % 7 == 0)
    assert result.metrics["train/loss"] == losses[last]


def test_stops_without_progress(run):
    _, folder = run(
        "optimizer=sgd",
        "optimizer.lr=1e-9",
        "training.stopping.patience=20",
        "training.stopping.min_delta=0.1",
        "training.stopping.check_every_n_steps=10",
        "trainer.max_steps=4000",
    )
    assert max(int(row["step"]) for row in metric_rows(folder)) == 30


def test_divergence_ends_the_job_with_its_last_finite_metrics(run):
    result, folder = run("optimizer=sgd", "optimizer.lr=1e6", "trainer.max_steps=500")
    assert result.status == "diverged"
    assert "no longer finite" in result.error
    rows = [row for row in metric_rows(folder) if row["name"] == "train/loss"]
    assert result.metrics["train/loss"] == float(rows[-1]["value"])
    assert int(rows[-1]["step"]) < 500
    assert not (folder / "checkpoints").exists()


def test_checkpoint_opens_with_bare_torch_load_and_makes_the_network_again(run, compose_plain):
    _, folder = run("model.width=6", "model.parametrization=ntk", "data=gaussian_mixture")
    path = folder / "checkpoints" / "last.ckpt"
    checkpoint = torch.load(path)
    module = SupervisedModule.load_from_checkpoint(path, map_location="cpu")
    assert checkpoint["global_step"] == 12
    assert module.network.hidden_1.weight_scale == pytest.approx((2 / 10) ** 0.5, rel=0.5)
    x = torch.randn(3, module.network.hidden_1.in_features)
    assert module(x).shape == (3, 17)


def test_classification_logs_its_error(run):
    result, _ = run("data=gaussian_mixture", "data.n_train=60")
    assert 0 <= result.metrics["train/error"] <= 1
    wrong = result.metrics["test/error"] * result.config["data"]["n_test"]
    assert wrong == pytest.approx(round(wrong), abs=1e-3)


def test_parameter_count_is_logged(run):
    result, _ = run("model.width=5")
    assert result.metrics["model/parameters"] == 111
    frozen, _ = run("model=random_features", "model.width=40")
    assert frozen.metrics["model/parameters"] == 40


def test_wide_and_deep_of_one_budget_match_within_one_percent(run):
    counts = [run(f"model={name}")[0].metrics["model/parameters"] for name in ("wide", "deep")]
    assert abs(counts[0] / counts[1] - 1) < 0.01


def test_the_loss_of_the_trained_network_is_the_one_reported(run):
    result, folder = run("data.batch_size=10", "model.width=20")
    module = SupervisedModule.load_from_checkpoint(folder / "checkpoints" / "last.ckpt", map_location="cpu")
    from dlexp.training.build import make_datamodule

    data = make_datamodule(result.config).tensors()
    loss = (module(data.x_test) - data.y_test).square().mean()
    assert result.metrics["test/loss"] == pytest.approx(loss.item(), rel=1e-6)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_gpu_and_cpu_agree(run):
    on_cpu, _ = run("trainer.precision=64-true")
    on_gpu, _ = run("trainer.precision=64-true", "trainer.accelerator=auto")
    assert "cuda" in on_gpu.device
    assert on_gpu.metrics["train/loss"] == pytest.approx(on_cpu.metrics["train/loss"], rel=1e-9)
