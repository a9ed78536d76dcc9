"""A toolkit of figures over matplotlib: functions that draw into axes and return them.

Each takes plain arrays, or what a table gives; all else is matplotlib, imported when something is drawn.

>>> from matplotlib.figure import Figure
>>> from dlexp.plots import band, law, log
>>> axes = log(Figure().subplots())
>>> points = [(10, 0.20, 0.15, 0.25, [0.17, 0.23]), (100, 0.021, 0.019, 0.023, [0.020, 0.022])]
>>> axes = law(band(axes, points, "measured"), -1, points)
>>> [line.get_label() for line in axes.lines if not line.get_label().startswith("_")]
['measured']
"""

from dlexp.plots.axes import fit, legend, log, ticks_at
from dlexp.plots.lines import band, bars, paths, scatter
from dlexp.plots.marks import beside, closed_form, crossing, diagonal, law, threshold
from dlexp.plots.planes import Levels, colour_bar, matrix, surface, trajectory
from dlexp.plots.style import look, ramp, save

__all__ = [
    "Levels",
    "band",
    "bars",
    "beside",
    "closed_form",
    "colour_bar",
    "crossing",
    "diagonal",
    "fit",
    "law",
    "legend",
    "log",
    "look",
    "matrix",
    "paths",
    "ramp",
    "save",
    "scatter",
    "surface",
    "threshold",
    "ticks_at",
    "trajectory",
]
