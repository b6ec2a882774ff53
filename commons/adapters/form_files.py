"""The files of a form, which are closed at once when the form cannot be read to its end."""

from contextlib import suppress
from typing import IO

from flask import Request


class FormRequest(Request):
    """A request that leaves no temporary files behind when its form is too large or cut off."""

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
