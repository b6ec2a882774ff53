"""Has TensorFlow keep to this worker's share of its card's memory, as JAX does by itself."""

import os
from collections.abc import Callable, Mapping
from typing import Any

from commons.adapters.cards import SHARE, card_bytes

_MIB = 2**20


def keep_to_share(backend: str) -> None:
    """Limit the memory of this process as its environment says; before it touches a device.

    Args:
        backend: Of Keras; only TensorFlow has to be told.

    Raises:
        UnavailableError: The driver does not say how large the card is.
    """
    if SHARE in os.environ and backend == "tensorflow":
        import tensorflow  # noqa: PLC0415 - not where another backend is used

        limit_memory(tensorflow.config, os.environ)


def limit_memory(
    config: Any, environ: Mapping[str, str], memory: Callable[[], int] = card_bytes
) -> None:
    """Have each card be a logical device of so much memory; on processors do nothing.

    Args:
        config: `tensorflow.config`.
        environ: Says which share of its card this process has.
        memory: Says how many bytes the card has.

    Source: https://www.tensorflow.org/guide/gpu, Limiting GPU memory growth.
    """
    for card in config.list_physical_devices("GPU"):
        mebibytes = int(float(environ[SHARE]) * memory() / _MIB)
        limited = config.LogicalDeviceConfiguration(memory_limit=mebibytes)
        config.set_logical_device_configuration(card, [limited])
