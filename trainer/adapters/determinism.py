"""Has a backend compute the same bits from the same numbers, at the price of some speed."""

import keras


def be_deterministic() -> None:
    """Choose deterministic operations for the rest of this process.

    TensorFlow adds in the order in which its threads come, where it is not told otherwise. On
    JAX nothing is to be done for a CPU; for a GPU it is an option of XLA, which is read before
    any job runs: `XLA_FLAGS=--xla_gpu_deterministic_ops=true`.
    """
    if keras.backend.backend() == "tensorflow":
        import tensorflow  # noqa: PLC0415 - not where another backend is used

        tensorflow.config.experimental.enable_op_determinism()
