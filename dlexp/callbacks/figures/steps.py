"""The axis of optimizer steps, which all figures over time share."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_FEW = 0.1


def set_step_axis(axes: "Axes", steps: Sequence[int]) -> None:
    """Label the horizontal axis; make it logarithmic (with 0) where most steps crowd at its beginning."""
    axes.set_xlabel("optimizer step")
    later = sorted(step for step in steps if step > 0)
    if later and later[len(later) // 2] <= _FEW * later[-1]:
        axes.set_xscale("symlog", linthresh=later[0])
        axes.set_xlim(0, later[-1] * 1.15)
