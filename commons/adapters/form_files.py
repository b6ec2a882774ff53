"""A request whose body is all of it, and whose form's files are closed when it is not."""

from contextlib import suppress
from typing import IO

from flask import Request
from werkzeug.utils import cached_property

from commons.adapters.body_stream import BodyStream


class FormRequest(Request):
    """A request that leaves no temporary files behind when its form is too large or cut off."""

    @cached_property
    def stream(self) -> IO[bytes]:
        """The body; one that is too long or cut off raises when it is read."""
        stream: IO[bytes] = super().stream
        most = self.max_content_length
        # Without a server that ends the body itself, only its said length is read.
        if most is None or not self.environ.get("wsgi.input_terminated"):
            return stream
        return BodyStream(self.environ["wsgi.input"], most, self.content_length)  # type: ignore[return-value]

    def _get_file_stream(
        self,
        total_content_length: int | None,
        content_type: str | None,
        filename: str | None = None,
        content_length: int | None = None,
    ) -> IO[bytes]:
        stream = super()._get_file_stream(
            total_content_length, content_type, filename, content_length
        )
        self.__dict__.setdefault("_opened", []).append(stream)
        return stream

    def _load_form_data(self) -> None:
        try:
            super()._load_form_data()
        except BaseException:
            for stream in self.__dict__.get("_opened", ()):
                with suppress(OSError):  # closing writes first, on a disk that may be full
                    stream.close()
            raise
