"""Being a guest in somebody's program or notebook: all that is global is afterwards what it was."""

import contextlib
import logging
import os
import random
import sys
import threading
import warnings
from collections.abc import Iterator

from hydra.core.singleton import Singleton

_TURN = threading.RLock()


@contextlib.contextmanager
def unchanged() -> Iterator[None]:
    """Give the process back its globals afterwards.

    These are the working directory, warning filters, all loggers, Hydra's singletons, Python's random state
    (a library may draw as it is imported) and, if torch is loaded, its default type and device, its random
    state and whether it differentiates; meanwhile torch is as in a fresh process: no number depends on the
    host. What dlexp logs at INFO, for its own files, does not reach the host's handlers unless its root
    logger passes on INFO. Other threads wait for their turn.
    """
    with _TURN, _restored():
        yield


@contextlib.contextmanager
def _restored() -> Iterator[None]:
    hydra, place, drawn = Singleton.get_state(), os.getcwd(), random.getstate()
    root = logging.getLogger()
    loggers = [root, *map(logging.getLogger, logging.root.manager.loggerDict)]
    states = [(x.level, x.disabled, x.propagate, x.handlers[:], x.filters[:]) for x in loggers]
    levels = [(handler, handler.level) for handler in root.handlers]
    for handler, level in levels:
        handler.setLevel(max(level, root.level))
    try:
        with warnings.catch_warnings(), _fresh_torch():
            yield
    finally:
        Singleton.set_state(hydra)
        os.chdir(place)
        random.setstate(drawn)
        logging.captureWarnings(False)
        for logger, (level, disabled, propagate, handlers, filters) in zip(loggers, states, strict=True):
            logger.setLevel(level)
            logger.disabled, logger.propagate = disabled, propagate
            logger.handlers[:], logger.filters[:] = handlers, filters
        for handler, level in levels:
            handler.setLevel(level)


@contextlib.contextmanager
def _fresh_torch() -> Iterator[None]:
    torch = sys.modules.get("torch")
    if torch is None:
        yield
        return
    dtype, device, draws = torch.get_default_dtype(), torch.get_default_device(), torch.get_rng_state()
    torch.set_default_dtype(torch.float32)
    if device.type != "cpu":
        torch.set_default_device("cpu")
    try:
        with torch.inference_mode(False), torch.enable_grad():
            yield
    finally:
        torch.set_default_dtype(dtype)
        if device.type != "cpu":
            torch.set_default_device(device)
        torch.set_rng_state(draws)
