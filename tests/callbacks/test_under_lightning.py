"""dlexp's callbacks under a Lightning Trainer of one's own, with a member as its module."""

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning import Trainer
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from dlexp.callbacks.barrier import Barrier
from dlexp.callbacks.geometry import Geometry
from dlexp.callbacks.hessian import Hessian
from dlexp.callbacks.landscape import Landscape
from dlexp.callbacks.ntk import NTK
from dlexp.callbacks.pruning import Pruning
from dlexp.callbacks.sharpness import Sharpness
from dlexp.measures.hessian import spectrum
from dlexp.measures.ntk import empirical_ntk, relative_distance
from dlexp.train.member import Member


class Rows(pl.LightningDataModule):
    """Forty rows, ten in each batch."""

    def train_dataloader(self):
        x = torch.linspace(-1, 1, 80).reshape(40, 2)
        return DataLoader(TensorDataset(x, x.sum(dim=1, keepdim=True).sin()), batch_size=10)


def trained(*callbacks):
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(2, 4), nn.ReLU(), nn.Linear(4, 1))
    member = Member(network, loss="mse", optimizer={"name": "sgd", "lr": 0.1})
    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    trainer = Trainer(
        max_epochs=2, accelerator="cpu", callbacks=list(callbacks), **quiet, enable_model_summary=False
    )
    trainer.fit(member, Rows())
    return member


def test_each_measures_without_changing_the_training():
    plain = trained()
    small = {"line_points": 3, "plane_points": 3, "lines": 2}
    member = trained(
        NTK(every_n_epochs=1),
        Hessian(every_n_steps=3),
        Sharpness(n_starts=2, max_steps=5, n_directions=3),
        Landscape(**small),
        Geometry(),
        Barrier(partner="initialization", curve_steps=3),
    )
    for one, other in zip(plain.network.parameters(), member.network.parameters(), strict=True):
        assert torch.equal(one, other)
    recorder, data = member.recorder, member.tensors
    assert recorder.series("ntk/drift")[0] == [0, 4, 8]
    assert recorder.series("hessian/lambda_max")[0] == [0, 3, 6, 8]
    found = spectrum(member.network, member.loss, data.x_train, data.y_train)
    assert recorder.final["hessian/lambda_max"] == pytest.approx(float(found[-1]), rel=1e-5)
    torch.manual_seed(0)
    first = nn.Sequential(nn.Linear(2, 4), nn.ReLU(), nn.Linear(4, 1))
    drift = relative_distance(*(empirical_ntk(n, data.x_train) for n in (member.network, first)))
    assert recorder.final["ntk/drift"] == pytest.approx(drift, rel=1e-5)
    assert recorder.series("barrier/linear")[1][0] == pytest.approx(0, abs=1e-6)
    for name in ("sharpness/worst_case", "landscape/plane_minimum", "geometry/cka", "barrier/curve"):
        assert name in recorder.final


@pytest.mark.parametrize("callback", [Barrier(partner="twin"), Pruning(rounds=1)], ids=["twin", "pruning"])
def test_what_trains_beside_or_in_cycles_says_that_it_needs_dlexp(callback):
    with pytest.raises(ValueError, match="needs dlexp's own training"):
        trained(callback)
