"""What ONNX Runtime is asked to use, and how fast it was found to be."""

import logging

import pytest

from classification_service.adapters.onnx_predictor import OnnxRuntime
from tests.onnx_builders import onnx_bytes

CPU, CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"


def test_networks_run_on_the_processor_unless_told_otherwise():
    assert OnnxRuntime().providers([CUDA, CPU]) == [CPU]


def test_a_card_is_taken_with_the_share_of_its_memory_that_is_set():
    chosen = OnnxRuntime("cuda", gpu_memory_bytes=2**30).providers([CUDA, CPU])
    assert chosen == [
        (CUDA, {"arena_extend_strategy": "kSameAsRequested", "gpu_mem_limit": 2**30}),
        CPU,
    ]
    ((_, share), _) = OnnxRuntime("cuda").providers([CUDA, CPU])
    assert "gpu_mem_limit" not in share


def test_without_a_card_the_processor_does_it_and_the_log_says_so(caplog):
    with caplog.at_level(logging.WARNING):
        assert OnnxRuntime("cuda").providers([CPU]) == [CPU]
    assert "onnxruntime-gpu" in caplog.text


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_a_loaded_network_knows_its_pace(device):
    pace = OnnxRuntime(device).load(onnx_bytes()).pace
    assert 1 <= pace.limit <= 32
    assert 0 < pace.seconds < 10
