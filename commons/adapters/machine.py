"""What this machine is, and what runs on it, for cards."""

import importlib.metadata
import os
import platform
from pathlib import Path

_PACKAGES = (
    *("dicebox", "keras", "tensorflow", "tensorflow-cpu", "jax", "torch"),
    *("numpy", "onnx", "onnxruntime"),
)
# "200000 100000" are two cores: microseconds of processor time in so many of the clock.
_QUOTA = Path("/sys/fs/cgroup/cpu.max")


def cpu_model() -> str:
    """Return the name of the processor."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, "") or platform.processor() or platform.machine()


def usable_cores(quota: Path = _QUOTA) -> int:
    """Return how many processor cores this process may use.

    One that is pinned has not all of them, nor has one in a container with a limit.

    Args:
        quota: Where the kernel says what the container has (control groups, version 2).
    """
    if hasattr(os, "sched_getaffinity"):  # not on every system
        cores = len(os.sched_getaffinity(0))
    else:
        cores = os.cpu_count() or 1
    try:
        allowed, period = quota.read_text(encoding="ascii").split()
        return max(1, min(cores, int(allowed) // int(period)))
    except (OSError, ValueError):  # there is no limit: no file, or the word "max"
        return cores


def machine() -> dict[str, str]:
    """Return the processor, its cores, the memory in bytes and the system."""
    pages, size = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
    return {
        "cpu": cpu_model(),
        "cores": str(os.cpu_count()),
        "memory_bytes": str(pages * size),
        "system": f"{platform.system()} {platform.machine()}",
    }


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that a training depends on."""
    found = {"python": platform.python_version(), "backend": os.environ.get("KERAS_BACKEND", "")}
    for package in _PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return {name: version for name, version in found.items() if version}
