"""Importing torch and Lightning: what takes longest of a short command."""

import gc
import importlib
import sys


def import_frameworks() -> None:
    """Import torch and Lightning, without looking for garbage meanwhile or in what they leave.

    Their hundred thousands of objects stay as long as the process. The collector would go through them again
    and again while they are made, which is a fifth of the time, and at each full collection afterwards. A
    second call does nothing: by then there are objects that do not stay.
    """
    if "pytorch_lightning" in sys.modules:
        return
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        importlib.import_module("pytorch_lightning")
    finally:
        gc.freeze()
        if was_enabled:
            gc.enable()
