"""ONNX networks on ONNX Runtime, one thread a request: requests run side by side instead."""

import logging
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import onnxruntime

from classification_service.adapters.onnx_refusals import FATAL_ONLY, REFUSALS
from classification_service.batching import UNMEASURED, Pace, measured_pace
from classification_service.loading import damaged
from classification_service.ports import Floats
from commons.errors import InvalidInputError

Device = Literal["cpu", "cuda"]

_LOG = logging.getLogger(__name__)
_CPU, _CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"
_SIZES = 3  # height, width, channels


class OnnxPredictor:
    """`classification_service.ports.Predictor` over a session with one input and one output.

    `pace` is how fast it is, as measured when it was loaded.
    """

    def __init__(self, session: onnxruntime.InferenceSession) -> None:
        self._session = session
        self._input = session.get_inputs()[0].name
        self._outputs = [session.get_outputs()[0].name]
        self.pace: Pace = UNMEASURED

    def predict(self, images: Floats) -> Floats:
        """Return probabilities (n, categories) of images (n, height, width, channels)."""
        return self._run(images, None)

    def measure(self) -> None:
        """Find out how many images at once are answered best; a network that fails is left so."""
        shape = self._session.get_inputs()[0].shape[1:]
        if len(shape) != _SIZES or not all(isinstance(size, int) for size in shape):
            return
        height, width, channels = shape
        try:
            self.pace = measured_pace(self.predict, (height, width, channels), time.perf_counter)
            # What the larger batches took is kept for ever otherwise, in every worker.
            self._run(np.zeros((1, height, width, channels), np.float32), _gives_back())
        except InvalidInputError:
            # Whoever loads it looks at what it says, and refuses it with a reason.
            return

    def _run(self, images: Floats, options: onnxruntime.RunOptions | None) -> Floats:
        try:
            answers = self._session.run(self._outputs, {self._input: images}, options)[0]
        except REFUSALS as error:
            raise damaged(f"its ONNX network refuses {images.shape}: {error}") from error
        return np.asarray(answers, dtype=np.float32)


def _gives_back() -> onnxruntime.RunOptions:
    """Return options of a run after which memory that is free goes back to the system."""
    options = onnxruntime.RunOptions()
    options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
    return options


@dataclass(frozen=True)
class OnnxRuntime:
    """Loads networks for a device.

    Args:
        device: `cuda` is taken where ONNX Runtime has it, else the processor with a line in
            the log.
        gpu_memory_bytes: How much of the card's memory each network may take by itself: ONNX
            Runtime bounds a session, not a process; None: what it needs.
    """

    device: Device = "cpu"
    gpu_memory_bytes: int | None = None

    def load(self, data: bytes) -> OnnxPredictor:
        """Return the predictor of an ONNX file's bytes, its pace measured.

        Raises:
            InvalidInputError: It is no ONNX network, or none with one input and one output (kind
                `damaged-network`).
        """
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = FATAL_ONLY
        # An ONNX file may name other files for its weights, and from bytes they are looked for
        # where the process runs. The card's hash says nothing of them, so none can be found here.
        options.add_session_config_entry(
            "session.model_external_initializers_file_folder_path", os.devnull
        )
        providers = self.providers(onnxruntime.get_available_providers())
        try:
            session = onnxruntime.InferenceSession(data, options, providers=providers)
        except REFUSALS as error:
            raise damaged(f"its ONNX file does not load: {error}") from error
        found = (len(session.get_inputs()), len(session.get_outputs()))
        if found != (1, 1):
            raise damaged(f"expected one input and one output, its ONNX file has {found}")
        if self.device == "cuda" and _CUDA not in session.get_providers():
            _LOG.warning("a network runs on the processor: the card cannot be used")
        predictor = OnnxPredictor(session)
        predictor.measure()
        return predictor

    def providers(self, available: Sequence[str]) -> list[str | tuple[str, dict[str, Any]]]:
        """Return what ONNX Runtime is to use, of what it has."""
        if self.device == "cpu":
            return [_CPU]
        if _CUDA not in available:
            _LOG.warning(
                "expected ONNX Runtime with CUDA (pip install onnxruntime-gpu), it has %s: "
                "networks run on the processor",
                ", ".join(available),
            )
            return [_CPU]
        # Grown by what is asked for and not doubled: several processes share the card.
        share: dict[str, Any] = {"arena_extend_strategy": "kSameAsRequested"}
        if self.gpu_memory_bytes is not None:
            share["gpu_mem_limit"] = self.gpu_memory_bytes
        return [(_CUDA, share), _CPU]


def load_onnx(data: bytes) -> OnnxPredictor:
    """Return the predictor of an ONNX file's bytes on the processor, as `OnnxRuntime.load`."""
    return OnnxRuntime().load(data)
