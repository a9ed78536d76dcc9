"""Every claim of every study is on arms, keys, values and metrics that the study's own sweep has."""

from pathlib import Path

import pytest
from omegaconf import open_dict

from dlexp.cli.study import claim_problems
from dlexp.config.compose import composer_of
from dlexp.config.jobs import compose_jobs
from dlexp.config.resolve import conf_directory
from dlexp.launch.arms import sweep_overrides
from dlexp.results.kept import keep, load_python
from dlexp.results.statistic import Term
from dlexp.results.study import study_of

STUDIES = sorted(path.stem for path in (conf_directory() / "study").glob("*.yaml"))


QUICK = STUDIES[::4]


@pytest.fixture(
    scope="module",
    params=[pytest.param(name, marks=[] if name in QUICK else pytest.mark.slow) for name in STUDIES],
)
def sweep(request, tmp_path_factory):
    """Return a study's configuration, its jobs, and the study as its folder keeps it."""
    folder = tmp_path_factory.mktemp(request.param)
    composer = composer_of([f"study={request.param}", f"hydra.sweep.dir={folder}"])
    overrides = sweep_overrides(composer.master, [f"study={request.param}"], composer.loader)
    module, file = load_python(f"dlexp.studies.{request.param}", None)
    study = study_of(module, request.param, f"dlexp.studies.{request.param}")
    keep(study, Path(folder), file)
    return composer.master, compose_jobs(composer, overrides), study


def test_a_studys_claims_are_on_what_its_jobs_have(sweep):
    config, jobs, study = sweep
    with open_dict(config.hydra.overrides):
        config.hydra.overrides.task = [f"study={study.name}"]
    assert claim_problems(config, jobs) == []


def test_a_claim_on_what_no_job_has_is_told(sweep):
    config, jobs, study = sweep
    terms = [term for claim in study.claims for term in claim.statistic.terms if isinstance(term, Term)]
    named = {term.where.get("arm") for term in terms}
    arm = next(iter(named - {None}), None)
    left = [job for job in jobs if job.plain["arm"] != arm] if isinstance(arm, str) else jobs[:0]
    assert claim_problems(config, left)
