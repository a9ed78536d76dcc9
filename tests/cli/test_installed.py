"""The package as `pip install .` puts it in place: built, installed elsewhere, run from an empty folder."""

import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
PIP = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-q"]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def call(*command: str | Path, cwd: Path, **environment: str) -> "subprocess.CompletedProcess[str]":
    inherited = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run(
        list(map(str, command)),
        cwd=cwd,
        env={**inherited, **environment},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done


@pytest.fixture(scope="module")
def backend(tmp_path_factory):
    """A folder with the build backend, from the package index."""
    folder = tmp_path_factory.mktemp("backend")
    call(*PIP, "install", "--target", folder, "hatchling", cwd=folder)
    return folder


def build_wheel(source, folder, backend):
    command = [*PIP, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", folder, source]
    call(*command, cwd=folder, PYTHONPATH=str(backend))
    (wheel,) = folder.glob("dlexp-*.whl")
    return wheel


@pytest.fixture(scope="module")
def wheel(tmp_path_factory, backend):
    return build_wheel(REPOSITORY, tmp_path_factory.mktemp("wheel"), backend)


@pytest.fixture(scope="module")
def sdist(tmp_path_factory, backend):
    folder = tmp_path_factory.mktemp("sdist")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-d", folder]
    call(*command, cwd=REPOSITORY, PYTHONPATH=str(backend))
    (archive,) = folder.glob("dlexp-*.tar.gz")
    return archive


def make_environment(folder):
    """Make a fresh environment; return its folder of packages."""
    call(sys.executable, "-m", "venv", "--without-pip", folder, cwd=folder)
    (packages,) = folder.glob("lib/python*/site-packages")
    return packages


@pytest.fixture(scope="module")
def scripts(tmp_path_factory, wheel):
    """The scripts of a fresh environment that has the wheel, and this one's packages but not this dlexp."""
    environment = tmp_path_factory.mktemp("installed")
    packages = make_environment(environment)
    # Plain paths in a .pth file: the .pth files over there, the editable install's among them, are not read.
    present = [path for path in sys.path if Path(path).name in ("site-packages", "dist-packages")]
    (packages / "elsewhere.pth").write_text("\n".join(present) + "\n")
    python = environment / "bin" / "python"
    call(*PIP, "--python", python, "install", "--no-deps", wheel, cwd=environment)
    found = call(python, "-c", "import dlexp; print(dlexp.__file__)", cwd=environment).stdout
    assert Path(found.strip()).is_relative_to(environment)
    return environment / "bin"


def wheel_names(wheel):
    with zipfile.ZipFile(wheel) as archive:
        return [name for name in archive.namelist() if ".dist-info/" not in name]


def expected_names():
    modules = [
        p.relative_to(REPOSITORY) for p in REPOSITORY.glob("dlexp/**/*.py") if "plugins" not in p.parts
    ]
    templates = [p.relative_to(REPOSITORY) for p in REPOSITORY.glob("dlexp/report/templates/*")]
    configs = [Path("dlexp") / p.relative_to(REPOSITORY) for p in REPOSITORY.glob("conf/**/*.yaml")]
    plugins = [p.relative_to(REPOSITORY / "dlexp/plugins") for p in REPOSITORY.glob("dlexp/plugins/**/*.py")]
    return sorted(map(Path.as_posix, [*modules, *templates, *configs, *plugins]))


def test_the_wheel_holds_the_package_its_conf_and_the_plugin_once_each(wheel):
    assert sorted(wheel_names(wheel)) == expected_names()


def test_the_sdist_makes_the_same_wheel(sdist, backend, tmp_path):
    again = build_wheel(sdist, tmp_path, backend)
    assert sorted(wheel_names(again)) == expected_names()


def test_the_sdist_leaves_results_and_ci_out(sdist):
    with tarfile.open(sdist) as archive:
        top = {name.split("/")[1] for name in archive.getnames() if "/" in name}
    assert {"conf", "dlexp", "scripts", "tests", "pyproject.toml", "README.md", "LICENSE"} <= top
    assert not {"outputs", ".ci", ".venv", ".git"} & top


def test_an_editable_install_copies_nothing_that_could_hide_the_checkout(backend, tmp_path):
    packages = make_environment(tmp_path)
    command = [*PIP, "--python", tmp_path / "bin" / "python", "install", "--no-deps", "--no-build-isolation"]
    call(*command, "--editable", REPOSITORY, cwd=tmp_path, PYTHONPATH=str(backend))
    assert {path.suffix for path in packages.iterdir()} == {".pth", ".dist-info"}
    assert sorted((packages / "_dlexp.pth").read_text().split()) == [
        str(REPOSITORY),
        str(REPOSITORY / "dlexp" / "plugins"),
    ]


def test_the_installed_commands_run_from_an_empty_folder(scripts, tmp_path):
    sweep = ["-m", "model.width=1,2", "debug=fast", "trainer.accelerator=cpu"]
    done = call(scripts / "dlexp-train", *sweep, cwd=tmp_path)
    folder = tmp_path / "outputs" / "train_fast"
    assert "Warning" not in done.stderr
    assert "tensorboard --logdir outputs/train_fast" in done.stdout
    assert len(list(folder.glob("width=*/result.json"))) == 2
    composed = (folder / "multirun.yaml").read_text()
    assert f"path: {scripts.parent}" in composed  # of conf, inside the package
    assert "EnsembleLauncher" in composed
    again = call(scripts / "dlexp-report", "outputs/train_fast", cwd=tmp_path)
    assert again.stdout == done.stdout
