"""Where groups of jobs run: here and now, unless the launcher's configuration names an executor."""

import os
from collections.abc import Callable
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any


class InProcessExecutor(Executor):
    """Runs what is submitted at once, in this process."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Call the function and return a future that is done; an interrupt is not caught."""
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future


def process_pool(workers: int, devices: int = 1) -> ProcessPoolExecutor:
    """Return a pool of fresh processes, which see one CUDA device each if there are several ``devices``.

    Forked ones would share torch's threads and a GPU's state.
    """
    context = get_context("spawn")
    if devices == 1:
        return ProcessPoolExecutor(workers, mp_context=context)
    counter = context.Value("i", 0)
    return ProcessPoolExecutor(
        workers, mp_context=context, initializer=take_device, initargs=(counter, devices)
    )


def take_device(counter: Any, devices: int) -> None:
    """Let this process see its own CUDA device alone: torch reads the variable when it is imported."""
    with counter.get_lock():
        number = counter.value % devices
        counter.value += 1
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    names = visible.split(",") if visible else [str(i) for i in range(devices)]
    os.environ["CUDA_VISIBLE_DEVICES"] = names[number % len(names)]
