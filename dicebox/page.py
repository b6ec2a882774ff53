"""Serves the web client: files of `web_client/` under a strict content policy."""

from importlib.resources import files
from pathlib import PurePosixPath

from flask import Flask, Response, abort, send_from_directory

# The page runs its own files and talks to its own origin, nothing else.
CONTENT_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "worker-src 'self'",
        "style-src 'self'",
        "img-src 'self' blob: data:",
        "connect-src 'self'",
        "form-action 'none'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
# What a page is made of, whatever else lies in the folder; nginx has the same list.
_KINDS = {
    ".html": "text/html",
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
    ".gz": "application/gzip",
}


def create_page() -> Flask:
    """Return an app that serves `/` and the files beside it."""
    folder = str(files("web_client"))
    app = Flask("dicebox_page", static_folder=None)

    @app.get("/")
    def index() -> Response:
        return send_from_directory(folder, "index.html")

    @app.get("/<path:file>")
    def file(file: str) -> Response:
        kind = _KINDS.get(PurePosixPath(file).suffix)
        if kind is None:
            abort(404)
        return send_from_directory(folder, file, mimetype=kind)

    @app.after_request
    def harden(response: Response) -> Response:
        response.headers["Content-Security-Policy"] = CONTENT_POLICY
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["Referrer-Policy"] = "no-referrer"
        response.headers["Permissions-Policy"] = "camera=(self)"
        # The files change with the version installed; a 304 costs next to nothing.
        response.headers["Cache-Control"] = "no-cache"
        return response

    return app
