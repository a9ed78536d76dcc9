"""The figures that a study file asks for, drawn from its runs' folders."""

from dlexp.studies.drawings.parsing import DrawingError, parse_figures
from dlexp.studies.drawings.specification import Drawing
from dlexp.studies.drawings.writing import write_drawings

__all__ = ["Drawing", "DrawingError", "parse_figures", "write_drawings"]
