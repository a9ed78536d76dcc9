"""A sweep's jobs: composed and checked together, before the first one starts."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dlexp.config.compose import Composer, Composition, composer_of
from dlexp.config.errors import ConfigError, not_allowed
from dlexp.config.identity import FolderNames, identity
from dlexp.config.schema import Config


@dataclass(frozen=True)
class Job:
    """One config, one seed, one folder.

    Attributes:
        index: its number in the sweep.
        config: its settings, typed.
        plain: the same as plain data, as they are stored and hashed.
        overrides: what made them of the YAML files.
        folder: where its results go.
        identity: the hash of everything that affects its results.
        label: the overrides that not all jobs of the sweep share, as ``model.width=5 seed=1``.
    """

    index: int
    config: Config
    plain: dict[str, Any]
    overrides: tuple[str, ...]
    folder: Path
    identity: str
    label: str


def compose(*overrides: str, folder: Path | None = None) -> Job:
    """Return the job that overrides make, as on the command line without ``-m``.

    ``folder`` is that of the YAML files; None: ``conf``. Raises ``ConfigError`` with a sentence for each
    problem.

    >>> compose("model.width=5", "seed=1").config.model.width
    5
    """
    return compose_jobs(composer_of(folder=folder), [overrides])[0]


def compose_jobs(
    composer: Composer, job_overrides: Sequence[Sequence[str]], first_index: int = 0
) -> list[Job]:
    """Return the jobs of a sweep, one for each list of overrides.

    Jobs that are the same in all but their overrides have the same folder. Raises ``ConfigError`` with all
    problems of all jobs, each once, with the number of jobs that have it.
    """
    problems: Counter[str] = Counter()
    names = FolderNames()
    jobs = []
    labels = swept_labels(job_overrides)
    for index, (overrides, label) in enumerate(zip(job_overrides, labels, strict=True), first_index):
        try:
            composed = composer.compose(overrides, index)
            config = Config.check(composed.plain)
            problems.update(_arm_problems(composed))
        except ConfigError as error:
            problems.update(error.problems)
            continue
        digest = identity(composed.plain)
        subdir = composed.subdir or names.of(composed.plain, digest, overrides, composed.sweep_dir)
        folder = Path(composed.sweep_dir, subdir)
        jobs.append(Job(index, config, composed.plain, tuple(overrides), folder, digest, label))
    if problems:
        count = len(job_overrides)
        counted = [f"{problem} ({n} of {count} jobs)" for problem, n in problems.items()]
        raise ConfigError(counted if count > 1 else list(problems))
    _refuse_shared_folders(jobs)
    return jobs


def _arm_problems(composed: Composition) -> list[str]:
    arm = composed.plain["arm"]
    if arm is None or arm in composed.arms:
        return []
    if composed.arms:
        return [not_allowed("arm", arm, f"one of {', '.join(composed.arms)}", composed.arms)]
    return [not_allowed("arm", arm, "null without a study that has arms")]


def _refuse_shared_folders(jobs: Sequence[Job]) -> None:
    """Raise ``ConfigError`` if jobs that are not the same would write into one folder."""
    jobs_in: dict[Path, list[Job]] = defaultdict(list)
    for job in jobs:
        jobs_in[job.folder].append(job)
    shared = {path: alike for path, alike in jobs_in.items() if len({job.identity for job in alike}) > 1}
    if shared:
        path, alike = next(iter(shared.items()))
        raise ConfigError(
            f"hydra.sweep.subdir={path.name} is not allowed: {len(alike)} jobs, the first of them "
            f"{alike[0].label or 'job 0'} and {alike[1].label or 'job 1'}, would write into one folder."
        )


def swept_labels(job_overrides: Sequence[Sequence[str]]) -> list[str]:
    """Return for each job the overrides that not all jobs share, as ``model.width=5 seed=1``."""
    counts = Counter(override for overrides in job_overrides for override in overrides)
    return [
        " ".join(
            o for o in overrides if counts[o] < len(job_overrides) and not o.lstrip("+~").startswith("hydra")
        )
        for overrides in job_overrides
    ]
