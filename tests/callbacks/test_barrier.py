"""The callback `barrier`: against brute force and against jobs trained alone; it leaves no trace."""

import numpy as np
import pytest
import torch

from dlexp.data.batches import BatchOrder
from dlexp.train.build import make_datamodule, make_network, network_settings
from tests.callbacks.reading import arrays_of, series, stored

DATA = ["data=sine_sum", "data.input_dim=5", "data.n_train=60", "data.n_test=40", "model.width=8"]
SMALL = ["callbacks=[barrier]", *DATA, "callbacks.barrier.curve=false"]
DEFINITIONS = ("", "_max_end", "_mean_end")


@torch.no_grad()
def losses_between(config, a, b, points):
    """Return the mean squared errors along the line, on both sets, one network after the other in float64."""
    data = make_datamodule(config).tensors(dtype=torch.float64)
    network = make_network(network_settings(config)).double()
    losses = {"": [], "test_": []}
    for t in np.linspace(0, 1, points):
        network.load_state_dict({n: (1 - t) * a[n].double() + t * b[n].double() for n in a})
        losses[""].append(((network(data.x_train) - data.y_train) ** 2).mean().item())
        losses["test_"].append(((network(data.x_test) - data.y_test) ** 2).mean().item())
    return {prefix: np.array(values) for prefix, values in losses.items()}


def barriers(losses):
    t = np.linspace(0, 1, len(losses))
    start, end = losses[0], losses[-1]
    return (
        max(losses - (1 - t) * start - t * end),
        max(losses) - max(start, end),
        max(losses) - (start + end) / 2,
    )


def test_values_are_those_of_brute_force_between_the_initial_and_the_stored_network(run):
    result, folder = run(
        *SMALL,
        "callbacks.barrier.partner=initialization",
        "callbacks.barrier.points=11",
        "optimizer.lr=0.1",
        "trainer.max_steps=60",
        "trainer.precision=64-true",
    )
    initial = make_network(network_settings(result.config)).state_dict()
    arrays = arrays_of(folder)
    assert arrays["barrier/positions"] == pytest.approx(np.linspace(0, 1, 11))
    for prefix, losses in losses_between(result.config, stored(folder), initial, 11).items():
        assert arrays[f"barrier/{prefix}linear_losses"][-1] == pytest.approx(losses, rel=1e-9)
        for suffix, value in zip(DEFINITIONS, barriers(losses), strict=True):
            recorded = result.metrics[f"barrier/{prefix}linear{suffix}"]
            assert recorded == pytest.approx(value, rel=1e-9, abs=1e-14)
    assert series(folder, "barrier/linear")[0] == pytest.approx(0, abs=1e-12)
    assert result.metrics["barrier/linear_mean_end"] > 0.01


@pytest.mark.parametrize("precision", ["32-true", "64-true"])
@pytest.mark.parametrize("order", [None, 5])
def test_a_twin_is_the_network_that_another_job_would_train(precision, order, run):
    settings = [
        *DATA,
        f"trainer.precision={precision}",
        "data.batch_size=16",
        "optimizer.schedule=cosine",
        "training.log_points.per_decade=3",
    ]
    other = [] if order is None else [f"data.order_seed={order}"]
    alone, its_folder = run(*settings, "callbacks=none", "model.seed=7", *other)
    chosen = [] if order is None else [f"callbacks.barrier.order_seed={order}"]
    beside, folder = run(
        *SMALL,
        *settings,
        "callbacks.barrier.partner_seed=7",
        "callbacks.barrier.every_n_steps=5",
        *chosen,
    )
    assert list(series(folder, "barrier/linear")) == [0, 5, 10, 12]
    assert beside.metrics["barrier/twin_train_loss"] == pytest.approx(
        alone.metrics["train/loss"], rel=1e-6 if precision == "32-true" else 1e-12
    )
    path = its_folder / "checkpoints" / "last.ckpt"
    after, _ = run(
        *SMALL, *settings, "callbacks.barrier.partner=checkpoint", f"callbacks.barrier.checkpoint={path}"
    )
    names = [name for name in after.metrics if name.startswith("barrier/")]
    assert len(names) == 12
    assert {n: after.metrics[n] for n in names} == {n: beside.metrics[n] for n in names}


def test_a_twin_that_splits_off_is_trained_as_an_explicit_loop_says(run):
    """Weights and momentum as they were at step 7, another order from there on, the same rates."""
    result, _ = run(
        *SMALL,
        "optimizer=sgd",
        "optimizer.momentum=0.9",
        "optimizer.lr=0.05",
        "optimizer.schedule=linear",
        "optimizer.weight_decay=0.01",
        "data.batch_size=16",
        "trainer.precision=64-true",
        "callbacks.barrier.split_step=7",
        "callbacks.barrier.order_seed=3",
        "trainer.max_steps=20",
    )
    data = make_datamodule(result.config).tensors(dtype=torch.float64)
    network = make_network(network_settings(result.config)).double()
    velocity = [torch.zeros_like(p) for p in network.parameters()]
    for step in range(20):
        order = BatchOrder(60, 16, 0 if step < 7 else 3)
        rows = order.epoch(step // 4)[step % 4]
        network.zero_grad()
        (network(data.x_train[rows]) - data.y_train[rows]).square().mean().backward()
        with torch.no_grad():
            for v, p in zip(velocity, network.parameters(), strict=True):
                v.mul_(0.9).add_(p.grad + 0.01 * p)
                p.sub_(0.05 * (1 - step / 20) * v)
    loss = (network(data.x_train) - data.y_train).square().mean().item()
    assert result.metrics["barrier/twin_train_loss"] == pytest.approx(loss, rel=1e-11)
    assert abs(result.metrics["train/loss"] / loss - 1) > 1e-3


@pytest.mark.parametrize("optimizer", [["optimizer=adam"], ["optimizer=sgd", "optimizer.momentum=0.9"]])
def test_a_twin_that_splits_off_into_the_same_order_stays_the_same_network(optimizer, run):
    result, folder = run(
        *SMALL,
        *optimizer,
        "data.batch_size=16",
        "callbacks.barrier.split_step=7",
        "callbacks.barrier.order_seed=0",
        "callbacks.barrier.every_n_steps=3",
    )
    assert list(series(folder, "barrier/linear")) == [7, 9, 12]  # nothing before there is a twin
    losses = arrays_of(folder)["barrier/linear_losses"]
    assert np.array_equal(losses[:, 0], losses[:, -1])
    assert result.metrics["barrier/linear"] < 1e-6


def test_no_barrier_to_a_permuted_copy_after_matching(run, tmp_path):
    settings = [*DATA, "model=mlp", "model.width=8", "optimizer.lr=0.05", "trainer.max_steps=60"]
    _, folder = run(*settings, "callbacks=none")
    content = torch.load(folder / "checkpoints" / "last.ckpt")
    state = content["state_dict"]
    for layer, following in (("hidden_1", "hidden_2"), ("hidden_2", "readout")):
        order = torch.randperm(8, generator=torch.Generator().manual_seed(3))
        for kind in ("weight", "bias"):
            state[f"network.{layer}.{kind}"] = state[f"network.{layer}.{kind}"][order]
        state[f"network.{following}.weight"] = state[f"network.{following}.weight"][:, order]
    torch.save(content, tmp_path / "permuted.ckpt")
    result, _ = run(
        "callbacks=[barrier]",
        *settings,
        "callbacks.barrier.curve=false",
        "callbacks.barrier.partner=checkpoint",
        f"callbacks.barrier.checkpoint={tmp_path / 'permuted.ckpt'}",
    )
    assert result.metrics["barrier/linear"] > 0.01
    for name in ("matched", "matched_max_end", "matched_mean_end", "test_matched"):
        assert result.metrics[f"barrier/{name}"] == pytest.approx(0, abs=1e-6)


def test_the_curve_lies_below_the_line_and_arrays_and_figure_hold_all_paths(run):
    result, folder = run(
        "callbacks=[barrier]",
        *DATA,
        "optimizer.lr=0.05",
        "trainer.max_steps=100",
        "callbacks.barrier.curve_steps=300",
        "callbacks.barrier.curve_learning_rate=0.02",
        "callbacks.barrier.curve_batch_size=30",
        "callbacks.barrier.points=9",
        "callbacks.barrier.every_n_steps=50",
    )
    assert result.metrics["barrier/curve"] < 0.3 * result.metrics["barrier/linear"]
    assert list(series(folder, "barrier/curve")) == [100]
    arrays = arrays_of(folder)
    for prefix in ("", "test_"):
        ends = arrays[f"barrier/{prefix}linear_losses"][-1, [0, -1]]
        for path in ("linear", "matched"):
            assert arrays[f"barrier/{prefix}{path}_losses"].shape == (3, 9)
        assert arrays[f"barrier/{prefix}curve_losses"].shape == (9,)
        assert arrays[f"barrier/{prefix}curve_losses"][[0, -1]] == pytest.approx(ends, rel=1e-6)
    assert arrays["barrier/linear_losses"][-1, 0] == pytest.approx(result.metrics["train/loss"], rel=1e-6)
    assert arrays["barrier/test_linear_losses"][-1, 0] == pytest.approx(result.metrics["test/loss"], rel=1e-6)
    assert (folder / "figures" / "barrier.png").stat().st_size > 10_000


def test_a_partner_that_is_not_finite_has_no_barrier_and_does_no_harm(run, tmp_path):
    _, folder = run(*DATA, "callbacks=none")
    content = torch.load(folder / "checkpoints" / "last.ckpt")
    content["state_dict"]["network.readout.weight"][0, 0] = torch.nan
    torch.save(content, tmp_path / "diverged.ckpt")
    result, folder = run(
        "callbacks=[barrier]",
        *DATA,
        "callbacks.barrier.partner=checkpoint",
        f"callbacks.barrier.checkpoint={tmp_path / 'diverged.ckpt'}",
    )
    assert result.status == "done"
    assert np.isnan(list(series(folder, "barrier/linear").values())).all()
    assert np.isnan(list(series(folder, "barrier/matched").values())).all()
    assert np.isnan(result.metrics["barrier/curve"])


def test_a_checkpoint_of_another_architecture_is_refused(run, tmp_path):
    _, folder = run(*DATA, "callbacks=none", "model.width=3")
    (tmp_path / "text.ckpt").write_text("no checkpoint")
    for path in (folder / "checkpoints" / "last.ckpt", tmp_path / "text.ckpt"):
        result, _ = run(
            *SMALL, "callbacks.barrier.partner=checkpoint", f"callbacks.barrier.checkpoint={path}"
        )
        assert result.status == "failed"
        assert f"checkpoint={path} does not hold such a network" in result.error
