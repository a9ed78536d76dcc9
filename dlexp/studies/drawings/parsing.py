"""From a study file's plain mappings to figures: every mistake found, in words."""

import dataclasses
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from dlexp.studies.drawings import grammar
from dlexp.studies.drawings.grammar import Key, Keys
from dlexp.studies.drawings.specification import Drawing, Law, Line, Mark, Panel
from dlexp.studies.style import COLOURS

MOST_PANELS, MOST_SURFACES = 4, 2
_NAME = re.compile(r"[a-z0-9]+(_[a-z0-9]+)*")


class DrawingError(ValueError):
    """A description of figures that cannot be drawn; one sentence a line."""


_SCALE = grammar.one_of("log", "linear")
_WHERE: Keys = {"where": grammar.where()}
_CONDITIONED: Keys = {
    "label": grammar.text(),
    **_WHERE,
    "control": grammar.flag(),
}
_METRIC_LINE: Keys = {
    "metric": grammar.name("a metric"),
    **_CONDITIONED,
    "reference": grammar.flag(),
}
_ROW = Key(
    "a row's number or a list of numbers",
    lambda value: all(
        isinstance(i, int) and not isinstance(i, bool)
        for i in (value if isinstance(value, list | tuple) else [value])
    ),
)
_PATH_LINE: Keys = {
    **_METRIC_LINE,
    "x": grammar.name("an array"),
    "y": grammar.name("an array"),
    "row": _ROW,
}
_PAIR = Key(
    "a list of two names of metrics or settings",
    lambda value: (
        isinstance(value, list | tuple) and len(value) == 2 and all(isinstance(name, str) for name in value)
    ),
)
_TITLE: Keys = {"title": grammar.text()}
_X_AXIS: Keys = {"x_label": grammar.text(), "x_scale": _SCALE}
_Y_AXIS: Keys = {"y_label": grammar.text(), "scale": _SCALE, "share_y": grammar.flag()}
_HORIZONTAL: Keys = {
    "horizontal": grammar.listing({"at": grammar.number(required=True), "label": grammar.text()})
}
_MARKS: Keys = {
    "laws": grammar.listing(
        {
            "slope": grammar.number(required=True),
            "label": grammar.text(),
            "line": Key("a line's number or label", lambda value: isinstance(value, int | str)),
        }
    ),
    **_HORIZONTAL,
    "vertical": grammar.listing({"at": grammar.number(), "where_equal": _PAIR, "label": grammar.text()}),
}
_QUANTITY = grammar.mapping(
    {"metric": grammar.name("a metric"), "array": grammar.name("an array"), "row": _ROW}, required=True
)
_SURFACE: Keys = {
    **_WHERE,
    "values": grammar.name("an array"),
    "coordinates": grammar.name("an array", nullable=True),
    "trajectory": grammar.name("an array", nullable=True),
    **_X_AXIS,
    "y_label": grammar.text(),
}
# By kind: the keys of a panel, those that the figure may give for all its panels, and its own.
_PANELS: Mapping[str, Keys] = {
    "curves": {
        "along": grammar.name("a setting or a metric"),
        **_WHERE,
        **_X_AXIS,
        **_Y_AXIS,
        "lines": grammar.listing(_METRIC_LINE, required=True),
        **_MARKS,
    },
    "paths": {**_WHERE, **_X_AXIS, **_Y_AXIS, "lines": grammar.listing(_PATH_LINE, required=True), **_MARKS},
    "scatter": {
        "x": _QUANTITY,
        "y": _QUANTITY,
        **_WHERE,
        "groups": grammar.listing(_CONDITIONED),
        "diagonal": grammar.flag(),
        **_X_AXIS,
        **_Y_AXIS,
        **_MARKS,
    },
    "bars": {
        "lines": grammar.listing(_METRIC_LINE, required=True),
        "groups": grammar.listing({"metric": grammar.name("a metric"), **_CONDITIONED}),
        **_WHERE,
        "x_label": grammar.text(),
        **_Y_AXIS,
        **_HORIZONTAL,
    },
    "surfaces": _SURFACE,
}
_OWN: Mapping[str, Keys] = {
    "surfaces": {"three_d": grammar.flag(), "value_label": grammar.text(), "scale": _SCALE}
}
_HEAD: Keys = {
    "name": Key(
        "a file name in snake_case",
        lambda value: isinstance(value, str) and bool(_NAME.fullmatch(value)),
        required=True,
    ),
    "kind": grammar.one_of(*_PANELS, required=True),
    "title": grammar.text(required=True),
    "caption": grammar.text(required=True),
}


def parse_figures(plain: Sequence[Mapping[str, Any]]) -> tuple[Drawing, ...]:
    """Return the figures that a study's list of plain mappings describes.

    A key of a panel that is given for the figure holds for all panels that do not give it themselves; a
    figure without ``panels`` is one panel.

    Raises:
        DrawingError: for anything that could not be drawn, a sentence a line.
    """
    if not isinstance(plain, list | tuple) or not all(isinstance(entry, Mapping) for entry in plain):
        raise DrawingError("figures is not a list of mappings.")
    found = [sentence for i, entry in enumerate(plain) for sentence in _problems(i, entry)]
    names = [entry.get("name") for entry in plain]
    twice = dict.fromkeys(name for name in names if isinstance(name, str) and names.count(name) > 1)
    found += [f"Figure {name}: the name is given to {names.count(name)} figures." for name in twice]
    if found:
        raise DrawingError("\n".join(found))
    return tuple(map(_drawing, plain))


def _problems(index: int, entry: Mapping[str, Any]) -> Iterator[str]:
    name, kind = entry.get("name"), entry.get("kind")
    place = f"Figure {name}" if isinstance(name, str) and name else f"Figure number {index + 1}"
    if not isinstance(kind, str) or kind not in _PANELS:
        yield from grammar.problems({key: entry[key] for key in _HEAD if key in entry}, _HEAD, place)
        return
    # What a panel requires may stand beside `panels`, so it is looked for when they are put together.
    optional = {key: dataclasses.replace(value, required=False) for key, value in _PANELS[kind].items()}
    known = {**_HEAD, **_OWN.get(kind, {}), **optional, "panels": grammar.listing({**_TITLE, **optional})}
    found = list(grammar.problems(entry, known, place))
    panels = [] if found else _panels(entry)
    if len(panels) > MOST_PANELS:
        found.append(f"{place}: {len(panels)} panels are too many to be read; the most are {MOST_PANELS}.")
    if len(panels) > MOST_SURFACES and entry.get("three_d"):
        found.append(f"{place}: three_d is for at most {MOST_SURFACES} panels; there are {len(panels)}.")
    for i, panel in enumerate(panels):
        path = f"panels[{i}]." if "panels" in entry else ""
        lacking = {key: value for key, value in _PANELS[kind].items() if key not in panel}
        missing = list(grammar.problems({}, lacking, place, path))
        found += missing or [f"{place}: {path}{sentence}" for sentence in _mistakes(kind, panel)]
    yield from found


def _panels(entry: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return each panel's keys, together with those that the figure gives for all."""
    shared = {key: value for key, value in entry.items() if key in _PANELS[entry["kind"]]}
    return [{**shared, **panel} for panel in entry.get("panels", ({},))]


def _mistakes(kind: str, panel: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is wrong with a panel whose keys are right, each after the path to the panel."""
    lines, groups = panel.get("lines", ()), panel.get("groups", ())
    for key, entries in (("lines", lines), ("groups", groups)):
        labels = [entry.get("label", "") for entry in entries]
        coloured = [entry for entry in entries if not (entry.get("control") or entry.get("reference"))]
        if len(set(labels)) < len(labels):
            yield f"{key} need labels, each its own."
        if len(coloured) > len(COLOURS) and not (kind == "bars" and key == "lines"):
            yield f"{key}: no more than {len(COLOURS)} can be told apart, controls and references left out."
    if kind == "curves" and not panel.get("along"):
        yield "along is missing; it is the setting or metric on the x axis."
    for i, line in enumerate(lines):
        if kind == "paths" and ("metric" in line) == ("y" in line):
            yield f"lines[{i}] has to have either metric or y (an array)."
        elif kind == "paths" and "metric" in line and ("x" in line or "row" in line):
            yield f"lines[{i}] has x or row, which go with y; a metric is drawn against the steps."
        elif kind == "curves" and "metric" not in line:
            yield f"lines[{i}].metric is missing; it is the name of a metric."
        elif kind == "bars" and any(("metric" in group) == ("metric" in line) for group in groups or [{}]):
            yield f"lines[{i}]: a metric has to be given by either the line or every group."
    for key in ("x", "y"):
        if kind == "scatter" and ("metric" in panel[key]) == ("array" in panel[key]):
            yield f"{key} has to have either metric or array."
    if kind == "scatter" and ("array" in panel["x"]) != ("array" in panel["y"]):
        yield "x and y are to be both metrics or both arrays."
    for i, mark in enumerate(panel.get("vertical", ())):
        if ("at" in mark) == ("where_equal" in mark):
            yield f"vertical[{i}] has to have either at or where_equal."
        elif "where_equal" in mark and kind != "curves":
            yield f"vertical[{i}].where_equal is for curves along a setting."
    named = [*range(len(lines or groups or (None,))), *(line.get("label") for line in lines or groups)]
    for i, law in enumerate(panel.get("laws", ())):
        if law.get("line", 0) not in named:
            yield f"laws[{i}].line is {law['line']!r}; it is a line's number, from 0, or its label."


def _drawing(entry: Mapping[str, Any]) -> Drawing:
    own = {key: entry[key] for key in _OWN.get(entry["kind"], ()) if key in entry}
    head = {key: entry[key] for key in _HEAD}
    # What points compare is within a panel: one of other data would be flattened by the first one's range.
    shared = {"share_y": entry["kind"] != "scatter"}
    return Drawing(**head, **own, panels=tuple(_panel({**shared, **panel}) for panel in _panels(entry)))


def _panel(keys: Mapping[str, Any]) -> Panel:
    condition = keys.get("where", {})
    lines = {
        key: tuple(Line(**{**entry, "where": {**condition, **entry.get("where", {})}}) for entry in keys[key])
        for key in ("lines", "groups")
        if key in keys
    }
    marks = {
        key: tuple(make(**entry) for entry in keys[key])
        for key, make in (("laws", Law), ("horizontal", Mark), ("vertical", Mark))
        if key in keys
    }
    return Panel(**{**keys, **lines, **marks})
