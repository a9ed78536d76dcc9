"""The runs of a sweep as labelled arrays: dimensions are what was swept, coordinates its values."""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy

from dlexp.records.run import Run
from dlexp.results.seeds import crossed
from dlexp.results.table import Table, TableError

if TYPE_CHECKING:
    import numpy.typing
    import xarray

    Array = numpy.typing.NDArray[Any]

SPARSEST = 4
"""Runs that fill less than one in so many places of their grid are listed along one dimension instead."""


class Grid:
    """Where each run that is done stands: along its swept settings and its seeds.

    Where these do not tell the runs apart, or the grid of all their values would be mostly empty (a study's
    arms, say), the one dimension is ``run`` and each setting a coordinate along it.

    Attributes:
        dims: names of dimensions; shape: their lengths; coords: as ``xarray.DataArray`` takes them.
        places: of each run, its index.
    """

    def __init__(self, table: Table) -> None:
        runs = table.done.rows
        keys = [*table.done.summary.swept, *crossed([runs])]
        found = {key: [_plain(run.settings.get(key)) for run in runs] for key in keys}
        levels = {key: _sorted(set(values)) for key, values in found.items()}
        size = math.prod(map(len, levels.values()))
        index = list(zip(*([levels[key].index(v) for v in found[key]] for key in keys), strict=True))
        self.dims: tuple[str, ...]
        self.coords: dict[str, Any]
        if len(set(index)) == len(runs) and size <= SPARSEST * len(runs):
            self.dims, self.shape = tuple(keys), tuple(len(levels[key]) for key in keys)
            self.coords = {key: _coordinate(levels[key]) for key in keys}
        else:
            index = [(i,) for i in range(len(runs))]
            self.dims, self.shape = ("run",), (len(runs),)
            self.coords = {"run": [run.run_id for run in runs]}
            self.coords |= {key: ("run", _coordinate(values)) for key, values in found.items()}
        self.places = dict(zip(map(id, runs), index, strict=True))
        self.runs = runs

    def fill(self, values: Mapping[int, "Array"]) -> "tuple[Array, list[int]]":
        """Return runs' arrays, by ``id``, as one with the grid's dimensions first, and which axes are ragged.

        Arrays of several shapes are padded at their ends with NaN, runs that have none are NaN.
        """
        arrays = list(values.values())
        shapes = {array.shape for array in arrays}
        if len({len(shape) for shape in shapes}) > 1:
            raise TableError("arrays of several numbers of dimensions are no one array")
        longest = tuple(max(sizes) for sizes in zip(*shapes, strict=True))
        ragged = [axis for axis in range(len(longest)) if len({shape[axis] for shape in shapes}) > 1]
        is_whole = not ragged and len(values) == math.prod(self.shape)
        dtype = numpy.result_type(*arrays) if is_whole else numpy.result_type(*arrays, numpy.float32)
        filled = numpy.full((*self.shape, *longest), 0 if is_whole else numpy.nan, dtype)
        for key, array in values.items():
            filled[(*self.places[key], *(slice(size) for size in array.shape))] = array
        return filled, ragged


def labelled_curves(table: Table) -> "xarray.Dataset":
    """Return every metric over the settings, the seeds and ``step``, of the runs that are done.

    A metric that was not recorded at a step is NaN there.

    Raises:
        TableError: no run is done.
    """
    import xarray

    grid = _grid(table)
    curves: dict[str, dict[int, dict[int, float]]] = defaultdict(dict)
    for run in grid.runs:
        for step, _, name, value in run.rows():
            curves[name].setdefault(id(run), {})[step] = value
    steps = sorted({step for runs in curves.values() for curve in runs.values() for step in curve})
    variables = {}
    for name, by_run in curves.items():
        values = {k: numpy.array([curve.get(s, math.nan) for s in steps]) for k, curve in by_run.items()}
        variables[name] = ((*grid.dims, "step"), grid.fill(values)[0])
    coords = {**grid.coords, "step": ("step", steps, {"units": "optimizer steps"})}
    return xarray.Dataset(variables, coords, provenance(table.done.rows))


def labelled_array(table: Table, name: str) -> "xarray.DataArray":
    """Return a stored array of all runs that are done, over the settings, the seeds and its own axes.

    Its own dimensions are ``i``, ``j``, ``k``, ... Where runs differ in their lengths (a spectrum of as many
    eigenvalues as parameters) the attribute ``ragged`` names these dimensions, and NaN fills them up.

    Raises:
        TableError: no run is done, or none has the array.
    """
    import xarray

    grid = _grid(table)
    stored = {id(run): arrays[name] for run in grid.runs if name in (arrays := run.arrays())}
    if not stored:
        names = sorted({name for run in grid.runs for name in run.arrays()})
        raise TableError(f"No run has the array {name}; there are: {', '.join(names) or 'none'}.")
    values, ragged = grid.fill(stored)
    own = [chr(ord("i") + axis) for axis in range(values.ndim - len(grid.dims))]
    attributes = provenance(table.done.rows)
    if ragged:
        attributes["ragged"] = ", ".join(own[axis] for axis in ragged)
    return xarray.DataArray(values, grid.coords, (*grid.dims, *own), name, attributes)


def provenance(runs: Iterable[Run]) -> dict[str, Any]:
    """Return where runs come from, as attributes: versions, commits, devices, each as one text."""
    texts: dict[str, dict[str, None]] = defaultdict(dict)
    for run in runs:
        for library, version in run.versions.items():
            texts[f"version_{library}"][version] = None
        commit = run.commit and f"{run.commit}{'' if run.clean else ' with changes'}"
        for key, text in (("commit", commit), ("device", run.device)):
            if text:
                texts[key][text] = None
    return {key: ", ".join(values) for key, values in texts.items()}


def _grid(table: Table) -> Grid:
    if not table.done.rows:
        raise TableError("No run is done.")
    return Grid(table)


def _plain(value: Any) -> Any:
    return "null" if value is None else value


def _sorted(values: Iterable[Any]) -> list[Any]:
    """Return values in their order, numbers before texts."""
    return sorted(values, key=lambda v: (isinstance(v, str), str(v) if isinstance(v, str) else v))


def _coordinate(values: Sequence[Any]) -> list[Any]:
    """Return values of one kind: as texts if some of them are."""
    return [str(v) for v in values] if any(isinstance(v, str) for v in values) else list(values)
