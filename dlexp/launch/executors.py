"""Where ensembles run: here and now, in fresh processes, or where the launcher's configuration says."""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from multiprocessing import active_children, get_context
from typing import Any

SECONDS_BETWEEN_LOOKS = 5.0
"""How often a worker looks whether the process that it works for is still there."""


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

    Forked ones would share torch's threads and a GPU's state. A worker ends by itself when this process does,
    however it does.
    """
    context = get_context("spawn")
    counter = context.Value("i", 0) if devices > 1 else None
    return ProcessPoolExecutor(
        workers, mp_context=context, initializer=_begin_worker, initargs=(os.getpid(), counter, devices)
    )


def end_workers() -> None:
    """Tell all workers to end: what they train leaves a snapshot if it can."""
    for process in active_children():
        process.terminate()


def _begin_worker(parent: int, counter: Any, devices: int) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: sys.exit())  # without a traceback, whatever it is at
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    if counter is not None:
        take_device(counter, devices)


def _end_with(parent: int) -> None:
    """End this process when its parent has ended: a killed driver cannot tell its workers."""
    while os.getppid() == parent:
        time.sleep(SECONDS_BETWEEN_LOOKS)
    os._exit(1)


def take_device(counter: Any, devices: int) -> None:
    """Let this process see its own CUDA device alone: torch reads the variable when it is imported."""
    with counter.get_lock():
        number = counter.value % devices
        counter.value += 1
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    names = visible.split(",") if visible else [str(i) for i in range(devices)]
    os.environ["CUDA_VISIBLE_DEVICES"] = names[number % len(names)]
