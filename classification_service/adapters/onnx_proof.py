"""Runs an ONNX file of somebody else's for the first time: within a time and a memory."""

import os
import threading
from functools import cache

import numpy as np
import onnxruntime

from classification_service.adapters.onnx_refusals import FATAL_ONLY, REFUSALS
from classification_service.loading import damaged
from classification_service.ports import Floats

# Two images of the largest input of ours, through the widest network of ours, take a tenth.
_LONGEST_S = 10.0
_MOST_BYTES = 2 << 30


@cache
def _share_memory() -> None:
    """Make the one memory that all proofs of this process take from, and nobody else."""
    onnxruntime.create_and_register_allocator(
        onnxruntime.OrtMemoryInfo(
            "Cpu",
            onnxruntime.OrtAllocatorType.ORT_ARENA_ALLOCATOR,
            0,
            onnxruntime.OrtMemType.DEFAULT,
        ),
        onnxruntime.OrtArenaCfg({"max_mem": _MOST_BYTES, "arena_extend_strategy": 1}),
    )


def prove_onnx(data: bytes, shape: tuple[int, int, int]) -> None:
    """Return if an ONNX file answers one image and two, in ten seconds and two GiB.

    It is run as it is written: nothing is computed beforehand, which nobody could bound.

    Raises:
        InvalidInputError: It does not (kind `damaged-network`).
    """
    _share_memory()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = FATAL_ONLY
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.add_session_config_entry("session.use_env_allocators", "1")
    # Weights are no larger than the file, and would stay in what is shared.
    options.add_session_config_entry("session.use_device_allocator_for_initializers", "1")
    options.add_session_config_entry(
        "session.model_external_initializers_file_folder_path", os.devnull
    )
    run = onnxruntime.RunOptions()
    run.log_severity_level = FATAL_ONLY
    run.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
    black: Floats = np.zeros((1, *shape), np.float32)
    timer = threading.Timer(_LONGEST_S, _end, [run])
    timer.start()
    try:
        session = _loaded(data, options)
        name = session.get_inputs()[0].name if session.get_inputs() else ""
        for images in (black, np.concatenate([black, black + 255.0])):
            _run(session, {name: images}, run)
    finally:
        timer.cancel()


def _loaded(data: bytes, options: onnxruntime.SessionOptions) -> onnxruntime.InferenceSession:
    try:
        return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    except REFUSALS as error:
        raise damaged(f"its ONNX file does not load: {error}") from error


def _run(
    session: onnxruntime.InferenceSession,
    images: dict[str, Floats],
    options: onnxruntime.RunOptions,
) -> None:
    shape = next(iter(images.values())).shape
    try:
        session.run(None, images, options)
    except REFUSALS as error:
        raise damaged(
            f"its ONNX network refuses {shape}, or wants too much time or memory: {error}"
        ) from error


def _end(run: onnxruntime.RunOptions) -> None:
    run.terminate = True
