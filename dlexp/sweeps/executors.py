"""Where groups of jobs run: here and now, unless the launcher's configuration names an executor."""

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


def process_pool(workers: int) -> ProcessPoolExecutor:
    """Return a pool of fresh processes: forked ones would share torch's threads and a GPU's state."""
    return ProcessPoolExecutor(workers, mp_context=get_context("spawn"))
