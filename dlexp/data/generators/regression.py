"""Laws with real targets (n, 1), without noise; inputs are standard normal unless said."""

import math

import torch
from torch import Tensor

from dlexp import targets
from dlexp.data.generators.inputs import normal_inputs, require_input_dim, sphere_inputs, uniform_inputs
from dlexp.seeding import make_generator

Samples = tuple[Tensor, Tensor]


def sine_cosine(n: int, generator: torch.Generator, *, input_dim: int = 10) -> Samples:
    """``y = sin(x_0) + cos(x_1)``; the other inputs are irrelevant."""
    require_input_dim(input_dim, 2)
    x = normal_inputs(n, input_dim, generator)
    return x, x[:, :1].sin() + x[:, 1:2].cos()


def sine_sum(n: int, generator: torch.Generator, *, input_dim: int = 10) -> Samples:
    """``y = sin(x_0 + x_1 + x_2)``; the other inputs are irrelevant."""
    require_input_dim(input_dim, 3)
    x = normal_inputs(n, input_dim, generator)
    return x, x[:, :3].sum(dim=1, keepdim=True).sin()


def sine_first(n: int, generator: torch.Generator, *, input_dim: int = 10) -> Samples:
    """``y = sin(x_0)``; the other inputs are irrelevant."""
    require_input_dim(input_dim)
    x = normal_inputs(n, input_dim, generator)
    return x, x[:, :1].sin()


def sine_all(n: int, generator: torch.Generator, *, input_dim: int = 5) -> Samples:
    """``y = sin(sum of all inputs)``."""
    require_input_dim(input_dim)
    x = normal_inputs(n, input_dim, generator)
    return x, x.sum(dim=1, keepdim=True).sin()


def compositional(
    n: int, generator: torch.Generator, *, input_dim: int = 10, standardize: bool = False
) -> Samples:
    """``y = cos(sin(relu(sum of all inputs)))``, a composition of simple maps.

    With ``standardize``, less the law's mean and over its standard deviation (0.16 in 10 dimensions).
    """
    require_input_dim(input_dim)
    x = normal_inputs(n, input_dim, generator)
    y = _composed(x.sum(dim=1, keepdim=True))
    if not standardize:
        return x, y
    # the sum is normal with variance input_dim
    z = torch.linspace(-9, 9, 20001, dtype=torch.float64)
    values = _composed(math.sqrt(input_dim) * z)
    weights = torch.softmax(-(z**2) / 2, dim=0)
    mean = weights @ values
    return x, (y - mean) / (weights @ (values - mean) ** 2).sqrt()


def _composed(total: Tensor) -> Tensor:
    return total.relu().sin().cos()


def additive(n: int, generator: torch.Generator, *, input_dim: int = 8) -> Samples:
    """``y = sum_i sin(x_i)``: no composition to find, so depth has nothing to gain."""
    require_input_dim(input_dim)
    x = normal_inputs(n, input_dim, generator)
    return x, x.sin().sum(dim=1, keepdim=True)


def radial(n: int, generator: torch.Generator, *, input_dim: int = 4) -> Samples:
    """``y = cos(3 |x|)``: a function of the distance from the origin alone."""
    require_input_dim(input_dim)
    x = normal_inputs(n, input_dim, generator)
    return x, (3 * x.norm(dim=1, keepdim=True)).cos()


def damped_wave(n: int, generator: torch.Generator) -> Samples:
    """``y = sin(5 x) exp(-x^2)`` for x (n, 1) uniform in [-1, 1)."""
    x = uniform_inputs(n, 1, generator)
    return x, targets.damped_wave(x)


def plane_wave(n: int, generator: torch.Generator, *, input_dim: int = 2) -> Samples:
    """``y = sin(3 sum_i x_i / sqrt(input_dim))`` for x uniform in [-1, 1)^input_dim."""
    require_input_dim(input_dim)
    x = uniform_inputs(n, input_dim, generator)
    return x, targets.plane_wave(x)


def linear_teacher(
    n: int,
    generator: torch.Generator,
    *,
    input_dim: int = 20,
    teacher_dim: int | None = None,
    teacher_seed: int = 0,
) -> Samples:
    """``y = <z, b> / |b|`` for z (n, teacher_dim) standard normal; the student sees ``x``, its first columns.

    ``b`` is standard normal, drawn from ``teacher_seed``, so that y is standard normal too. With
    ``input_dim`` = p below ``teacher_dim`` = D this is the model of Belkin, Hsu and Xu (2020): what the
    student does not see acts as noise. All p of one D give the same y and nested x.

    Raises ``ValueError`` if ``input_dim`` is not between 1 and ``teacher_dim`` (None: equal to it).
    """
    require_input_dim(input_dim)
    dimension = input_dim if teacher_dim is None else teacher_dim
    if dimension < input_dim:
        raise ValueError(
            f"teacher_dim={teacher_dim} is below input_dim={input_dim}: it must be at least that"
        )
    z = normal_inputs(n, dimension, generator)
    return z[:, :input_dim].clone(), z @ teacher_direction(dimension, teacher_seed)


def teacher_direction(teacher_dim: int, teacher_seed: int) -> Tensor:
    """Return the linear teacher's b / |b|, (teacher_dim, 1) in float64."""
    direction = normal_inputs(teacher_dim, 1, make_generator("linear_teacher/law", teacher_seed))
    norm: Tensor = direction.norm()
    return direction / norm


def sphere(n: int, generator: torch.Generator, *, input_dim: int = 5, target: str = "sine_of_sum") -> Samples:
    """Inputs uniform on the sphere of radius sqrt(input_dim).

    ``target``: ``sine_of_sum``, y = sin(x_0 + x_1), or ``sine_times_linear``, y = sin(x_0) x_1.

    Raises ``ValueError`` for another target.
    """
    require_input_dim(input_dim, 2)
    x = sphere_inputs(n, input_dim, generator)
    first, second = x[:, :1], x[:, 1:2]
    if target == "sine_of_sum":
        return x, (first + second).sin()
    if target == "sine_times_linear":
        return x, first.sin() * second
    raise ValueError(f"target={target!r} is unknown; allowed: sine_of_sum, sine_times_linear")
