"""LitServe: a FastAPI front, and workers in processes of their own."""

import sys
from typing import Annotated

import litserve  # type: ignore[import-not-found]
from fastapi import Body, Response  # type: ignore[import-not-found]
from work import Work, number  # type: ignore[import-not-found]

_BATCH = number("BATCH", 1)


class Classify(litserve.LitAPI):  # type: ignore[misc]
    """Raw bytes in, JSON out."""

    def setup(self, device: str) -> None:
        """Bring the network into memory."""
        self._work = Work()

    def decode_request(self, request: Annotated[bytes, Body()]) -> bytes:
        """Take the body as it is."""
        return request

    def batch(self, inputs: list[bytes]) -> list[bytes]:
        """Take a batch as it is."""
        return inputs

    def unbatch(self, output: list[bytes]) -> list[bytes]:
        """Give a batch as it is."""
        return output

    def predict(self, x: list[bytes] | bytes) -> list[bytes] | bytes:
        """Answer one image, or a batch of them."""
        if isinstance(x, list):
            return self._work.answers(x)  # type: ignore[no-any-return]
        return self._work.answer(x)  # type: ignore[no-any-return]

    def encode_response(self, output: bytes) -> Response:
        """Give the answer as it is."""
        return Response(output, media_type="application/json")


if __name__ == "__main__":
    api = Classify(
        max_batch_size=_BATCH,
        batch_timeout=number("WAIT_MS", 1) / 1000 if _BATCH > 1 else 0.0,
        api_path="/classify",
    )
    server = litserve.LitServer(
        api,
        accelerator="cpu",
        workers_per_device=number("WORKERS", 2),
        fast_queue=bool(number("FAST_QUEUE", 0)),
        timeout=False,
    )
    server.run(
        host="127.0.0.1",
        port=int(sys.argv[1]),
        num_api_servers=number("FRONTS", 1),
        log_level="warning",
        generate_client_file=False,
    )
