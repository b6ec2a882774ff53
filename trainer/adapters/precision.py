"""Chooses in which numbers the maps of a network are held while it trains.

Weights, norms, the output and everything published are float32 in any case.
"""

import os
from functools import cache
from pathlib import Path
from typing import Literal

import keras

from commons.genome import Convolution, Genome

Precision = Literal["float32", "mixed_bfloat16"]
SETTING = "DICEBOX_PRECISION"
_CPU_FLAGS = frozenset(("avx512_bf16", "amx_bf16"))


def training_precision(genome: Genome) -> Precision:
    """Return what trains a genome fastest here, or what the environment says.

    The environment may say `float32` or `bfloat16`. Measured on a CPU with avx512_bf16: small
    convolutional networks train 1.3 to 1.6 times faster in bfloat16, but those of separable
    convolutions up to 1.1 times slower. Without such instructions they are emulated, which is
    slower for all.

    Raises:
        ValueError: The environment says something else.
    """
    setting = os.environ.get(SETTING, "auto")
    if setting not in ("auto", "float32", "bfloat16"):
        raise ValueError(f"expected {SETTING} to be auto, float32 or bfloat16, got {setting!r}")
    if setting == "auto":
        return "mixed_bfloat16" if _pays(genome) and _has_bfloat16() else "float32"
    return "mixed_bfloat16" if setting == "bfloat16" else "float32"


def _pays(genome: Genome) -> bool:
    convolutions = [gene for gene in genome.features if isinstance(gene, Convolution)]
    separable = sum(gene.separable for gene in convolutions)
    return 2 * separable < len(convolutions) or not convolutions


@cache
def _has_bfloat16() -> bool:
    if keras.distribution.list_devices("gpu"):
        return True
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return False
    flags = next((line for line in lines if line.startswith("flags")), "")
    return not _CPU_FLAGS.isdisjoint(flags.split())
