from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pytorch_lightning import LightningModule, Trainer
from scipy import stats
from torch import Tensor

from dlexp.data import generators
from dlexp.data.datamodule import SyntheticDataModule, Tensors

DOUBLE = torch.float64


def make(**changes: Any) -> SyntheticDataModule:
    arguments: dict[str, Any] = {
        "generator": generators.sine_cosine,
        "input_dim": 10,
        "output_dim": 1,
        "n_train": 40,
        "n_test": 30,
        "noise": 0.3,
        "batch_size": 16,
    }
    return SyntheticDataModule(**(arguments | changes))


def make_labels(**changes: Any) -> SyntheticDataModule:
    arguments = {"generator": generators.gaussian_mixture, "input_dim": 20, "output_dim": 17}
    return make(**(arguments | {"task": "classification"} | changes))


def draw(**changes: Any) -> Tensors:
    return make(**changes).tensors(dtype=DOUBLE)


def same(a: Tensors, b: Tensors) -> set[str]:
    return {name for name in vars(a) if torch.equal(getattr(a, name), getattr(b, name))}


ALL = {"x_train", "y_train", "x_test", "y_test"}


@pytest.mark.parametrize(
    ("changes", "unchanged"),
    [
        ({}, ALL),
        ({"order_seed": 5}, ALL),
        ({"batch_size": "full"}, ALL),
        ({"n_train": 41}, {"x_test", "y_test"}),
        ({"n_test": 31}, {"x_train", "y_train"}),
        ({"noise": 0.6}, {"x_train", "x_test"}),
        ({"test_noise": 0.0}, {"x_train", "y_train", "x_test"}),
        ({"test_noise": 0.3}, ALL),
        ({"seed": 1}, set()),
    ],
)
def test_a_setting_changes_only_what_it_names(changes: dict[str, Any], unchanged: set[str]) -> None:
    assert same(draw(), draw(**changes)) == unchanged


def test_the_streams_are_independent() -> None:
    tensors = draw(n_train=4000, n_test=4000, noise=1.0)
    noise = [
        (y - (x[:, :1].sin() + x[:, 1:2].cos()))[:, 0]
        for x, y in ((tensors.x_train, tensors.y_train), (tensors.x_test, tensors.y_test))
    ]
    # As drawn: entry i of each stream beside entry i of the others.
    series = [tensors.x_train.flatten()[:4000], tensors.x_test.flatten()[:4000], *noise]
    correlation = np.corrcoef(torch.stack(series)) - np.eye(4)
    assert abs(correlation).max() < 4 / 4000**0.5
    assert not np.intersect1d(tensors.x_train, tensors.x_test).size


@pytest.mark.parametrize(("test_noise", "expected"), [(None, 0.5), (0.2, 0.2)])
def test_the_noise_is_normal_with_the_stated_standard_deviation(
    test_noise: float | None, expected: float
) -> None:
    noisy = draw(noise=0.5, test_noise=test_noise, n_train=10_000, n_test=10_000)
    clean = draw(noise=0.0, test_noise=0.0, n_train=10_000, n_test=10_000)
    for difference, std in ((noisy.y_train - clean.y_train, 0.5), (noisy.y_test - clean.y_test, expected)):
        assert stats.kstest(difference[:, 0], stats.norm(0, std).cdf).pvalue > 1e-3


def test_more_noise_is_the_same_noise_made_larger() -> None:
    clean, low, high = (draw(noise=noise).y_train for noise in (0.0, 0.2, 0.6))
    torch.testing.assert_close(high - clean, 3 * (low - clean))


def test_label_noise_replaces_labels_by_others_uniformly() -> None:
    n = 40_000
    clean = make_labels(n_train=n, noise=0.0).tensors()
    noisy = make_labels(n_train=n, noise=0.3, test_noise=0.0).tensors()
    assert torch.equal(clean.x_train, noisy.x_train)
    assert torch.equal(clean.y_test, noisy.y_test)
    replaced = clean.y_train != noisy.y_train
    assert abs(replaced.double().mean() - 0.3) < 4 * (0.21 / n) ** 0.5
    shifts = (noisy.y_train - clean.y_train)[replaced] % 17
    assert stats.chisquare(torch.bincount(shifts, minlength=17)[1:]).pvalue > 1e-3
    everywhere = make_labels(n_train=n, noise=1.0).tensors()
    assert (everywhere.y_train != clean.y_train).all()


def test_float32_and_float64_see_the_same_samples() -> None:
    module = make()
    single, double = module.tensors(), module.tensors(dtype=DOUBLE)
    assert single.x_train.dtype == single.y_train.dtype == torch.float32
    assert double.x_train.dtype == double.y_train.dtype == DOUBLE
    for name in ALL:
        assert torch.equal(getattr(single, name), getattr(double, name).float())
    labels = make_labels().tensors(dtype=DOUBLE)
    assert labels.y_train.dtype == labels.y_test.dtype == torch.int64


def test_sets_are_drawn_and_placed_once() -> None:
    calls = []

    def counted(n: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        calls.append(n)
        return generators.sine_cosine(n, generator)

    module = make(generator=counted)
    module.setup("fit")
    module.setup("test")
    assert module.tensors() is module.tensors("cpu", torch.float32)
    assert calls == [40, 30]


def test_the_global_generator_is_neither_used_nor_changed() -> None:
    state = torch.get_rng_state()
    first = draw()
    assert torch.equal(torch.get_rng_state(), state)
    torch.rand(5)
    assert same(first, draw()) == ALL


def test_the_order_of_the_batches_follows_its_own_seed() -> None:
    def rows(**changes: Any) -> list[list[int]]:
        return [batch.tolist() for batch in make(**changes).order.epoch(0)]

    assert rows() == rows(order_seed=0)
    assert rows() == rows(seed=7, order_seed=0)
    assert rows() != rows(order_seed=1)
    assert rows() != rows(seed=1)


def test_sets_that_are_made_together() -> None:
    both: dict[str, Any] = {
        "generator": partial(generators.chebyshev, degree=4),
        "input_dim": 1,
        "batch_size": "full",
    }
    tensors = draw(**both, n_train=20)
    np.testing.assert_allclose(tensors.x_train[:, 0], np.linspace(-1, 1, 20), atol=1e-12)
    assert same(tensors, draw(**both, n_train=10)) == {"x_test", "y_test"}
    pool = make(
        generator=generators.digits,
        input_dim=64,
        output_dim=10,
        task="classification",
        n_train=1000,
        n_test=797,
    )
    assert pool.tensors().x_train.shape == (1000, 64)


class Recorder(LightningModule):
    """Keeps what reaches it."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(10, 1)
        self.seen: list[Tensor] = []

    def training_step(self, batch: tuple[Tensor, Tensor]) -> Tensor:
        self.seen.append(batch[1])
        return ((self.layer(batch[0]) - batch[1]) ** 2).mean()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.01)


def fit(
    epochs: int, folder: Path, resume: Path | None = None, precision: Any = 32
) -> tuple[Recorder, Trainer]:
    module = Recorder()
    trainer = Trainer(
        accelerator="cpu",
        max_epochs=epochs,
        precision=precision,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        log_every_n_steps=1,
        default_root_dir=folder,
    )
    trainer.fit(module, datamodule=make(), ckpt_path=resume)
    return module, trainer


# Lightning 2.6 calls what torch 2.13 deprecates.
lightning = pytest.mark.filterwarnings("ignore:.*LeafSpec:FutureWarning")


@lightning
@pytest.mark.parametrize(("precision", "dtype"), [(32, torch.float32), ("64-true", DOUBLE)])
def test_lightning_trains_on_the_epochs_in_order(tmp_path: Path, precision: Any, dtype: torch.dtype) -> None:
    module, _ = fit(2, tmp_path, precision=precision)
    data = make()
    tensors = data.tensors(dtype=dtype)
    expected = [tensors.y_train[rows] for epoch in (0, 1) for rows in data.order.epoch(epoch)]
    assert len(module.seen) == 6
    assert all(torch.equal(a, b) for a, b in zip(module.seen, expected, strict=True))


@lightning
def test_a_resumed_fit_goes_on_with_the_next_epoch(tmp_path: Path) -> None:
    through, _ = fit(3, tmp_path)
    _, trainer = fit(2, tmp_path)
    trainer.save_checkpoint(tmp_path / "two.ckpt")
    resumed, _ = fit(3, tmp_path, resume=tmp_path / "two.ckpt")
    assert len(resumed.seen) == 3
    assert all(torch.equal(a, b) for a, b in zip(resumed.seen, through.seen[6:], strict=True))


def test_the_test_set_is_one_batch() -> None:
    module = make()
    ((x, y),) = list(module.test_dataloader())
    tensors = module.tensors()
    assert torch.equal(x, tensors.x_test)
    assert torch.equal(y, tensors.y_test)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_the_same_samples_and_orders_on_a_gpu() -> None:
    module = make()
    tensors = module.tensors("cuda", DOUBLE)
    assert tensors.x_train.is_cuda
    assert (
        same(make().tensors("cpu", DOUBLE), Tensors(**{k: v.cpu() for k, v in vars(tensors).items()})) == ALL
    )
    on_cpu, on_gpu = module.order.epoch(3), module.order.epoch(3, "cuda")
    assert all(torch.equal(a, b.cpu()) for a, b in zip(on_cpu, on_gpu, strict=True))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"task": "ranking"}, "task='ranking' is unknown; allowed: regression, classification"),
        ({"n_train": 0, "batch_size": "full"}, "n_train=0 is not allowed: it must be at least 1"),
        ({"n_test": 0}, "n_test=0 is not allowed"),
        ({"noise": -0.1}, "noise=-0.1 is not allowed: it must be between 0 and inf"),
        ({"noise": float("nan")}, "noise=nan is not allowed"),
        ({"test_noise": -1.0}, "test_noise=-1.0 is not allowed"),
        ({"task": "classification", "output_dim": 2, "noise": 1.5}, "noise=1.5 .* between 0 and 1"),
        ({"task": "classification", "output_dim": 1}, "output_dim=1 is not allowed: .* at least 2 classes"),
        ({"batch_size": 41}, "batch_size=41 is not allowed: it must be full or between 1 and 40"),
        ({"input_dim": 9}, r"training set has x \(40, 10\) and y \(40, 1\), but input_dim=9"),
        ({"output_dim": 2}, r"ask for x \(40, 10\) and y \(40, 2\)"),
    ],
)
def test_bad_arguments_are_refused_in_one_sentence(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make(**changes).setup()


def test_labels_outside_the_classes_are_refused() -> None:
    with pytest.raises(ValueError, match=r"labels are torch.int64 from 0 to 16, but output_dim=5"):
        make_labels(output_dim=5).setup()
