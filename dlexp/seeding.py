"""Random streams: independent ones, derived from a seed and a purpose; the global ones, kept apart."""

import contextlib
import hashlib
import random
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch


def derive_seed(purpose: str, seed: int) -> int:
    """Map ``(purpose, seed)`` to a 63-bit seed: distinct purposes give independent streams.

    A hash rather than ``seed + offset``: with offsets, the data of seed 1 would share its stream with the
    initialisation of seed 0.
    """
    digest = hashlib.sha256(f"{purpose}:{seed}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def make_generator(purpose: str, seed: int) -> torch.Generator:
    """Return a CPU generator for one purpose (``"model"``, ``"data/train"``, ...) of one seed.

    Always on the CPU, so that the same seed gives the same numbers whatever device trains.
    """
    return torch.Generator().manual_seed(derive_seed(purpose, seed))


class GlobalRandomState:
    """The global random state (torch, NumPy, Python) that one job's foreign code sees.

    dlexp draws from generators of its own. A user's network or callback may draw from the global ones; inside
    :meth:`active` these go on from where the same job left them, at first from the job's seed, and
    afterwards they are as they were before. So neither other jobs nor the order of jobs change a number.

    >>> state = GlobalRandomState(0)
    >>> with state.active():
    ...     first = torch.rand(1)
    >>> with GlobalRandomState(0).active():
    ...     bool(torch.rand(1) == first)
    True
    """

    def __init__(self, seed: int) -> None:
        self._seed = derive_seed("global", seed)
        self._own: tuple[Any, ...] | None = None

    @contextlib.contextmanager
    def active(self) -> Iterator[None]:
        """Put the job's state in the place of the process's, for as long as the context lasts."""
        outside, fresh = _get_states(), None
        if self._own is None:
            random.seed(self._seed)
            np.random.seed(self._seed % 2**32)  # noqa: NPY002
            # torch.manual_seed would keep a stack trace for each kind of device that is not in use.
            torch.default_generator.manual_seed(self._seed)
            if torch.cuda.is_available():
                torch.cuda.manual_seed_all(self._seed)
            fresh = _get_states()
        else:
            _set_states(self._own)
        try:
            yield
        finally:
            own = _get_states()
            # Nothing was drawn: the seed says it all, and a thousand jobs hold a thousand states less.
            self._own = None if fresh is not None and _are_equal(own, fresh) else own
            _set_states(outside)


def _get_states() -> tuple[Any, ...]:
    devices = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else None
    return random.getstate(), np.random.get_state(), torch.get_rng_state(), devices  # noqa: NPY002


def _are_equal(one: tuple[Any, ...], other: tuple[Any, ...]) -> bool:
    if one[3] is not None or other[3] is not None:  # of devices: not worth a comparison
        return False
    keys, others = one[1][1], other[1][1]
    is_same = one[0] == other[0] and one[1][2:] == other[1][2:] and torch.equal(one[2], other[2])
    return is_same and bool(np.array_equal(keys, others))


def _set_states(states: tuple[Any, ...]) -> None:
    python, numpy, cpu, devices = states
    random.setstate(python)
    np.random.set_state(numpy)  # noqa: NPY002
    torch.set_rng_state(cpu)
    if devices is not None:
        torch.cuda.set_rng_state_all(devices)
