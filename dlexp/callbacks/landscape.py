"""What the training loss looks like around a network: on random lines and on a plane."""

import logging
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from dlexp.callbacks.base import MeasureCallback
from dlexp.callbacks.settings import require_count, require_positive
from dlexp.measures.functional import Loss, parameter_vector
from dlexp.measures.landscape import (
    balance_relu_units,
    centred_grid,
    loss_line,
    loss_plane,
    negative_second_difference_share,
    random_direction,
    random_walk_explained_variance,
    rescale_first_layer,
    rescaling_change,
    trajectory_components,
)
from dlexp.measures.landscape.directions import BIAS_RULES, NORMALIZATIONS
from dlexp.plots.runs.landscape import Surface, draw_contours, draw_lines, draw_surfaces
from dlexp.train.member import Member
from dlexp.train.plan import Plan

log = logging.getLogger(__name__)

DIRECTIONS = ("random", "trajectory")
NEGATIVE = "landscape/negative_second_differences"
FEWEST_POINTS = 3  # of a trajectory, to have two principal components
MARGIN = 1.25  # how much farther than the trajectory its plane reaches


class Landscape(MeasureCallback):
    """Evaluates the training loss on lines and a plane whose exact centre is the network.

    Whenever it measures, the loss along ``lines`` random directions; for the initial network (``at_start``)
    and the trained one (``at_end``) the loss on the plane of the first two of them. With
    ``directions=trajectory`` there is one plane, through the trained network along the first two principal
    components of the networks measured before, and the trajectory is drawn into it.

    Metrics: ``landscape/centre_loss``, the loss in the centre, and ``landscape/plane_minimum``, the lowest on
    the last plane; ``landscape/negative_second_differences``, the share of second differences along the lines
    that are negative, 0 where all lines are convex (NaN where a loss is not finite), and with ``_initial``
    that of the initial network; with ``rescaling`` ``landscape/rescaling_change_raw`` and ``_filter``; at the
    end of a trajectory ``landscape/explained_variance_1`` and ``_2``, its components' shares of the variance,
    and ``landscape/random_walk_variance_1`` and ``_2``, those of a random walk of as many points, evenly
    spaced in time, in high dimension: what no more than drift would show.

    Arrays: ``landscape/steps`` (T,), ``landscape/line_coordinates`` (n,), ``landscape/line_losses``
    (T, lines, n), ``landscape/plane_coordinates`` (m,), ``landscape/plane_losses`` (m, m), first direction
    first, and ``landscape/plane_losses_initial``; for a trajectory ``landscape/trajectory`` (T, 2), relative
    to the trained network, ``landscape/explained_variance`` and ``landscape/random_walk_variance`` (2,).
    Figures: ``landscape/line``, ``landscape/contours``, ``landscape/surface``.

    Args:
        directions: of the plane: ``random`` or ``trajectory``.
        normalize, bias: how random directions are scaled, see
            :func:`~dlexp.measures.landscape.directions.random_direction`.
        balance: first to balance the ReLU units, which leaves the function as it is but makes surfaces
            comparable; not with a trajectory.
        extent: how far lines and planes reach, in units of a direction; with ``trajectory`` the plane reaches
            1.25 ``extent`` times as far as the trajectory.
        lines: number of lines.
        line_points, plane_points: on a line, on each side of the plane; odd.
        rescaling: factor c: how much the plane around the trained network changes when the first layer is
            multiplied by c and the second divided by it, which leaves the function as it is; relative to the
            plane's highest loss, with Gaussian directions (``raw``) and filter-normalised ones. None: not
            measured.
        schedule: arguments of :class:`~dlexp.callbacks.base.MeasureCallback`.

    Raises ``ValueError`` for settings that are not allowed; at the start of training for units that cannot be
    balanced or rescaled.
    """

    name = "landscape"

    def __init__(
        self,
        *,
        directions: str = "random",
        normalize: str = "filter",
        bias: str = "zero",
        balance: bool = False,
        extent: float = 1.0,
        lines: int = 5,
        line_points: int = 51,
        plane_points: int = 51,
        rescaling: float | None = None,
        **schedule: Any,
    ) -> None:
        super().__init__(**schedule)
        choices = {
            "directions": (directions, DIRECTIONS),
            "normalize": (normalize, NORMALIZATIONS),
            "bias": (bias, BIAS_RULES),
        }
        for key, (value, allowed) in choices.items():
            if value not in allowed:
                raise ValueError(f"{key}={value} is not allowed: it must be one of {', '.join(allowed)}")
        require_positive("extent", extent)
        require_positive("rescaling", rescaling, null="no comparison")
        require_count("lines", lines)
        for key, points in (("line_points", line_points), ("plane_points", plane_points)):
            require_count(key, points, minimum=3)
            if points % 2 == 0:
                raise ValueError(f"{key}={points} is not allowed: it must be odd, to hold the centre")
        if directions == "trajectory" and balance:
            raise ValueError(
                "balance=true with directions=trajectory is not allowed: the trajectory is that of the "
                "weights as they are"
            )
        if directions == "trajectory" and not self.at_end:
            raise ValueError(
                "at_end=false with directions=trajectory is not allowed: the plane goes through the end"
            )
        self.directions, self.normalize, self.bias, self.balance = directions, normalize, bias, balance
        self.extent, self.lines = float(extent), lines
        self.line_points, self.plane_points = line_points, plane_points
        self.rescaling = rescaling

    def find_problems(self, config: Mapping[str, Any], plan: Plan) -> list[str]:
        """Return whether too few networks would be measured to make a trajectory."""
        count = len(self.due_steps(plan.total_steps, plan.steps_per_epoch) | {plan.total_steps})
        if self.directions == "random" or count >= FEWEST_POINTS:
            return []
        return [
            f"callbacks.landscape.directions=trajectory with {count} measurements is not allowed: it must "
            f"have at least {FEWEST_POINTS}, set by every_n_steps, every_n_epochs or log_spaced."
        ]

    def begin(self, module: Member) -> None:
        """See whether the units can be balanced, and the layers rescaled."""
        self._steps: list[int] = []
        self._line_losses: list[Tensor] = []
        self._trajectory: list[Tensor] = []
        self._surfaces: dict[int, Surface] = {}
        try:
            self._subject(module)
            if self.rescaling is not None:
                rescale_first_layer(module.network, self.rescaling)
        except ValueError as error:
            setting = "balance=true" if self.balance else f"rescaling={self.rescaling}"
            raise ValueError(f"callbacks.landscape.{setting}: {error}") from None

    def measure(self, module: Member) -> Mapping[str, float]:
        """Return what the lines tell; keep them, and the weights."""
        network = self._subject(module)
        directions = self._random_directions(network)
        lines = [
            loss_line(network, *_loss(module), d, extent=self.extent, points=self.line_points)
            for d in directions[: self.lines]
        ]
        losses = torch.stack([line.losses for line in lines])
        self._steps.append(module.step)
        self._line_losses.append(losses.cpu())
        if self.directions == "trajectory":
            self._trajectory.append(parameter_vector(network).cpu())
        elif module.step == 0 and self.at_start:
            self._surfaces[0] = self._surface(module, network, directions[:2], self.extent)
        shares = [
            negative_second_difference_share(line) if bool(line.isfinite().all()) else math.nan
            for line in losses
        ]
        share = float(np.mean(shares))
        metrics = {"landscape/centre_loss": float(losses[0, self.line_points // 2]), NEGATIVE: share}
        return metrics | ({f"{NEGATIVE}_initial": share} if module.step == 0 else {})

    def finish(self, module: Member) -> None:
        """Evaluate the last plane, keep all losses and draw them."""
        if not self._steps:
            return
        record, step = module.recorder.record_array, module.step
        labels = short_labels = ("first random direction", "second random direction")
        trajectory = None
        if self.directions == "trajectory":
            found = self._trajectory_surface(module)
            if found is not None:
                self._surfaces[step], trajectory, labels = found
                short_labels = ("component 1", "component 2")
        elif self.at_end and step not in self._surfaces:
            network = self._subject(module)
            directions = self._random_directions(network)[:2]
            self._surfaces[step] = self._surface(module, network, directions, self.extent)
        if step in self._surfaces:
            module.record({"landscape/plane_minimum": float(self._surfaces[step].losses.min())})
        if self.rescaling is not None and self.at_end:
            module.record(self._rescaling_changes(module, self.rescaling))
        line_losses = torch.stack(self._line_losses).numpy()
        coordinates = centred_grid(self.line_points, self.extent).numpy()
        record("landscape/steps", self._steps)
        record("landscape/line_coordinates", coordinates)
        record("landscape/line_losses", line_losses)
        for at, surface in self._surfaces.items():
            is_initial = at == 0 and (len(self._surfaces) > 1 or not self.at_end)
            record("landscape/plane_losses" + ("_initial" if is_initial else ""), surface.losses)
            record("landscape/plane_coordinates", surface.coordinates)
        if not self.figures:
            return
        figures = {"line": draw_lines(self._steps, coordinates, line_losses)}
        if self._surfaces:
            figures["contours"] = draw_contours(self._surfaces, labels, trajectory)
            figures["surface"] = draw_surfaces(self._surfaces, short_labels)
        for name, figure in figures.items():
            module.recorder.record_figure(f"landscape/{name}", figure, step=step)

    def _subject(self, module: Member) -> nn.Module:
        return balance_relu_units(module.network) if self.balance else module.network

    def _random_directions(self, network: nn.Module) -> Tensor:
        """Return at least two directions (k, P), the same draws each time."""
        generator = self.generator()
        return torch.stack(
            [
                random_direction(network, self.normalize, bias=self.bias, generator=generator)
                for _ in range(max(2, self.lines))
            ]
        )

    def _surface(self, module: Member, network: nn.Module, directions: Tensor, extent: float) -> Surface:
        plane = loss_plane(network, *_loss(module), directions, extent=extent, points=self.plane_points)
        return Surface(plane.first.cpu().double().numpy(), plane.losses.cpu().double().numpy())

    def _rescaling_changes(self, module: Member, factor: float) -> dict[str, float]:
        return {
            f"landscape/rescaling_change_{name}": rescaling_change(
                module.network,
                *_loss(module),
                factor,
                normalize,
                bias=self.bias,
                generator=self.generator(),
                extent=self.extent,
                points=self.plane_points,
            )
            for name, normalize in (("raw", "none"), ("filter", "filter"))
        }

    def _trajectory_surface(self, module: Member) -> "tuple[Surface, np.ndarray, tuple[str, str]] | None":
        """Return the plane through the trained network, the trajectory in it, and the axes' labels.

        The directions are those of the usual, centred components, so that their shares of the variance can be
        compared with a random walk's.
        """
        vectors = torch.stack(self._trajectory).cpu().double()
        if len(vectors) < FEWEST_POINTS or vectors.shape[1] < 2 or bool((vectors == vectors[0]).all()):
            log.warning("callback landscape: no plane: the trajectory has no two principal components")
            return None
        components = trajectory_components(vectors)
        coordinates = (vectors - vectors[-1]) @ components.directions.T
        extent = MARGIN * self.extent * float(coordinates.abs().max())
        directions = components.directions.to(parameter_vector(module.network))
        surface = self._surface(module, module.network, directions, extent)
        shares = components.explained_variance
        null = random_walk_explained_variance(2, steps=len(vectors))
        for name, values in (("explained_variance", shares), ("random_walk_variance", null)):
            module.record({f"landscape/{name}_{k + 1}": float(value) for k, value in enumerate(values)})
            module.recorder.record_array(f"landscape/{name}", values.numpy())
        module.recorder.record_array("landscape/trajectory", coordinates.numpy())
        first, second = (
            f"component {k + 1}: {100 * shares[k]:.0f} % of the variance\n(random walk {100 * null[k]:.0f} %)"
            for k in range(2)
        )
        return surface, coordinates.numpy(), (first, second)


def _loss(module: Member) -> tuple[Loss, Tensor, Tensor]:
    return module.loss, module.tensors.x_train, module.tensors.y_train
