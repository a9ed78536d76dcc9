"""Synthetic runs with what they keep in files, and the figures drawn of them."""

import csv
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy
import pytest
from dlexp.studies.runs import Run

from dlexp.studies.drawings import parse_figures
from dlexp.studies.drawings.data import StudyRuns
from dlexp.studies.drawings.writing import draw
from dlexp.studies.style import look


@pytest.fixture
def make_run(tmp_path: Path) -> Callable[..., Run]:
    count = iter(range(10**6))

    def make(
        config: Mapping[str, Any],
        metrics: Mapping[str, float] | None = None,
        *,
        seed: int | None = 0,
        status: str = "done",
        arrays: Mapping[str, Any] | None = None,
        history: Mapping[str, Mapping[int, float]] | None = None,
    ) -> Run:
        folder = tmp_path / f"run-{next(count)}"
        folder.mkdir()
        if arrays is not None:
            numpy.savez(folder / "arrays.npz", **{name: numpy.asarray(v) for name, v in arrays.items()})
        if history is not None:
            with (folder / "metrics.csv").open("w", newline="") as file:
                writer = csv.writer(file)
                writer.writerow(("step", "epoch", "name", "value"))
                writer.writerows((s, 0, name, v) for name, path in history.items() for s, v in path.items())
        settings = {"seed": seed, **config}
        return Run(folder=folder, status=status, seed=seed, config=settings, metrics=metrics or {})

    return make


@pytest.fixture
def figure_of() -> Iterator[Callable[..., Any]]:
    """Draw one figure, described by its keys beside those that every figure has."""

    def make(runs: Sequence[Run], **keys: Any) -> Any:
        (drawing,) = parse_figures([{"name": "figure", "title": "Title", "caption": "Caption.", **keys}])
        return draw(drawing, StudyRuns(runs))

    with look():
        yield make


def text_of(figure: Any) -> str:
    """Return all that is written in a figure, its legends left out."""
    texts = [text.get_text() for text in figure.texts]
    for axes in figure.axes:
        texts += [axes.get_xlabel(), axes.get_ylabel(), axes.get_title(), *(t.get_text() for t in axes.texts)]
    return "\n".join(texts).replace("\u00a0", " ")


@pytest.fixture
def text() -> Callable[[Any], str]:
    return text_of


@pytest.fixture
def line_of() -> Callable[[Any, str], Any]:
    def find(axes: Any, label: str) -> Any:
        (found,) = [line for line in axes.lines if line.get_label() == label]
        return found

    return find
