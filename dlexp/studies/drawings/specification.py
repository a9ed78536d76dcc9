"""The figures of a study as its file describes them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Line:
    """A quantity of the runs that meet `where`: a `metric`, or the array `y` against the array `x`."""

    label: str = ""
    where: Mapping[str, Any] = field(default_factory=dict)
    metric: str | None = None
    x: str | None = None
    y: str | None = None
    row: int | Sequence[int] = -1
    control: bool = False
    reference: bool = False

    @property
    def legend(self) -> str:
        """The label, which says of a control that it is one."""
        return f"{self.label} (control)" if self.control and "control" not in self.label else self.label


@dataclass(frozen=True)
class Law:
    """A power law ``y = c x^slope`` through the mean of a line, given by its number or its label."""

    slope: float
    label: str = ""
    line: int | str = 0


@dataclass(frozen=True)
class Mark:
    """A threshold across a panel: `at` a number, or where two quantities are equal."""

    label: str = ""
    at: float | None = None
    where_equal: Sequence[str] = ()


@dataclass(frozen=True)
class Panel:
    """One panel; which of the keys it can have depends on the figure's kind."""

    title: str = ""
    x_label: str = ""
    y_label: str = ""
    scale: str | None = None
    x_scale: str | None = None
    share_y: bool = True
    along: str | None = None
    lines: Sequence[Line] = ()
    groups: Sequence[Line] = ()
    laws: Sequence[Law] = ()
    horizontal: Sequence[Mark] = ()
    vertical: Sequence[Mark] = ()
    x: Mapping[str, Any] = field(default_factory=dict)
    y: Mapping[str, Any] = field(default_factory=dict)
    diagonal: bool = False
    where: Mapping[str, Any] = field(default_factory=dict)
    values: str = "landscape/plane_losses"
    coordinates: str | None = "landscape/plane_coordinates"
    trajectory: str | None = None


@dataclass(frozen=True)
class Drawing:
    """A figure: its file name, title and caption, and its panels."""

    name: str
    title: str
    caption: str
    kind: str
    panels: Sequence[Panel]
    three_d: bool = False
    value_label: str = "training loss"
    scale: str | None = None
