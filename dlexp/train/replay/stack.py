"""Networks of any kind as one: their weights in stacks, their step and their outputs replayed for all."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from dlexp.train.replay.program import Program, trained, untrained
from dlexp.train.stacks.weights import StackedWeights, laid_out


class ModuleStack(StackedWeights):
    """M networks alike, whose steps programs take; each is a view into the stack.

    Only what a step has a gradient for is in the stack's memory: torch's optimizers leave other parameters as
    they are.

    Args:
        networks: whose parameters become views into the stack.
        steps, outputs: programs of these networks, by the number of rows.
        has_gradient: of each trained parameter.
    """

    def __init__(
        self,
        networks: Sequence[nn.Module],
        steps: Mapping[int, Program],
        outputs: Mapping[int, Program],
        has_gradient: Sequence[bool],
    ) -> None:
        names = trained(networks[0])
        with_gradient = [name for name, has in zip(names, has_gradient, strict=True) if has]
        own = {name: [network.get_parameter(name) for network in networks] for name in with_gradient}
        super().__init__(networks, laid_out(own.items(), transpose=False))
        self._steps, self._outputs = steps, outputs
        self._targets = [block.of(self.gradients) for block in self.blocks.values()]
        self._rest = {name: torch.stack(alike).detach() for name, alike in self._rest_of_members().items()}
        by_name = {name: block.of(self.values) for name, block in self.blocks.items()} | self._rest
        self._tensors = [by_name[name] for name in [*names, *untrained(networks[0])]]

    @torch.no_grad()
    def __call__(self, x: Tensor) -> Tensor:
        """Map (M, n, ...) to outputs (M, n, ...) in evaluation mode."""
        (outputs,) = self._outputs[x.shape[1]](self._tensors, [x])
        assert outputs is not None
        return outputs

    def set_gradients(self, x: Tensor, y: Tensor) -> None:
        """Set the stack's gradients for a batch: x (M, B, ...), y (M, B, ...)."""
        _, *gradients = self._steps[x.shape[1]](self._tensors, [x, y])
        torch._foreach_copy_(self._targets, [gradient for gradient in gradients if gradient is not None])

    @torch.no_grad()
    def refresh(self) -> None:
        """Take over what the networks compute with beside the weights in the stack, if it was changed."""
        for name, alike in self._rest_of_members().items():
            torch.stack(alike, out=self._rest[name])

    def norms(self) -> Tensor:
        """Return the norm (M,) of each member's trainable parameters, also of those without a gradient."""
        names = trained(self.networks[0])
        rest = [own.view(len(self), -1) for name, own in self._rest.items() if name in names]
        norms = [super().norms(), *(torch.linalg.vector_norm(own, dim=1) for own in rest)]
        norm: Tensor = torch.linalg.vector_norm(torch.stack(norms), dim=0)
        return norm

    def _rest_of_members(self) -> dict[str, list[Tensor]]:
        """Return by name what is not in the stack's memory, of each member."""
        own = [{**trained(network), **untrained(network)} for network in self.networks]
        return {name: [tensors[name] for tensors in own] for name in own[0] if name not in self.blocks}
