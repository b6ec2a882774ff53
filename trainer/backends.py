"""Runs a job on TensorFlow that came to a worker on another backend: in a child process.

ONNX files are made from TensorFlow's graphs, so networks are built again there, from genome and
weights. `trainer.tensorflow_child` is the child.
"""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import keras

from commons.adapters.file_blobs import FileBlobs
from commons.errors import DiceboxError, JobFailedError
from commons.jobs import JobContext, JobFunction

_REQUEST, _REPLY, _BLOBS = "request.json", "reply.json", "blobs"


def on_tensorflow(
    name: str, arguments: dict[str, Any], context: JobContext, needed: Sequence[str] = ()
) -> dict[str, Any] | None:
    """Return what a job gives on TensorFlow, None where this process is on it already.

    Args:
        name: The function of `trainer.job`.
        arguments: Its own.
        context: Of the job; all blobs that the child stores are stored here too.
        needed: The blobs that it reads.

    Raises:
        JobFailedError: As the job did in the child, or the child itself.
        NotFoundError: A blob is not there.
    """
    if keras.backend.backend() == "tensorflow":
        return None
    with TemporaryDirectory() as folder:
        place = Path(folder)
        blobs = FileBlobs(place / _BLOBS)
        for blob in needed:
            blobs.put(blob, context.blobs.get(blob))
        request = {"job": context.job_id, "cache": str(context.cache.absolute())}
        (place / _REQUEST).write_text(
            json.dumps({**request, "function": name, "arguments": arguments}), encoding="utf-8"
        )
        value = _reply(place)
        for blob in blobs.names():
            context.blobs.put(blob, blobs.get(blob))
    return value


def _reply(place: Path) -> dict[str, Any]:
    # The accelerator is the worker's: the child shall not want a part of it.
    alone = {"KERAS_BACKEND": "tensorflow", "CUDA_VISIBLE_DEVICES": "", "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(
        [sys.executable, "-m", "trainer.tensorflow_child", str(place), str(os.getpid())],
        env={**os.environ, **alone},
        capture_output=True,
        text=True,
        check=False,
    )
    try:
        reply: dict[str, Any] = json.loads((place / _REPLY).read_bytes())
    except FileNotFoundError:
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise JobFailedError(
            "error", f"the child on TensorFlow ended with code {done.returncode}: {last}"
        ) from None
    if "value" not in reply:
        raise JobFailedError(reply["outcome"], reply["reason"])
    value: dict[str, Any] = reply["value"]
    return value


def answer(folder: Path, functions: dict[str, JobFunction]) -> None:
    """Run the job in a folder and leave the reply there."""
    request = json.loads((folder / _REQUEST).read_bytes())
    context = JobContext(
        request["job"], FileBlobs(folder / _BLOBS), Path(request["cache"]), lambda _: None
    )
    try:
        reply: dict[str, Any] = {
            "value": functions[request["function"]](request["arguments"], context)
        }
    except JobFailedError as error:
        reply = {"outcome": error.outcome, "reason": error.reason}
    except DiceboxError as error:
        reply = {"outcome": "error", "reason": str(error)}
    (folder / _REPLY).write_text(json.dumps(reply), encoding="utf-8")
