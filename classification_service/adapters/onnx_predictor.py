"""ONNX networks on ONNX Runtime, one thread a request: requests run side by side instead."""

import os

import numpy as np
import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state as states

from classification_service.loading import damaged
from classification_service.ports import Floats

# Every error of the runtime derives from Exception alone, so they are listed.
_REFUSALS: tuple[type[Exception], ...] = (
    states.EPFail,
    states.Fail,
    states.InvalidArgument,
    states.InvalidGraph,
    states.InvalidProtobuf,
    states.NoSuchFile,
    states.NotImplemented,
    states.RuntimeException,
)
_FATAL_ONLY = 4


class OnnxPredictor:
    """`classification_service.ports.Predictor` over a session with one input and one output."""

    def __init__(self, session: onnxruntime.InferenceSession) -> None:
        self._session = session
        self._input = session.get_inputs()[0].name
        self._outputs = [session.get_outputs()[0].name]

    def predict(self, images: Floats) -> Floats:
        """Return probabilities (n, categories) of images (n, height, width, channels)."""
        try:
            answers = self._session.run(self._outputs, {self._input: images})[0]
        except _REFUSALS as error:
            raise damaged(f"its ONNX network refuses {images.shape}: {error}") from error
        return np.asarray(answers, dtype=np.float32)


def load_onnx(data: bytes) -> OnnxPredictor:
    """Return the predictor of an ONNX file's bytes.

    Raises:
        InvalidInputError: It is no ONNX network, or none with one input and one output (kind
            `damaged-network`).
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = _FATAL_ONLY
    # An ONNX file may name other files for its weights, and from bytes they are looked for where
    # the process runs. The card's hash says nothing of them, so none can be found here.
    options.add_session_config_entry(
        "session.model_external_initializers_file_folder_path", os.devnull
    )
    try:
        session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    except _REFUSALS as error:
        raise damaged(f"its ONNX file does not load: {error}") from error
    found = (len(session.get_inputs()), len(session.get_outputs()))
    if found != (1, 1):
        raise damaged(f"expected one input and one output, its ONNX file has {found}")
    return OnnxPredictor(session)
