"""Training steps recorded once and played back: on a GPU one launch in place of some dozen."""

import logging
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Protocol

import torch
from torch import Tensor

log = logging.getLogger(__name__)

Batch = tuple[Tensor, Tensor]
Step = Callable[[Sequence[Batch]], None]

# Steps of each batch size before it is recorded: libraries set themselves up in the first ones.
WARM_UP_STEPS = 2
# Largest deviation of a recorded step from the plain one, relative to a tensor's largest entry: the same
# kernels run, but cuBLAS may choose others on another stream.
TOLERANCE = 1e-4


class StepRecorder(Protocol):
    """Records what a function does on a device."""

    def warm_up(self, function: Callable[[], None]) -> None:
        """Call the function, on a stream that it may be recorded on later."""

    def record(self, function: Callable[[], None]) -> Callable[[], None]:
        """Return what does the same again, on the same memory; nothing is done yet."""


class CudaRecorder:
    """Records CUDA graphs: kernels of fixed shapes at fixed addresses, none of which waits for the CPU."""

    def warm_up(self, function: Callable[[], None]) -> None:
        """Call the function on a side stream."""
        stream, current = torch.cuda.Stream(), torch.cuda.current_stream()
        stream.wait_stream(current)
        with torch.cuda.stream(stream):
            function()
        current.wait_stream(stream)

    def record(self, function: Callable[[], None]) -> Callable[[], None]:
        """Capture the function's kernels in a graph."""
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            function()
        return graph.replay


class StepGraphs:
    """Takes training steps: of each batch size the first ones plain, the others by playing back a recording.

    A recording is checked against a plain step from the same state and dropped, with a line in the log, if it
    cannot be made or does something else. It holds for the memory it was made on: :meth:`forget` when the
    optimizer's state or what else the step reads is replaced.
    """

    def __init__(self, recorder: StepRecorder) -> None:
        self._recorder = recorder
        self._recorded: dict[int, Step] = {}
        self._seen: Counter[int] = Counter()

    def forget(self) -> None:
        """Drop all recordings."""
        self._recorded.clear()
        self._seen.clear()

    def take(self, step: Step, batches: Sequence[Batch], state: Sequence[Tensor]) -> None:
        """Take a step on the batch (x, y) of each bucket; ``state`` is all that it changes."""
        size = batches[0][0].shape[1]
        if size in self._recorded:
            self._recorded[size](batches)
        elif self._seen[size] < WARM_UP_STEPS:
            self._seen[size] += 1
            self._recorder.warm_up(lambda: step(batches))
        else:
            self._recorded[size] = self._record(step, batches, state)

    def _record(self, plain: Step, batches: Sequence[Batch], tensors: Sequence[Tensor]) -> Step:
        """Take a step, and return what takes the next ones."""
        static = [(x.clone(), y.clone()) for x, y in batches]
        try:
            play = self._recorder.record(lambda: plain(static))
        except RuntimeError as error:
            log.warning("Steps are not recorded as a CUDA graph: %s", error)
            plain(batches)
            return plain

        given = list(batches)

        def recorded(batches: Sequence[Batch]) -> None:
            for i, (batch, (x, y)) in enumerate(zip(batches, static, strict=True)):
                if batch is not given[i]:  # it is where every batch is the whole set
                    x.copy_(batch[0])
                    y.copy_(batch[1])
                    given[i] = batch
            play()

        before = [tensor.clone() for tensor in tensors]
        recorded(batches)
        after = [tensor.clone() for tensor in tensors]
        for tensor, value in zip(tensors, before, strict=True):
            tensor.copy_(value)
        plain(batches)
        if all(map(_agree, after, tensors)):
            return recorded
        log.warning("Steps are not recorded as a CUDA graph: one played back differs from a plain one.")
        return plain


def _agree(one: Tensor, other: Tensor) -> bool:
    """Whether two tensors are equal to rounding; what is not finite in one must not be in the other."""
    finite = torch.isfinite(other)
    if not torch.equal(torch.isfinite(one), finite):
        return False
    difference, size = (one - other)[finite].abs(), other[finite].abs()
    return not difference.numel() or bool(difference.max() <= TOLERANCE * size.max())
