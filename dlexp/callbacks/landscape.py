"""What the training loss looks like around a network: on random lines and on a plane."""

import logging
import math
from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn

from dlexp.callbacks.base import MeasureCallback, training_loss
from dlexp.config.callbacks import LandscapeSettings
from dlexp.measures.functional import parameter_vector
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
from dlexp.plots.runs.landscape import Surface, draw_contours, draw_lines, draw_surfaces
from dlexp.train.member import Member

log = logging.getLogger(__name__)

NEGATIVE = "landscape/negative_second_differences"
RANDOM_AXES = ("first random direction", "second random direction")
FEWEST_POINTS = 3  # to have two principal components
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

    Arrays: ``landscape/line_coordinates`` (n,), ``landscape/line_losses`` (T, lines, n), T as
    ``landscape/centre_loss`` was recorded; ``landscape/plane_coordinates`` (m,), ``landscape/plane_losses``
    (m, m), first direction first, and ``landscape/plane_losses_initial``; for a trajectory
    ``landscape/trajectory`` (T, 2), relative to the trained network.
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

    Raises ``ValueError`` at the start of training for units that cannot be balanced or rescaled.
    """

    name = "landscape"
    settings_model = LandscapeSettings
    settings: LandscapeSettings

    def begin(self, member: Member) -> None:
        """See whether the units can be balanced, and the layers rescaled."""
        self._line_losses: list[Tensor] = []
        self._trajectory: list[Tensor] = []
        self._surfaces: dict[int, Surface] = {}
        self._subject(member)
        if self.settings.rescaling is not None:
            rescale_first_layer(member.network, self.settings.rescaling)

    def try_on(self, trial: Member) -> None:
        """Begin, and evaluate the loss on the shortest of lines."""
        super().try_on(trial)
        loss_line(*training_loss(trial), self._directions(trial.network)[0], extent=1.0, points=3)

    def measure(self, member: Member) -> Mapping[str, float]:
        """Return what the lines tell; keep them, and the weights."""
        network, chosen = self._subject(member), self.settings
        directions = self._directions(network)
        lines = [
            loss_line(network, *training_loss(member)[1:], d, extent=chosen.extent, points=chosen.line_points)
            for d in directions[: chosen.lines]
        ]
        losses = torch.stack([line.losses for line in lines]).cpu()
        self._line_losses.append(losses)
        if chosen.directions == "trajectory":
            self._trajectory.append(parameter_vector(network).cpu())
        elif member.step == 0 and chosen.at_start:
            self._surfaces[0] = self._surface(member, network, directions[:2], chosen.extent)
        shares = [
            negative_second_difference_share(line) if bool(line.isfinite().all()) else math.nan
            for line in losses
        ]
        share = float(np.mean(shares))
        metrics = {"landscape/centre_loss": float(losses[0, chosen.line_points // 2]), NEGATIVE: share}
        return metrics | ({f"{NEGATIVE}_initial": share} if member.step == 0 else {})

    def finish(self, member: Member) -> None:
        """Evaluate the last plane, keep all losses and draw them."""
        if not self._line_losses:
            return
        step, record, chosen = member.step, member.recorder.record_array, self.settings
        trajectory, axes = None, RANDOM_AXES
        if chosen.directions == "trajectory":
            trajectory, axes = self._draw_trajectory(member)
        elif chosen.at_end and step not in self._surfaces:
            network = self._subject(member)
            directions = self._directions(network)[:2]
            self._surfaces[step] = self._surface(member, network, directions, chosen.extent)
        if step in self._surfaces:
            member.record({"landscape/plane_minimum": float(self._surfaces[step].losses.min())})
        if chosen.rescaling is not None and chosen.at_end:
            member.record(self._rescaling_changes(member, chosen.rescaling))
        steps, _ = member.recorder.series("landscape/centre_loss")
        coordinates = centred_grid(chosen.line_points, chosen.extent).numpy()
        line_losses = torch.stack(self._line_losses).numpy()
        record("landscape/line_coordinates", coordinates)
        record("landscape/line_losses", line_losses)
        for at, surface in self._surfaces.items():
            is_initial = at == 0 and (len(self._surfaces) > 1 or not chosen.at_end)
            record("landscape/plane_losses" + ("_initial" if is_initial else ""), surface.losses)
            record("landscape/plane_coordinates", surface.coordinates)
        self.draw(member, "landscape/line", draw_lines, steps, coordinates, line_losses)
        if self._surfaces:
            self.draw(member, "landscape/contours", draw_contours, self._surfaces, axes, trajectory)
            self.draw(member, "landscape/surface", draw_surfaces, self._surfaces, axes)

    def _subject(self, member: Member) -> nn.Module:
        return balance_relu_units(member.network) if self.settings.balance else member.network

    def _directions(self, network: nn.Module) -> Tensor:
        """Return at least two directions (k, P), the same draws each time."""
        generator, how = self.generator(), self.settings
        return torch.stack(
            [
                random_direction(network, how.normalize, bias=how.bias, generator=generator)
                for _ in range(max(2, how.lines))
            ]
        )

    def _surface(self, member: Member, network: nn.Module, directions: Tensor, extent: float) -> Surface:
        points = self.settings.plane_points
        plane = loss_plane(network, *training_loss(member)[1:], directions, extent=extent, points=points)
        return Surface(plane.first.cpu().double().numpy(), plane.losses.cpu().double().numpy())

    def _rescaling_changes(self, member: Member, factor: float) -> dict[str, float]:
        how = self.settings
        return {
            f"landscape/rescaling_change_{name}": rescaling_change(
                *training_loss(member),
                factor,
                normalize,
                bias=how.bias,
                generator=self.generator(),
                extent=how.extent,
                points=how.plane_points,
            )
            for name, normalize in (("raw", "none"), ("filter", "filter"))
        }

    def _draw_trajectory(self, member: Member) -> "tuple[np.ndarray | None, tuple[str, str]]":
        """Keep the plane that the trajectory lies in; return the trajectory in it and the axes' names.

        The plane is that of the usual, centred components, so that their shares of the variance can be
        compared with those of a random walk of as many points.
        """
        vectors = torch.stack(self._trajectory).double()
        walk = random_walk_explained_variance(2, steps=max(len(vectors), FEWEST_POINTS))
        has_plane = len(vectors) >= FEWEST_POINTS and bool((vectors != vectors[0]).any())
        found = trajectory_components(vectors) if has_plane and vectors.shape[1] >= 2 else None
        shares = torch.full((2,), math.nan) if found is None else found.explained_variance
        both = {"explained_variance": shares, "random_walk_variance": walk}
        member.record({f"landscape/{name}_{k + 1}": float(both[name][k]) for name in both for k in range(2)})
        first, second = (
            f"component {k + 1}: {100 * shares[k]:.0f} % of the variance\n(random walk {100 * walk[k]:.0f} %)"
            for k in range(2)
        )
        if found is None:
            log.warning("callback landscape: no plane: the trajectory has no two principal components")
            return None, (first, second)
        coordinates = ((vectors - vectors[-1]) @ found.directions.T).numpy()
        extent = MARGIN * self.settings.extent * float(np.abs(coordinates).max())
        directions = found.directions.to(parameter_vector(member.network))
        self._surfaces[member.step] = self._surface(member, member.network, directions, extent)
        member.recorder.record_array("landscape/trajectory", coordinates)
        return coordinates, (first, second)
