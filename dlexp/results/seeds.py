"""Which runs are replicates: jobs that differ in seeds only, and seeds that are crossed.

A job's seeds (``data.seed``, ``model.seed``, ``data.order_seed``) follow its ``seed`` unless set apart. Seeds
that change together are one source of randomness, and its values are independent replicates. A grid
(``data.seed=range(5) model.seed=range(5)``) has two sources: its 25 runs share five data sets and five
initialisations, so that they say as much as 25 independent ones only of what both do together.
"""

from collections.abc import Sequence

from dlexp.records.run import Run


def is_seed(key: str) -> bool:
    """Return whether a key is a seed: runs that differ in nothing but seeds belong to one setting.

    Example:
        >>> [is_seed(key) for key in ("seed", "data.order_seed", "model.width")]
        [True, True, False]
    """
    last = key.rsplit(".", 1)[-1]
    return last == "seed" or last.endswith("_seed")


def crossed(settings: Sequence[Sequence[Run]]) -> tuple[str, ...]:
    """Return a key for each source of randomness over which the runs of settings vary.

    Args:
        settings: the runs of one setting or of several that are compared.

    Returns:
        One key of those that change together for each source, ``seed`` and short ones before others:
        ``("seed",)`` where all follow the job's or nothing varies, ``("data.seed", "model.seed")`` for a grid
        of these.
    """
    keys = dict.fromkeys(key for runs in settings for run in runs for key in run.settings if is_seed(key))
    sources: list[list[str]] = []
    for key in sorted(keys, key=lambda key: (key != "seed", key.count("."), key)):
        columns = [[run.settings.get(key) for run in runs] for runs in settings]
        if all(len(set(column)) < 2 for column in columns):
            continue
        for source in sources:
            if all(_together(runs, source[0], key) for runs in settings):
                source.append(key)
                break
        else:
            sources.append([key])
    return tuple(source[0] for source in sources) or ("seed",)


def _together(runs: Sequence[Run], key: str, other: str) -> bool:
    """Return whether two seeds change together over runs, or one of them does not change."""
    first, second = ([run.settings.get(k) for run in runs] for k in (key, other))
    counts = [len(set(column)) for column in (first, second)]
    pairs = len(set(zip(first, second, strict=True)))
    return min(counts) < 2 or counts[0] == counts[1] == pairs
