"""Laws with labels (n,) int64."""

import torch
from torch import Tensor

from dlexp.data.generators.inputs import normal_inputs, require_input_dim, uniform_inputs
from dlexp.seeding import make_generator

Samples = tuple[Tensor, Tensor]


def gaussian_mixture(
    n: int,
    generator: torch.Generator,
    *,
    input_dim: int = 20,
    classes: int = 17,
    center_std: float = 1.0,
    center_seed: int = 0,
) -> Samples:
    """``x = c_y + z`` with the label y uniform over the classes and z standard normal.

    The centres c (classes, input_dim) are N(0, center_std^2 I), drawn from ``center_seed``: two of them are
    about ``center_std sqrt(2 input_dim)`` standard deviations apart. At the defaults the best possible
    classifier, the nearest centre, is right about 97 % of the time.

    Raises ``ValueError`` for fewer than 2 classes.
    """
    require_input_dim(input_dim)
    if classes < 2:
        raise ValueError(f"classes={classes} is not allowed: it must be at least 2")
    law = make_generator("gaussian_mixture/law", center_seed)
    centers = center_std * normal_inputs(classes, input_dim, law)
    labels = torch.randint(classes, (n,), generator=generator)
    return centers[labels] + normal_inputs(n, input_dim, generator), labels


def parity(n: int, generator: torch.Generator, *, input_dim: int = 10, bits: int = 3) -> Samples:
    """Label 1 where ``x_0 x_1 ... x_{bits-1} > 0`` and 0 elsewhere, for x uniform in [-1, 1)^input_dim.

    Every proper subset of the relevant inputs is independent of the label.

    Raises ``ValueError`` if ``bits`` is not between 1 and ``input_dim``.
    """
    if not 1 <= bits <= input_dim:
        raise ValueError(f"bits={bits} is not allowed: it must be between 1 and input_dim={input_dim}")
    x = uniform_inputs(n, input_dim, generator)
    return x, (x[:, :bits].prod(dim=1) > 0).long()
