"""The files that Hydra leaves in a job's folder: they load back as what the job was given."""

import pytest
from omegaconf import OmegaConf

from dlexp.config.composition import SweepConfigLoader
from dlexp.sweeps.hydra_files import HydraFiles, to_yaml


@pytest.mark.parametrize(
    "text",
    [
        *("1e3", "1e-7", "yes", "null", "~", "", "0x1F", "1_000", ".inf", "a: b", "- x", "007", "é", "#a"),
        *("two\nlines\n", " spaces ", "{a}", "${b}", "a" * 300 + " b" * 100, "2026-11-22", "=", "!x", "'"),
    ],
)
def test_texts_stay_texts_in_yaml(text):
    plain = {"value": text, "number": 1.0e-7, "list": [text, 1, None, True], text or "empty": {"a": text}}
    plain["nested"] = [{"a": text, "b": [text, [1.0, 1]]}, {}, [], [[text]]]
    loaded = OmegaConf.to_container(OmegaConf.create(to_yaml(plain)), resolve=False)
    assert loaded == plain
    assert [type(v) for v in loaded["nested"][0]["b"][1]] == [float, int]


JOBS = [
    ["model.width=5", "seed=0"],
    ["model.width=7", "seed=0"],
    ["model.width=7", "seed=3", "optimizer=sgd"],
    ["model.width=7", "seed=4", "optimizer=sgd"],
    ["optimizer.betas=[0.5,0.9]", "data.noise=1"],
    ["optimizer.betas=[0.1,0.9]", "data.noise=${seed}"],
]


def test_each_job_of_a_sweep_has_its_own_texts(loaders):
    loader, _, master = loaders
    shared = SweepConfigLoader(loader)  # of its own: jobs are numbered here
    files = HydraFiles()
    for index, overrides in enumerate(JOBS):
        config = shared.load_sweep_config(master, overrides)
        config.hydra.job.num = config.hydra.job.id = index
        texts = files.of(config, f"/results/{index}")
        expected = OmegaConf.to_container(config, resolve=False, enum_to_str=True)
        hydra = expected.pop("hydra")
        hydra["runtime"]["output_dir"] = f"/results/{index}"
        assert hydra["overrides"]["task"] == overrides
        loaded = {
            name: OmegaConf.to_container(OmegaConf.create(text), resolve=False)
            for name, text in texts.items()
        }
        plain = OmegaConf.to_container(OmegaConf.create(expected), resolve=False)
        assert loaded == {
            ".hydra/config.yaml": plain,
            ".hydra/hydra.yaml": {"hydra": hydra},
            ".hydra/overrides.yaml": overrides,
        }
