"""Where and of what a figure was measured."""

import importlib.metadata
import os
import platform
import subprocess
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]

_PACKAGES = ("keras", "tensorflow", "tensorflow-cpu", "jax", "numpy", "onnxruntime", "dicebox")


def machine() -> dict[str, Any]:
    """Return the processor's model, its cores, the memory in bytes and the system."""
    return {
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "memory_bytes": psutil.virtual_memory().total,
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
    }


def load() -> float:
    """Return how many processes wanted a processor, averaged over the last minute."""
    return round(os.getloadavg()[0], 2)


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that figures depend on."""
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def commit(repository: Path) -> dict[str, Any]:
    """Return the commit that is checked out, and whether the working tree differs from it."""
    try:
        hashed = _git(repository, "rev-parse", "HEAD").strip()
        # Results of benchmarks are written by benchmarks: they change no figure.
        changed = _git(repository, "status", "--porcelain", "--", ".", ":!benchmarks/results")
    except (OSError, subprocess.CalledProcessError):
        return {"commit": None, "dirty": None}
    return {"commit": hashed, "dirty": bool(changed.strip())}


def _git(repository: Path, *arguments: str) -> str:
    return subprocess.run(
        ["git", *arguments], cwd=repository, check=True, capture_output=True, text=True
    ).stdout


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()
