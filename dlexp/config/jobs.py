"""A sweep's jobs: composed and checked together, before the first one starts."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from dlexp.config.compose import Composer, composer_of, require_folders
from dlexp.config.errors import ConfigError, not_allowed
from dlexp.config.identity import FolderNames, identity
from dlexp.config.plain import to_plain
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
            problems.update(arm_problems(composed.plain["arm"], composed.arms))
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


def check_job(config: DictConfig) -> dict[str, Any]:
    """Return the plain data of the one job that Hydra has composed.

    Raises ``ConfigError`` with a sentence for each problem.
    """
    plain = to_plain(config)
    Config.check(plain)
    problems = arm_problems(plain["arm"], ())
    devices = plain["trainer"]["devices"]
    if devices not in (1, "auto"):
        allowed = "1 or auto without -m: one job trains on one device"
        problems.append(not_allowed("trainer.devices", devices, allowed))
    if problems:
        raise ConfigError(problems)
    require_folders({"hydra.run.dir": config.hydra.run.dir}, {}, config.hydra.output_subdir)
    return plain


def arm_problems(arm: str | None, arms: Sequence[str]) -> list[str]:
    """Return a sentence for an arm that a study with these ``arms`` does not have."""
    if arm is None or arm in arms:
        return []
    if arms:
        return [not_allowed("arm", arm, f"one of {', '.join(arms)}", arms)]
    return [not_allowed("arm", arm, "null without a study that has arms")]


def _refuse_shared_folders(jobs: Sequence[Job]) -> None:
    """Raise ``ConfigError`` if jobs would write outside the sweep's folder, or into that of another one."""
    parents = sorted({str(job.folder.parent) for job in jobs})
    if len(parents) > 1:
        allowed = f"the same for all jobs of a sweep, not {parents[1]} too; it follows from name"
        raise ConfigError(not_allowed("hydra.sweep.dir", parents[0], allowed))
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
