"""Completes what flask-openapi3 writes from the code: errors, keys, and a policy for its pages.

Swagger UI comes from an installed package. Its page has scripts and styles of its own, so each
page gets a policy with the hashes of exactly those.
"""

import base64
import hashlib
import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from flask import Response, has_request_context, request
from flask_openapi3 import APIBlueprint, OpenAPI

# What flask-openapi3 serves its pages and their files with.
DOCUMENTATION = frozenset({"openapi", "swagger"})
_METHODS = frozenset({"get", "put", "post", "delete", "patch", "head"})
_INLINE = re.compile(r"<(script|style)>(.*?)</\1>", re.DOTALL)
_PROBLEM = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
_BYTES = {"description": "The bytes", "content": {"*/*": {}}}


class DocumentedApp(OpenAPI):
    """`flask_openapi3.OpenAPI` whose document says all that the services answer.

    `complete_security(method, operation)` says what an operation needs that says nothing itself.
    """

    complete_security: Callable[[str, dict[str, Any]], None]

    def register_api(self, api: APIBlueprint, **options: Any) -> None:
        """Register a blueprint, and keep what others have at the same addresses."""
        before = dict(self.paths)
        super().register_api(api, **options)
        for path, item in before.items():
            for method in _METHODS:
                operation = getattr(item, method, None)
                if operation is not None and getattr(self.paths[path], method, None) is None:
                    setattr(self.paths[path], method, operation)

    @property
    def api_doc(self) -> dict[str, Any]:
        """Return the document, with the address that is asked for it.

        A file knows no address that "/" would be relative to: what is made of one, such as a
        collection of Postman, could call nobody.
        """
        return {**super().api_doc, "servers": [{"url": _own_address()}]}

    def generate_spec_json(self) -> None:
        """Write the document, then what the library leaves out."""
        super().generate_spec_json()  # type: ignore[no-untyped-call]
        _complete_tuples(self.spec_json)
        for path, item in self.spec_json["paths"].items():
            for method, operation in item.items():
                if method in _METHODS:
                    self.complete_security(method, operation)
                    _complete_responses(path, operation)


def protect_pages(app: OpenAPI) -> None:
    """Give the pages of the documentation a strict content policy."""

    @app.after_request
    def harden(response: Response) -> Response:
        if request.blueprint in DOCUMENTATION:
            page = response.mimetype == "text/html"
            policy = (
                content_policy(response.get_data(as_text=True)) if page else "default-src 'none'"
            )
            response.headers["Content-Security-Policy"] = policy
            response.headers["X-Content-Type-Options"] = "nosniff"
            response.headers["Referrer-Policy"] = "no-referrer"
        return response


@lru_cache(maxsize=16)
def content_policy(page: str) -> str:
    """Return the policy under which exactly the scripts and styles of a page run."""
    own: dict[str, list[str]] = {"script": ["'self'"], "style": ["'self'"]}
    for kind, text in _INLINE.findall(page):
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        own[kind].append(f"'sha256-{digest}'")
    return "; ".join(
        (
            "default-src 'none'",
            f"script-src {' '.join(own['script'])}",
            f"style-src {' '.join(own['style'])}",
            "img-src 'self' data:",
            "connect-src 'self'",
            "form-action 'none'",
            "base-uri 'none'",
            "frame-ancestors 'none'",
        )
    )


def _own_address() -> str:
    if not has_request_context():
        return "/"
    encrypted = "https" in (request.scheme, request.headers.get("X-Forwarded-Proto"))
    return f"{'https' if encrypted else 'http'}://{request.host}"


def _complete_tuples(node: Any) -> None:
    """Say what any item of a tuple may be, beside what each is: Postman knows no `prefixItems`."""
    if isinstance(node, dict):
        if "prefixItems" in node:
            kinds = [
                kind
                for n, kind in enumerate(node["prefixItems"])
                if kind not in node["prefixItems"][:n]
            ]
            node.setdefault("items", kinds[0] if len(kinds) == 1 else {"anyOf": kinds})
        for value in node.values():
            _complete_tuples(value)
    elif isinstance(node, list):
        for value in node:
            _complete_tuples(value)


def _complete_responses(path: str, operation: dict[str, Any]) -> None:
    responses = operation["responses"]
    if not any(status.startswith("2") for status in responses):
        responses["200"] = _BYTES
    _add_problem(responses, "400", "The request is wrong: `detail` says what was expected")
    if operation["security"] != [{}]:
        challenge = {"WWW-Authenticate": {"schema": {"type": "string"}}}
        _add_problem(responses, "401", "No key, or one that is not good", challenge)
        _add_problem(responses, "403", "The key lacks the scope, or another site asks", challenge)
    if "{" in path:
        _add_problem(responses, "404", "There is no such thing")
    if "requestBody" in operation:
        _add_problem(responses, "413", "Above the limit that `detail` states")
        _add_problem(responses, "507", "No room left; nothing was changed")
    later = {"Retry-After": {"schema": {"type": "integer"}, "description": "In seconds"}}
    responses.setdefault(
        "503", {"description": "Again later", "headers": later, "content": _PROBLEM}
    )
    _add_problem(responses, "default", "Any other error: `type` is the word for programs")


def _add_problem(
    responses: dict[str, Any], status: str, description: str, headers: Any = None
) -> None:
    responses[status] = {
        "description": description,
        "content": _PROBLEM,
        **({"headers": headers} if headers else {}),
    }
