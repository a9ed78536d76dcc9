"""Independent random streams, each derived from a seed and the purpose it serves."""

import hashlib

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
