"""A checkpoint is data: whatever one holds, loading it runs no code of its choosing."""

import io
import os
import sys
import zipfile

import pytest
import torch
from torch import nn

from dlexp.train.member import Member

NETWORK = {
    "_target_": "dlexp.models.mlp.MLP",
    "input_dim": 3,
    "output_dim": 1,
    "width": 4,
    "depth": 1,
    "seed": 0,
}
SETTINGS = {"network": NETWORK, "loss": "mse", "optimizer": {"name": "sgd", "lr": 0.1}, "total_steps": 3}
EVIL = """
import pathlib
pathlib.Path(__file__).with_name("ran").touch()
import torch
from dlexp.losses import MEAN_SQUARED_ERROR as LOSS
class Net(torch.nn.Linear): pass
class Optimizer(torch.optim.SGD): pass
"""


class Runs:
    """Unpickled, it runs a command."""

    def __reduce__(self):
        return os.system, ("touch ran",)


def checkpoint(**settings):
    network = Member(**SETTINGS)
    return {"state_dict": network.state_dict(), "hyper_parameters": {**SETTINGS, **settings}}


def network(**settings):
    return checkpoint(network={**NETWORK, **settings})


def optimizer(**settings):
    return checkpoint(optimizer={"lr": 0.1, **settings})


WAYS = {
    "a pickle": lambda: {**checkpoint(), "state_dict": Runs()},
    "a pickled setting": lambda: checkpoint(total_steps=Runs()),
    "a function": lambda: network(_target_="os.system"),
    "a class that starts a process": lambda: network(_target_="subprocess.Popen", args="touch ran"),
    "a network of a module that is not imported": lambda: network(_target_="evil.Net"),
    "one that looks like dlexp's": lambda: network(_target_="dlexp.models.mlp.torch.hub.load"),
    "one of a part of torch": lambda: network(_target_="torch.utils.cpp_extension.load_inline"),
    "a loss of a module that is not imported": lambda: checkpoint(loss="evil.LOSS"),
    "a function for a loss": lambda: checkpoint(loss="os.abort"),
    "an optimizer of a module that is not imported": lambda: optimizer(_target_="evil.Optimizer"),
    "a function for an optimizer": lambda: optimizer(_target_="os._exit"),
    "text for a network": lambda: checkpoint(network="evil.Net"),
}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The working folder, from which a module that shows that it ran can be imported."""
    (tmp_path / "evil.py").write_text(EVIL)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    sys.modules.pop("evil", None)


def refused(path):
    with pytest.raises(
        Exception, match=r"not allowed|[Ww]eights[ _]only|TorchScript|is no checkpoint"
    ) as error:
        Member.load_from_checkpoint(path)
    assert isinstance(error.value, Exception)


@pytest.mark.parametrize("way", WAYS)
def test_no_code_runs(way, folder):
    torch.save(WAYS[way](), folder / "last.ckpt")
    refused(folder / "last.ckpt")
    assert not (folder / "ran").exists()
    assert "evil" not in sys.modules


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_no_code_of_another_kind_of_file_runs(folder):
    torch.jit.save(torch.jit.script(nn.Linear(1, 1)), folder / "script.ckpt")
    refused(folder / "script.ckpt")
    torch.save(checkpoint(), buffer := io.BytesIO())
    with zipfile.ZipFile(buffer, "a") as archive:
        archive.writestr("archive/constants.pkl", b"cos\nsystem\n(S'touch ran'\ntR.")
    (folder / "constants.ckpt").write_bytes(buffer.getvalue())
    refused(folder / "constants.ckpt")
    assert not (folder / "ran").exists()


@pytest.mark.parametrize("part", ["network", "loss", "optimizer"])
def test_a_module_that_the_caller_names_is_imported(part, folder):
    ways = {
        "network": lambda: network(_target_="evil.Net"),
        "loss": lambda: checkpoint(loss="evil.LOSS"),
        "optimizer": lambda: optimizer(_target_="evil.Optimizer"),
    }
    torch.save(ways[part](), folder / "last.ckpt")
    if part == "network":  # imported, and then it does not take these arguments
        with pytest.raises(TypeError):
            Member.load_from_checkpoint(folder / "last.ckpt", modules=["evil"])
    else:
        Member.load_from_checkpoint(folder / "last.ckpt", modules=["evil"])
    assert (folder / "ran").exists()
