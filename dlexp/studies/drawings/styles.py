"""Which colour, marker and dashes a line has: the same label looks the same in all panels of a figure."""

from collections.abc import Sequence
from typing import Any

from dlexp.studies.drawings.specification import Line
from dlexp.studies.style import COLOURS, DASHES, MARKERS

_GREYS = ("#6E6E6E", "#A0A0A0", "#8A8A8A")
BLACK = "#000000"

Style = dict[str, Any]


def styles(panels: Sequence[Sequence[Line]], *, with_laws: bool = False) -> list[dict[str, Style]]:
    """Return for each panel the keywords of ``plot`` by legend entry.

    Controls are grey and dashed, with hollow markers; references (closed forms) thin, black, without markers.
    Where the panels together have more lines than there are colours, each begins anew. Where laws or
    references are black, no other line is, as far as the other colours last.
    """
    every = {line.legend: line for lines in panels for line in lines}
    measured = [line for line in every.values() if not (line.control or line.reference)]
    if len(measured) > len(COLOURS):
        return [_styles(list(lines), with_laws) for lines in panels]
    return [_styles(list(every.values()), with_laws)] * len(panels)


def _styles(lines: Sequence[Line], with_laws: bool) -> dict[str, Style]:
    controls = [line for line in lines if line.control]
    references = [line for line in lines if line.reference and not line.control]
    measured = [line for line in lines if not (line.control or line.reference)]
    looks = list(zip(COLOURS, MARKERS, DASHES, strict=True))
    if (references or with_laws) and len(measured) < len(looks):
        looks = [look for look in looks if look[0] != BLACK]
    found: dict[str, Style] = {}
    for line, (colour, marker, dash) in zip(measured, looks, strict=False):
        found[line.legend] = {"color": colour, "marker": marker, "linestyle": dash}
    for i, line in enumerate(references):
        found[line.legend] = {"color": BLACK, "linestyle": DASHES[i % len(DASHES)], "linewidth": 1.1}
    for i, line in enumerate(controls):
        found[line.legend] = {
            "color": _GREYS[i % len(_GREYS)],
            "marker": MARKERS[-1 - i % len(MARKERS)],
            "markerfacecolor": "white",
            "linestyle": DASHES[1 + i % (len(DASHES) - 1)],
        }
    return found
