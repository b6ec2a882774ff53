"""How ONNX Runtime refuses: every error of it derives from Exception alone, so they are listed."""

from onnxruntime.capi import onnxruntime_pybind11_state as states

REFUSALS: tuple[type[Exception], ...] = (
    states.EPFail,
    states.Fail,
    states.InvalidArgument,
    states.InvalidGraph,
    states.InvalidProtobuf,
    states.NoSuchFile,
    states.NotImplemented,
    states.RuntimeException,
)
FATAL_ONLY = 4
