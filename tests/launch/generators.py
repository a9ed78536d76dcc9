"""A law that cannot always be drawn."""

import torch


def unlucky(n, generator, **_):
    """Draw linear data; raise for the job of seed 2."""
    from dlexp.seeding import make_generator

    if torch.equal(generator.get_state(), make_generator("data/train", 2).get_state()):
        raise RuntimeError("two is unlucky")
    x = torch.randn(n, 20, dtype=torch.float64, generator=generator)
    return x, x[:, :1]
