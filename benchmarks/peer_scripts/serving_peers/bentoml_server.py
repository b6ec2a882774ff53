"""BentoML: a service in worker processes, its own application mounted for bodies as they are.

BentoML's own routes take JSON, forms or files on disk; this is the way to raw bytes.
"""

import os
import sys

import bentoml  # type: ignore[import-not-found]
from starlette.applications import Starlette  # type: ignore[import-not-found]
from starlette.requests import Request  # type: ignore[import-not-found]
from starlette.responses import Response  # type: ignore[import-not-found]
from starlette.routing import Route  # type: ignore[import-not-found]
from work import Work, number  # type: ignore[import-not-found]

# The application knows no service: here is what that has loaded.
_work: list[Work] = []


async def classify(request: Request) -> Response:
    """Answer one image."""
    return Response(_work[0].answer(await request.body()), media_type="application/json")


app = Starlette(routes=[Route("/classify", classify, methods=["POST"])])


@bentoml.service(workers=number("WORKERS", 2), metrics={"enabled": False})
@bentoml.asgi_app(app)
class Classify:
    """Holds the network of a worker."""

    def __init__(self) -> None:
        _work.append(Work())


if __name__ == "__main__":
    here = os.path.dirname(os.path.abspath(__file__))
    arguments = ["serve", "-q", "bentoml_server:Classify", "--working-dir", here]
    program = os.path.join(os.path.dirname(sys.executable), "bentoml")
    os.environ["BENTOML_DO_NOT_TRACK"] = "True"
    address = ["--host", "127.0.0.1", "--port", sys.argv[1]]
    os.execv(program, [program, *arguments, *address])  # noqa: S606 - what it is for
