"""The callback `landscape`: against losses taken one network at a time, and numpy's principal components."""

import numpy as np
import pytest
import torch

from dlexp.measures.landscape import random_direction
from dlexp.seeding import make_generator
from dlexp.train.build import make_datamodule, make_member, make_network, network_settings
from dlexp.train.fit import fit
from tests.callbacks.reading import arrays_of, networks, series

DATA = [
    "data=sine_sum",
    "data.input_dim=5",
    "data.n_train=60",
    "data.n_test=40",
    "model.width=8",
    "optimizer.lr=0.05",
    "trainer.precision=64-true",
]
SMALL = ["callbacks=[landscape]", *DATA, "callbacks.landscape.plane_points=7"]


def flat(network):
    return torch.cat([p.detach().flatten() for p in network.parameters()])


@torch.no_grad()
def loss_at(config, vector):
    network = make_network(network_settings(config)).double()
    torch.nn.utils.vector_to_parameters(vector, network.parameters())
    data = make_datamodule(config).tensors(dtype=torch.float64)
    return (network(data.x_train) - data.y_train).square().mean().item()


def test_lines_and_planes_are_the_losses_of_the_stored_networks_moved_by_hand(run):
    result, folder = run(
        *SMALL,
        "callbacks.landscape.lines=3",
        "callbacks.landscape.line_points=7",
        "callbacks.landscape.extent=0.5",
        "callbacks.landscape.bias=scale",
        "callbacks.landscape.seed=4",
        "trainer.max_steps=40",
    )
    arrays = arrays_of(folder)
    at = np.linspace(-0.5, 0.5, 7)
    assert arrays["landscape/line_coordinates"] == pytest.approx(at)
    assert arrays["landscape/plane_coordinates"] == pytest.approx(at)
    planes = (arrays["landscape/plane_losses_initial"], arrays["landscape/plane_losses"])
    assert result.metrics["landscape/plane_minimum"] == planes[1].min()
    for index, network in enumerate(networks(result.config, folder)):
        generator = make_generator("callbacks/landscape", 4)
        d = [random_direction(network, "filter", bias="scale", generator=generator) for _ in range(3)]
        centre = flat(network)
        for line, direction in zip(arrays["landscape/line_losses"][index], d, strict=True):
            expected = [loss_at(result.config, centre + a * direction) for a in at]
            assert line == pytest.approx(expected, rel=1e-10)
        for i, j in ((0, 6), (5, 1), (3, 3)):
            expected = loss_at(result.config, centre + at[i] * d[0] + at[j] * d[1])
            assert planes[index][i, j] == pytest.approx(expected, rel=1e-10)
    assert series(folder, "landscape/centre_loss") == {
        step: pytest.approx(loss, rel=1e-12)
        for step, loss in series(folder, "train/loss").items()
        if step in (0, 40)
    }


def test_the_share_of_negative_second_differences_is_the_mean_over_the_lines(run):
    _, folder = run(
        *SMALL,
        "callbacks.landscape.extent=3",
        "callbacks.landscape.every_n_steps=5",
        "model.activation=tanh",
    )
    lines = arrays_of(folder)["landscape/line_losses"]
    assert lines.shape == (4, 5, 51)
    shares = (np.diff(lines, n=2, axis=-1) < 0).mean(axis=(1, 2))
    assert shares.max() > 0.02
    recorded = series(folder, "landscape/negative_second_differences")
    assert list(recorded) == [0, 5, 10, 12]
    assert list(recorded.values()) == pytest.approx(shares, abs=1e-12)
    assert series(folder, "landscape/negative_second_differences_initial") == {0: recorded[0]}


def test_the_trajectory_lies_in_the_plane_of_its_principal_components(run):
    result, folder = run(
        *SMALL,
        "callbacks.landscape.directions=trajectory",
        "callbacks.landscape.every_n_steps=4",
        "optimizer.schedule=constant",
    )
    vectors = []
    for steps in (0, 4, 8, 12):
        alone, its_folder = run(
            *DATA, "callbacks=none", "optimizer.schedule=constant", f"trainer.max_steps={steps}"
        )
        vectors.append(flat(networks(alone.config, its_folder)[1]).numpy())
    vectors = np.array(vectors)
    _, singular, right = np.linalg.svd(vectors - vectors.mean(axis=0), full_matrices=False)
    shares = singular[:2] ** 2 / (singular**2).sum()
    arrays = arrays_of(folder)
    trajectory = arrays["landscape/trajectory"]
    for k in range(2):
        assert result.metrics[f"landscape/explained_variance_{k + 1}"] == pytest.approx(shares[k])
    # A walk of four points in high dimension: eigenvalues of the centred Gram matrix of its partial sums.
    walk = np.tril(np.ones((4, 4)))[:, 1:]
    centred = walk - walk.mean(axis=0)
    null = np.sort(np.linalg.eigvalsh(centred @ centred.T))[::-1]
    walk_shares = [result.metrics[f"landscape/random_walk_variance_{k}"] for k in (1, 2)]
    assert walk_shares == pytest.approx(null[:2] / null.sum(), rel=1e-9)
    projected = (vectors - vectors[-1]) @ right[:2].T
    assert abs(trajectory) == pytest.approx(abs(projected), rel=1e-8, abs=1e-12)
    assert trajectory[-1].tolist() == [0, 0]
    signs = np.sign((trajectory * projected).sum(axis=0))
    at = arrays["landscape/plane_coordinates"]
    assert at.max() == pytest.approx(1.25 * abs(projected).max())
    for i, j in ((0, 6), (6, 2), (3, 3)):
        moved = vectors[-1] + at[i] * signs[0] * right[0] + at[j] * signs[1] * right[1]
        expected = loss_at(result.config, torch.from_numpy(moved))
        assert arrays["landscape/plane_losses"][i, j] == pytest.approx(expected, rel=1e-9)
    assert "landscape/plane_losses_initial" not in arrays


def test_balancing_makes_the_surface_that_of_the_function(compose_plain):
    """Two networks that differ by a rescaling of single units have one balanced surface."""
    surfaces = {}
    for balance in (True, False):
        for factor in (1.0, 8.0):
            config = compose_plain(
                *SMALL,
                f"callbacks.landscape.balance={balance}",
                "trainer.max_steps=0",
                "trainer.accelerator=cpu",
                "logger=none",
            )
            member = make_member(config)
            network = member.network
            with torch.no_grad():
                network.hidden_1.weight[2] *= factor
                network.hidden_1.bias[2] *= factor
                network.readout.weight[:, 2] /= factor
            before = flat(network)
            fit(config, [member])
            assert torch.equal(flat(network), before.to(flat(network)))
            surfaces[balance, factor] = member.recorder._arrays["landscape/plane_losses"]
    assert surfaces[True, 8.0] == pytest.approx(surfaces[True, 1.0], rel=1e-9)
    assert abs(surfaces[False, 8.0] / surfaces[False, 1.0] - 1).max() > 0.1
    assert surfaces[True, 1.0][3, 3] == pytest.approx(surfaces[False, 1.0][3, 3], rel=1e-12)


def test_rescaling_changes_raw_planes_only(run):
    """Both planes are taken one network at a time; the corners are where they differ most."""
    result, folder = run(
        *SMALL,
        "callbacks.landscape.rescaling=5",
        "callbacks.landscape.extent=0.5",
        "callbacks.landscape.plane_points=3",
    )
    _, network = networks(result.config, folder)
    generator = make_generator("callbacks/landscape", 0)
    d = [random_direction(network, "none", generator=generator) for _ in range(2)]
    other = [p.detach().clone() for p in network.parameters()]  # weight and bias of two layers
    for index, factor in ((0, 5), (1, 5), (2, 1 / 5)):
        other[index] *= factor
    centres = flat(network), torch.cat([p.flatten() for p in other])
    shifts = [a * d[0] + b * d[1] for a in (-0.5, 0, 0.5) for b in (-0.5, 0, 0.5)]
    plane, rescaled = (np.array([loss_at(result.config, c + shift) for shift in shifts]) for c in centres)
    assert plane[4] == pytest.approx(rescaled[4], rel=1e-12)
    expected = abs(rescaled - plane).max() / plane.max()
    assert expected > 0.5
    assert result.metrics["landscape/rescaling_change_raw"] == pytest.approx(expected, rel=1e-9)
    assert result.metrics["landscape/rescaling_change_filter"] < 1e-12


@pytest.mark.parametrize(
    ("settings", "planes"),
    [
        ([], {"landscape/plane_losses", "landscape/plane_losses_initial"}),
        (["at_start=false"], {"landscape/plane_losses"}),
        (["at_end=false"], {"landscape/plane_losses_initial"}),
        (["at_end=false", "at_start=false", "every_n_steps=5"], set()),
    ],
)
def test_planes_and_figures_are_of_the_ends_asked_for(settings, planes, run):
    _, folder = run(*SMALL, *[f"callbacks.landscape.{setting}" for setting in settings])
    arrays = arrays_of(folder)
    assert {name for name in arrays if "plane_losses" in name} == planes
    figures = {path.stem for path in (folder / "figures").iterdir()}
    assert figures == {"landscape_line"} | ({"landscape_contours", "landscape_surface"} if planes else set())


def test_losses_that_are_not_finite_are_drawn_in_the_figures_all_the_same(run):
    result, folder = run(
        *SMALL, "callbacks.landscape.extent=1e160", "callbacks.landscape.bias=scale", "model=mlp"
    )
    assert result.status == "done"
    assert not np.isfinite(arrays_of(folder)["landscape/plane_losses"]).all()
    assert np.isnan(series(folder, "landscape/negative_second_differences")[0])
    assert (folder / "figures" / "landscape_surface.png").exists()


def test_a_network_that_does_not_move_has_no_trajectory(run):
    result, folder = run(
        *SMALL,
        "callbacks.landscape.directions=trajectory",
        "callbacks.landscape.every_n_steps=4",
        "optimizer=sgd",
        "optimizer.lr=1e-300",
    )
    assert result.status == "done"
    assert "landscape/trajectory" not in arrays_of(folder)
