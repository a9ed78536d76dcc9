"""Refuse what would not fit into memory, before it is computed."""

from pathlib import Path

import torch

_CGROUP = Path("/sys/fs/cgroup")
_LIMITS = (
    ("memory.max", "memory.current"),
    ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"),
)


def require_memory(needed_bytes: int, device: torch.device, what: str) -> None:
    """Refuse a computation that would not fit in the memory that the device has left.

    On a CPU that is what the system calls available (the page cache counts, as it gives way), and no more
    than a control group leaves to the process.

    Raises ``MemoryError`` with the estimate in GiB. Does nothing where the memory cannot be read.

    >>> require_memory(2**60, torch.device("cpu"), "the kernel")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    MemoryError: the kernel needs about 1073741824.0 GiB, but cpu has ... GiB left
    """
    free = torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else _available(device)
    if free is not None and needed_bytes > free:
        raise MemoryError(
            f"{what} needs about {needed_bytes / 2**30:.1f} GiB, but {device} has {free / 2**30:.1f} GiB left"
        )


def _available(device: torch.device) -> int | None:
    if device.type != "cpu":
        return None
    counts = [_from_meminfo(), *(_left(limit, usage) for limit, usage in _LIMITS)]
    return min((count for count in counts if count is not None), default=None)


def _from_meminfo() -> int | None:
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return None
    found = [line.split()[1] for line in lines if line.startswith("MemAvailable:")]
    return int(found[0]) * 1024 if found else None


def _left(limit: str, usage: str) -> int | None:
    """Return what a control group's limit leaves; None where there is no limit ("max")."""
    try:
        most, used = int((_CGROUP / limit).read_text()), int((_CGROUP / usage).read_text())
        statistics = (_CGROUP / usage).with_name("memory.stat").read_text().splitlines()
    except (OSError, ValueError):
        return None
    # Inactive pages of files count as used by the group but are dropped when it needs the memory.
    cache = next((int(line.split()[1]) for line in statistics if line.startswith("inactive_file ")), 0)
    return max(0, most - used + cache)
