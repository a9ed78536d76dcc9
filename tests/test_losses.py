"""Every loss against torch's own and against autograd, alone and for a stack of networks."""

import pytest
import torch
import torch.nn.functional as F

from dlexp.losses import CLASSIFICATION, LOSSES

TORCH = {
    "mse": F.mse_loss,
    "half_mse": lambda f, y: 0.5 * F.mse_loss(f, y),
    "huber": F.huber_loss,
    "cross_entropy": F.cross_entropy,
}


def drawn(loss, *, members=3, n=7, k=4):
    generator = torch.Generator().manual_seed(0)
    outputs = 2 * torch.randn(members, n, k, dtype=torch.float64, generator=generator)
    labels = torch.randint(k, (members, n), generator=generator)
    real = torch.randn(members, n, k, dtype=torch.float64, generator=generator)
    return outputs, labels if CLASSIFICATION in loss.tasks else real


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
def test_loss_is_torchs_for_one_network_and_for_each_of_many(loss):
    outputs, targets = drawn(loss)
    expected = torch.stack([TORCH[loss.name](f, y) for f, y in zip(outputs, targets, strict=True)])
    torch.testing.assert_close(loss(outputs, targets), expected, rtol=1e-14, atol=0)
    torch.testing.assert_close(loss(outputs[0], targets[0]), expected[0], rtol=1e-14, atol=0)


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
def test_derivative_is_autograds(loss):
    outputs, targets = drawn(loss)
    leaf = outputs.clone().requires_grad_()
    (0.3 * loss.per_row(leaf, targets).sum()).backward()
    torch.testing.assert_close(loss.derivative(outputs, targets, 0.3), leaf.grad, rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
def test_shapes_that_would_broadcast_are_refused(loss):
    outputs, targets = drawn(loss, k=1)
    for f, y in ((outputs[..., 0], targets), (outputs, targets[..., :1]), (outputs, targets[0])):
        if f.shape == outputs.shape and y.shape == targets.shape:
            continue
        with pytest.raises(ValueError, match="do not belong together"):
            loss(f, y)


def test_error_is_the_share_of_wrong_rows():
    outputs = torch.tensor([[2.0, 1.0], [0.0, 1.0], [3.0, 1.0]])
    assert LOSSES["cross_entropy"].mean_error(outputs, torch.tensor([0, 0, 0])) == pytest.approx(1 / 3)
