"""MLServer: its own protocol (v2) in worker processes, or a handler of ours in the front."""

import json
import os
import sys
from pathlib import Path

from fastapi import Request, Response  # type: ignore[import-not-found]
from mlserver import MLModel  # type: ignore[import-not-found]
from mlserver.codecs import Base64Codec, StringCodec  # type: ignore[import-not-found]
from mlserver.handlers import custom_handler  # type: ignore[import-not-found]
from mlserver.types import InferenceRequest, InferenceResponse  # type: ignore[import-not-found]
from work import Work, number  # type: ignore[import-not-found]

_LEVELS = {"version": 1, "root": {"level": "ERROR"}}


class Classify(MLModel):  # type: ignore[misc]
    """Images as BYTES of the protocol, or as a body at `/classify`."""

    async def load(self) -> bool:
        """Bring the network into memory."""
        self._work = Work()
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """Answer the images of a request, or of several that were put together."""
        said = self._work.answers(Base64Codec.decode_input(payload.inputs[0]))
        output = StringCodec.encode_output("answers", [each.decode() for each in said])
        return InferenceResponse(model_name=self.name, outputs=[output])

    @custom_handler(rest_path="/classify")  # type: ignore[untyped-decorator]
    async def classify(self, request: Request) -> Response:
        """Answer one image."""
        return Response(self._work.answer(await request.body()), media_type="application/json")


if __name__ == "__main__":
    port, folder = int(sys.argv[1]), Path.cwd()
    (folder / "settings.json").write_text(
        json.dumps(
            {
                "host": "127.0.0.1",
                "http_port": port,
                "grpc_port": int(os.environ["SERVED_SECOND_PORT"]),
                "parallel_workers": number("WORKERS", 0),
                "metrics_endpoint": None,
                "debug": False,
                "gzip_enabled": False,
                "logging_settings": _LEVELS,
            }
        )
    )
    batch = number("BATCH", 0)
    batching = {"max_batch_size": batch, "max_batch_time": number("WAIT_MS", 1) / 1000}
    (folder / "model-settings.json").write_text(
        json.dumps(
            {
                "name": "served",
                "implementation": "mlserver_server.Classify",
                **(batching if batch else {}),
            }
        )
    )
    here = str(Path(__file__).parent)
    program = str(Path(sys.executable).parent / "mlserver")
    os.environ["PYTHONPATH"] = here
    os.execv(program, [program, "start", str(folder)])  # noqa: S606 - what it is for
