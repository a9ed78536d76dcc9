"""The closed-form risk of the problem at hand, recorded beside the measured test loss."""

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, cast

from pytorch_lightning import Callback, Trainer
from torch import nn

from dlexp.data.generators.regression import teacher_direction
from dlexp.measures.risk import isotropic_risk, random_feature_risk
from dlexp.train.member import Member
from dlexp.train.plan import Plan

TEACHER = "dlexp.data.generators.linear_teacher"


class ClosedFormRisk(Callback):
    """Records a formula's value for a linear teacher; subclasses say which formula.

    ``noise`` and ``test_noise`` (None: the same) are the standard deviations of the noise in the training and
    test targets. Where the formula is infinite nothing is kept. Data of another law are refused.
    """

    metric: str

    def __init__(self, *, noise: float, test_noise: float | None = None) -> None:
        self.noise = noise
        self.test_noise = noise if test_noise is None else test_noise

    @abstractmethod
    def risk(self, module: Member) -> float:
        """Return the expected test loss on targets without noise."""

    def find_problems(self, config: Mapping[str, Any], plan: Plan) -> list[str]:
        """Return what else in a job's configuration the formula does not hold for."""
        target = config["data"]["generator"]["_target_"]
        if target == TEACHER:
            return []
        return [f"data.generator._target_={target} is not allowed: {self.metric} is the risk for {TEACHER}."]

    def due_steps(self, total_steps: int, steps_per_epoch: int) -> frozenset[int]:
        """Return no steps: the formula does not change."""
        return frozenset()

    def on_train_start(self, trainer: Trainer, module: Any) -> None:
        """Record the formula's value."""
        module.record({self.metric: self.risk(module) + self.test_noise**2})


class IsotropicRisk(ClosedFormRisk):
    """``risk/isotropic``: of minimum-norm least squares on the inputs, exact for finite sizes.

    The mean over training sets for the given teacher (:func:`~dlexp.measures.risk.isotropic_risk`; Belkin,
    Hsu & Xu 2020). ``teacher_dim`` is the data set's, ``seed`` its ``teacher_seed``.
    """

    metric = "risk/isotropic"

    def __init__(
        self,
        *,
        noise: float,
        test_noise: float | None = None,
        teacher_dim: int | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__(noise=noise, test_noise=test_noise)
        self.teacher_dim, self.seed = teacher_dim, seed

    def risk(self, module: Member) -> float:
        """Return the formula for the share of the teacher that the inputs show."""
        n, p = module.tensors.x_train.shape
        inside = teacher_direction(self.teacher_dim or p, self.seed)[:p].square().sum().item()
        return isotropic_risk(
            n,
            p,
            signal_inside=inside,
            signal_outside=max(1 - inside, 0.0),
            noise_std=self.noise,
            include_noise=False,
        )


class RandomFeatureRisk(ClosedFormRisk):
    """``risk/random_features``: of ReLU random-feature regression, in the limit of proportional sizes.

    The limit of many samples, features and inputs (:func:`~dlexp.measures.risk.random_feature_risk`; Mei &
    Montanari 2019), for a two-layer network whose readout is solved for with the penalty ``ridge``.
    """

    metric = "risk/random_features"

    def __init__(self, *, noise: float, test_noise: float | None = None, ridge: float = 0.0) -> None:
        super().__init__(noise=noise, test_noise=test_noise)
        self.ridge = ridge

    def risk(self, module: Member) -> float:
        """Return the formula for the network's number of features."""
        n, d = module.tensors.x_train.shape
        p = cast(nn.Linear, module.network.readout).in_features
        return random_feature_risk(n, p, d, noise_std=self.noise, ridge=self.ridge, include_noise=False)
