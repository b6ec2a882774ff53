"""Mosec: workers are processes behind a server in Rust, with batches that wait for others."""

import sys

from mosec import Server, Worker  # type: ignore[import-not-found]
from work import Work, number  # type: ignore[import-not-found]

_BATCH = number("BATCH", 1)
_CAPACITY = 1024


class Classify(Worker):  # type: ignore[misc]
    """Raw bytes in, JSON out."""

    def __init__(self) -> None:
        super().__init__()
        self._work = Work()

    def deserialize(self, data: bytes) -> bytes:
        """Take the body as it is; PNG decoders want bytes, this is a bytearray."""
        return bytes(data)

    def serialize(self, data: bytes) -> bytes:
        """Give the answer as it is."""
        return data

    def forward(self, data: list[bytes] | bytes) -> list[bytes] | bytes:
        """Answer one image, or a batch of them."""
        if isinstance(data, list):
            return self._work.answers(data)  # type: ignore[no-any-return]
        return self._work.answer(data)  # type: ignore[no-any-return]


if __name__ == "__main__":
    port = sys.argv[1]
    sys.argv[1:] = ["--address", "127.0.0.1", "--port", port, "--capacity", str(_CAPACITY)]
    sys.argv += ["--log-level", "warning"]
    server = Server()
    server.append_worker(
        Classify,
        num=number("WORKERS", 2),
        max_batch_size=_BATCH,
        max_wait_time=number("WAIT_MS", 1),
    )
    server.run()
