"""The closed-form risk of the problem at hand, recorded beside the measured test loss."""

from abc import abstractmethod
from typing import Any

from pytorch_lightning import Trainer
from torch import nn

from dlexp.callbacks.configured import ConfiguredCallback
from dlexp.config.least_squares import (
    ClosedFormRiskSettings,
    IsotropicRiskSettings,
    RandomFeatureRiskSettings,
)
from dlexp.data.generators.regression import teacher_direction
from dlexp.measures.risk import isotropic_risk, random_feature_risk
from dlexp.train.member import Member


class ClosedFormRisk(ConfiguredCallback):
    """Records a formula's value for a linear teacher; subclasses say which formula.

    Data of another law are refused.

    Args:
        noise, test_noise: standard deviations of the noise in training and test targets; None: the same.
    """

    settings: ClosedFormRiskSettings
    metric: str

    @abstractmethod
    def risk(self, member: Member) -> float:
        """Return the expected test loss on targets without noise."""

    def try_on(self, trial: Member) -> None:
        """Evaluate the formula."""
        self.risk(trial)

    def on_train_start(self, trainer: Trainer, member: Any) -> None:
        """Record the formula's value."""
        noise, test_noise = self.settings.noise, self.settings.test_noise
        test_noise = noise if test_noise is None else test_noise
        member.record({self.metric: self.risk(member) + test_noise**2})


class IsotropicRisk(ClosedFormRisk):
    """``risk/isotropic``: of minimum-norm least squares on the inputs, exact for finite sizes.

    The mean over training sets for the given teacher (:func:`~dlexp.measures.risk.isotropic_risk`; Belkin,
    Hsu & Xu 2020). ``teacher_dim`` is the data set's, ``seed`` its ``teacher_seed``. Infinite where as many
    rows as inputs, or one more or less, are fitted.
    """

    name = "isotropic_risk"
    metric = "risk/isotropic"
    settings_model = IsotropicRiskSettings
    settings: IsotropicRiskSettings

    def risk(self, member: Member) -> float:
        """Return the formula for the share of the teacher that the inputs show."""
        n, p = member.tensors.x_train.shape
        direction = teacher_direction(self.settings.teacher_dim or p, self.settings.seed)
        inside = direction[:p].square().sum().item()
        return isotropic_risk(
            n,
            p,
            signal_inside=inside,
            signal_outside=max(1 - inside, 0.0),
            noise_std=self.settings.noise,
            include_noise=False,
        )


class RandomFeatureRisk(ClosedFormRisk):
    """``risk/random_features``: of ReLU random-feature regression, in the limit of proportional sizes.

    The limit of many samples, features and inputs (:func:`~dlexp.measures.risk.random_feature_risk`; Mei &
    Montanari 2019), for a two-layer network whose readout is solved for with the penalty ``ridge``.
    """

    name = "random_feature_risk"
    metric = "risk/random_features"
    settings_model = RandomFeatureRiskSettings
    settings: RandomFeatureRiskSettings

    def try_on(self, trial: Member) -> None:
        """Refuse what is not a readout on one layer of ReLU features, all without biases."""
        leaves = [part for part in trial.network.modules() if not any(True for _ in part.children())]
        biases = [name for name, _ in trial.network.named_parameters() if name.endswith("bias")]
        is_known = len(leaves) == 3 and type(leaves[1]) is nn.ReLU and isinstance(leaves[2], nn.Linear)
        if not is_known or biases:
            kind = type(trial.network).__name__
            raise ValueError(f"this {kind} is no linear readout on one layer of ReLU features without biases")
        super().try_on(trial)

    def risk(self, member: Member) -> float:
        """Return the formula for the network's number of features."""
        n, d = member.tensors.x_train.shape
        features: int = member.network.readout.in_features  # type: ignore[union-attr, assignment]
        noise, ridge = self.settings.noise, self.settings.ridge
        return random_feature_risk(n, features, d, noise_std=noise, ridge=ridge, include_noise=False)
