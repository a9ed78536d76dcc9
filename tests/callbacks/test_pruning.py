"""The callback `pruning`: the procedure against a loop written out, and what holds at every step."""

import numpy as np
import pytest
import torch

from dlexp.callbacks.pruning import Pruning
from dlexp.data.batches import BatchOrder
from dlexp.seeding import derive_seed
from dlexp.train.build import make_callbacks, make_datamodule, make_network, network_settings
from tests.callbacks.reading import arrays_of, fitted, masks_of, series, stored

# 8-16-1: 128 and 16 weights, which half and quarter shares divide without rounding.
DATA = [
    "data=sine_sum",
    "data.input_dim=8",
    "data.n_train=40",
    "data.n_test=50",
    "data.batch_size=10",
    "model.width=16",
    "optimizer.lr=0.02",
    "training.stopping.train_loss=null",
    "trainer.precision=64-true",
]
SMALL = ["callbacks=[pruning]", *DATA, "callbacks.pruning.rounds=2", "trainer.max_steps=18"]
OPTIMIZERS = {
    "momentum": ["optimizer=sgd", "optimizer.momentum=0.9", "optimizer.weight_decay=0.01"],
    "adam": ["optimizer=adam", "optimizer.schedule=constant", "optimizer.weight_decay=0.01"],
    "adamw": ["optimizer=adamw", "optimizer.weight_decay=0.1", "optimizer.schedule=linear"],
}


class Reference:
    """Iterative magnitude pruning written out in numpy, with masked gradients and nothing of dlexp's."""

    def __init__(self, config):
        self.config = config
        self.network = make_network(network_settings(config)).double()
        self.data = make_datamodule(config).tensors(dtype=torch.float64)

    def values(self):
        return {n: p.detach().numpy().copy() for n, p in self.network.named_parameters()}

    @torch.no_grad()
    def load(self, values):
        for name, p in self.network.named_parameters():
            p.copy_(torch.from_numpy(values[name]))

    def gradient(self, values, step):
        self.load(values)
        rows = BatchOrder(40, 10, 0).epoch(step // 4)[step % 4]
        self.network.zero_grad()
        (self.network(self.data.x_train[rows]) - self.data.y_train[rows]).square().mean().backward()
        return {n: p.grad.numpy().copy() for n, p in self.network.named_parameters()}

    @torch.no_grad()
    def test_loss(self, values):
        self.load(values)
        return (self.network(self.data.x_test) - self.data.y_test).square().mean().item()

    def train(self, values, masks, start, stop, factors, moments=None):
        """Steps of the optimizer in textbook form, on the gradient times the mask."""
        settings = self.config["optimizer"]
        name, rate, decay = settings["name"], settings["lr"], settings["weight_decay"]
        first, second, count = moments or (dict.fromkeys(values, 0.0), dict.fromkeys(values, 0.0), 0)
        for step, factor in zip(range(start, stop), factors, strict=True):
            count += 1
            gradients = self.gradient(values, step)
            for n, value in values.items():
                mask = masks.get(n, 1.0)
                g = gradients[n] * mask
                if name == "adamw":
                    value -= rate * factor * decay * value
                else:
                    g = g + decay * value
                if name == "sgd":
                    first[n] = settings["momentum"] * first[n] + g
                    value -= rate * factor * first[n]
                else:
                    first[n] = 0.9 * first[n] + 0.1 * g
                    second[n] = 0.999 * second[n] + 0.001 * g**2
                    scaled = first[n] / (1 - 0.9**count)
                    value -= rate * factor * scaled / (np.sqrt(second[n] / (1 - 0.999**count)) + 1e-8)
        return values, (first, second, count)


def smaller_half_pruned(values, masks):
    """Half of the remaining weights of the hidden layer, a quarter of those of the readout."""
    pruned = {}
    for name, share in (("hidden_1.weight", 0.5), ("readout.weight", 0.25)):
        mask = masks.get(name, np.ones_like(values[name]))
        sizes = np.sort(abs(values[name])[mask == 1])
        threshold = sizes[int(share * len(sizes))]
        pruned[name] = mask * (abs(values[name]) >= threshold)
    return pruned


@pytest.mark.parametrize("rewind", [0, 3])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_run_is_the_loop_written_out(optimizer, rewind, run):
    length, steps = 6, rewind + 18
    result, folder = run(
        *SMALL,
        *OPTIMIZERS[optimizer],
        "optimizer.lr=0.02",
        f"callbacks.pruning.rewind_step={rewind}",
        f"trainer.max_steps={steps}",
    )
    reference = Reference(result.config)
    period = rewind + length
    factors = [1 - s / period if optimizer == "adamw" else 1.0 for s in range(period)]
    values, masks = reference.values(), {}
    values, moments = reference.train(values, masks, 0, rewind, factors[:rewind])
    rewound = {n: v.copy() for n, v in values.items()}
    losses = {}
    for cycle in range(3):
        start = rewind + cycle * length
        values, _ = reference.train(values, masks, start, start + length, factors[rewind:], moments)
        losses[start + length] = reference.test_loss(values)
        if cycle < 2:
            masks = smaller_half_pruned(values, masks)
            values = {n: v * masks.get(n, 1.0) for n, v in rewound.items()}
            moments = None
    assert series(folder, "pruning/test_loss") == {
        step: pytest.approx(loss, rel=1e-9) for step, loss in losses.items()
    }
    assert {n: m.sum() for n, m in masks.items()} == {"hidden_1.weight": 32, "readout.weight": 9}
    for name, mask in masks_of(folder).items():
        assert np.array_equal(mask, masks[name] == 1)
    for name, value in stored(folder).items():
        assert value.numpy() == pytest.approx(values[name], rel=1e-8, abs=1e-12)
    assert list(series(folder, "pruning/density").values()) == [1, (64 + 12) / 144, (32 + 9) / 144]


def test_the_first_cycle_is_a_run_of_its_own(run):
    """Also its schedule, which would otherwise decay over the whole run."""
    _, folder = run(*SMALL, "optimizer.schedule=cosine")
    alone, _ = run(*DATA, "callbacks=none", "optimizer.schedule=cosine", "trainer.max_steps=6")
    assert series(folder, "pruning/test_loss")[6] == alone.metrics["test/loss"]


class Watched(Pruning):
    """Looks at each restart, when it is done."""

    def _begin_next_cycle(self, member):
        super()._begin_next_cycle(member)
        self.restarts = [*getattr(self, "restarts", []), member.step]
        start = self.expected_start(member)
        for name, value in member.network.state_dict().items():
            mask = member.masks.get(name, torch.ones_like(value, dtype=torch.bool))
            assert torch.equal(value, torch.where(mask, start[name], 0.0))
        assert member.optimizer_state() == {}
        kept = {name: int(mask.sum()) for name, mask in member.masks.items()}
        rounds = len(self.restarts)
        assert kept == {"hidden_1.weight": 128 // 2**rounds, "readout.weight": {1: 12, 2: 9}[rounds]}

    def expected_start(self, member):
        if self.settings.control == "random_signs":
            return self.with_signs(member)
        if self.settings.control == "reinitialize":
            seed = derive_seed(f"callbacks/pruning/reinitialize/{len(self.restarts)}", self.settings.seed)
            return make_network({**member.network_settings, "seed": seed}).double().state_dict()
        return self._rewind_weights

    def with_signs(self, member):
        start = {}
        for name, value in self._rewind_weights.items():
            now, mask = member.network.state_dict()[name], member.masks.get(name)
            start[name] = value if mask is None else now
            if mask is not None:
                assert torch.equal(now.abs(), torch.where(mask, value.abs(), 0.0))
                assert 0.1 < (now.sign() != value.sign())[mask].double().mean() < 0.9
        return start


def watched(config):
    settings = {k: v for k, v in config["callbacks"]["pruning"].items() if k != "_target_"}
    pruning = Watched(**settings)
    fitted(config, replaced=(Pruning, pruning))
    return pruning


HERE = ["trainer.accelerator=cpu", "logger=none"]


@pytest.mark.parametrize("control", ["none", "reinitialize", "random_signs"])
def test_each_cycle_begins_as_it_should(control, compose_plain):
    pruning = watched(compose_plain(*SMALL, f"callbacks.pruning.control={control}", *HERE))
    assert pruning.restarts == [6, 12]


@pytest.mark.parametrize("control", ["reinitialize", "random_signs"])
def test_controls_have_the_masks_of_the_ticket(control, run):
    ticket, its_folder = run(*SMALL, "model=mlp", "model.width=16")
    result, folder = run(*SMALL, "model=mlp", "model.width=16", f"callbacks.pruning.control={control}")
    expected = masks_of(its_folder)
    assert len(expected) == 3
    assert all(np.array_equal(mask, expected[name]) for name, mask in masks_of(folder).items())
    losses, its = series(folder, "pruning/test_loss"), series(its_folder, "pruning/test_loss")
    assert losses[6] == its[6]
    assert losses[12] != its[12]
    assert result.metrics["pruning/density"] == ticket.metrics["pruning/density"]


@pytest.mark.parametrize("scope", ["layer", "global"])
def test_random_masks_keep_as_many_weights_of_each_layer(scope, run):
    settings = [
        *SMALL,
        "model=mlp",
        "model.width=16",
        f"callbacks.pruning.scope={scope}",
        "trainer.max_steps=30",
    ]
    _, its_folder = run(*settings)
    _, folder = run(*settings, "callbacks.pruning.control=random")
    expected = masks_of(its_folder)
    for name, mask in masks_of(folder).items():
        assert mask.sum() == expected[name].sum()
        assert (mask != expected[name]).any()
    kept = sum(mask.sum() for mask in expected.values())
    if scope == "global":
        assert kept == (128 + 256 + 16) / 4
    for name, value in stored(folder).items():
        if name in expected:
            assert np.array_equal(value.numpy() != 0, masks_of(folder)[name])


def test_arrays_and_figure_for_classes(run):
    result, folder = run(
        *SMALL,
        "data=gaussian_mixture",
        "data.n_train=60",
        "data.n_test=50",
        "data.output_dim=3",
        "callbacks.pruning.rate=0.2",
        "callbacks.pruning.readout_rate=0",
    )
    arrays = arrays_of(folder)
    for name in ("density", "test_loss", "test_error"):
        assert arrays[f"pruning/{name}"].tolist() == list(series(folder, f"pruning/{name}").values())
    assert arrays["pruning/test_loss"][-1] == pytest.approx(result.metrics["test/loss"], rel=1e-12)
    assert result.metrics["pruning/test_error"] == pytest.approx(result.metrics["test/error"])
    assert arrays["mask/readout.weight"].all()
    assert arrays["mask/hidden_1.weight"].dtype == bool
    assert (folder / "figures" / "pruning.png").stat().st_size > 10_000


def test_training_that_stops_within_a_cycle_fails(compose_plain, monkeypatch):
    """For callers who build their own training: a configuration that allows it is refused."""
    monkeypatch.setattr("dlexp.train.plan.Convergence.is_reached", lambda *_: True)
    settings = ["training.stopping.check_every_n_steps=4"]
    with pytest.raises(ValueError, match="training converged at step 4, before the last of 3 cycles"):
        fitted(compose_plain(*SMALL, *settings, *HERE))


def test_those_that_measure_see_the_network_before_it_is_pruned(compose_plain, run):
    settings = [
        *SMALL,
        "callbacks=[pruning,barrier]",
        "callbacks.barrier.partner=initialization",
        "callbacks.barrier.every_n_steps=6",
        "callbacks.barrier.curve=false",
    ]
    kinds = [type(callback).__name__ for callback in make_callbacks(compose_plain(*settings))]
    assert kinds == ["Barrier", "Pruning"]
    _, folder = run(*settings)
    at_end = arrays_of(folder)["barrier/test_linear_losses"][1:, 0]
    assert list(series(folder, "pruning/test_loss").values()) == pytest.approx(at_end, rel=1e-12)


def test_a_diverging_run_is_recorded_as_such(run):
    result, _ = run(
        *SMALL,
        "optimizer=sgd",
        "optimizer.lr=1e6",
        "trainer.max_steps=600",
        "training.stopping.check_every_n_steps=500",
        "training.log_points.spacing=linear",
        "training.log_points.every_n_steps=500",
    )
    assert result.status == "diverged"
