"""The OpenAPI 3.1 document of every route, and a page to try them, all of whose files come from here.

flask-smorest collects paths, parameters and schemas from the blueprints. What the routes have in common is added once:
the way to authorize, the header that must be there, the errors with which the checks before each request answer, and
the quota's headers. Each process writes the document at the first request, and after event types have changed.
"""

import json
import re
from collections.abc import Mapping
from copy import deepcopy
from functools import cache, lru_cache
from importlib.resources import files
from typing import Any

from flask import Blueprint, Flask, Response, current_app
from flask_smorest import Api

from dispatcher.api.auth import PREFIX, security
from dispatcher.api.errors import not_found
from dispatcher.api.separate import separate
from dispatcher.api.v1 import document as v1
from dispatcher.api.v1.problems import is_v1
from dispatcher.schemas import EventType, active, documents
from dispatcher.schemas.active_catalogues import Catalogues
from dispatcher.schemas.api.emitted import EmittedSchema
from dispatcher.schemas.api.tenant import ProblemSchema
from dispatcher.schemas.from_json import BATCH_LIMIT
from dispatcher.schemas.wire.fields import Items, Wire
from dispatcher.schemas.wire.json_schema import of_field
from dispatcher.storage.admin.clients import SCOPES

JSON = dict[str, Any]

blueprint = Blueprint("docs", __name__)

_NAME = "dispatcher.openapi"
_EMIT_PATH = f"{PREFIX}/accounts/{{slug}}/events.json"
_REFS = "#/components/schemas/"
_ABOUT = """The webhook half of Fakturoid's API v3, and what lies beyond it: emitting events, the catalogue of events,
deliveries, replays, trying a webhook out, and its signing secret. Send the token of `/api/v3/oauth/token` with every
request, and a `User-Agent` that names you.

Below `/api/v1` a company's own programs manage all accounts, and emit for them, with a service token."""
_SCOPES = dict(
    zip(SCOPES, ("webhooks and what failed", "the activity log", "emitting", "deliveries, and replaying"), strict=True)
)

_METHODS = ("get", "post", "put", "patch", "delete")
_ERRORS: Mapping[int, str] = {
    400: "The request is malformed",
    401: "The access token is missing, unknown, expired or revoked",
    403: "The access token lacks the scope",
    404: "The record does not exist, or belongs to another account",
    413: "The body is larger than 5 MiB",
    415: "Only application/json is supported",
    422: "Unprocessable Content",
    429: "The quota for this minute is used up",
    503: "The service is unavailable; try again later",
}

_FILES = {
    "docs.js": "text/javascript",
    "swagger-ui-bundle.js": "text/javascript",
    "swagger-ui.css": "text/css",
    "favicon-32x32.png": "image/png",
    "oauth2-redirect.html": "text/html",
    "oauth2-redirect.js": "text/javascript",
}
# Scripts from these files only, none in the page. Swagger UI sets styles on elements, and has icons in data: URLs.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self';"
    " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def prepare(app: Flask, api: Api) -> None:
    """Makes flask-smorest know our fields, before blueprints are registered."""
    api.ma_plugin.converter.add_attribute_function(_attribute)
    api.spec.components.schema("Emitted", schema=EmittedSchema)  # which no route of Flask's answers
    api.spec.components.schema("Problem", schema=ProblemSchema)

    @lru_cache(maxsize=1)
    def written(catalogues: Catalogues) -> str:
        return json.dumps(_document(deepcopy(api.spec.to_dict()), catalogues), ensure_ascii=False)

    app.extensions[_NAME] = lambda: written(active())


@blueprint.get("/openapi.json")
def document() -> Response:
    """The document."""
    return Response(current_app.extensions[_NAME](), mimetype="application/json")


@blueprint.get("/docs")
def page() -> Response:
    """The page to try it."""
    return _file("docs.html", "text/html")


@blueprint.get("/docs/<name>")
def page_file(name: str) -> Response:
    """What the page loads."""
    if name not in _FILES:
        raise not_found()
    return _file(name, _FILES[name])


def _file(name: str, mimetype: str) -> Response:
    headers = {"Content-Security-Policy": _POLICY, "X-Content-Type-Options": "nosniff"}
    return Response(_content(name), mimetype=mimetype, headers=headers)


@cache
def _content(name: str) -> bytes:
    """A file of this package, or of Swagger UI's."""
    file = files("dispatcher.api") / "static" / name
    return (file if file.is_file() else files("flask_swagger_ui") / "dist" / name).read_bytes()


def _attribute(_converter: object, field: Any, **_: Any) -> JSON:
    """A wire field's schema, for flask-smorest."""
    return of_field(field, _REFS) if isinstance(field, Wire | Items) else {}


def _document(collected: JSON, catalogues: Catalogues) -> JSON:
    separate(collected)
    _name_operations(collected["paths"])
    collected["paths"][_EMIT_PATH]["post"] = _emit() | {"operationId": "v3.events.emit"}
    collected["paths"][v1.EMIT_PATH]["post"] = v1.emit(_emit())
    components = collected["components"]
    components["schemas"] |= documents.types(catalogues, _REFS) | {"NewEvent": _new_event()}
    collected["webhooks"] = documents.webhooks(catalogues)
    components["schemas"].pop("PaginationMetadata")  # flask-smorest's own, of which nothing is used
    components |= _common()
    for path, operations in collected["paths"].items():
        for operation in (operations[method] for method in _METHODS if method in operations):
            operation["responses"].pop("default", None)
            if path.startswith(PREFIX):
                _complete(operations, operation)
            elif is_v1(path):
                v1.complete(operation, has_path_parameters="parameters" in operations)
    collected["info"]["description"] = _ABOUT
    return collected


def _name_operations(paths: JSON) -> None:
    """Gives each the name of its view: `v1.webhooks.create`. SDKs name their methods so: a new name breaks programs."""
    for rule in current_app.url_map.iter_rules():
        path = re.sub(r"<(?:[^<>]*:)?(\w+)>", r"{\1}", rule.rule)
        name = re.sub(r"^v1_", "v1.", re.sub(r"_\d*$", "", rule.endpoint))
        version = "v3." if path.startswith(PREFIX) else ""
        alias = "_json" if rule.rule.endswith(".json") and path.startswith(f"{PREFIX}/oauth/") else ""
        for method in (rule.methods or set()) & {method.upper() for method in paths.get(path, {})}:
            paths[path][method.lower()]["operationId"] = f"{version}{name}{alias}"


def _complete(operations: JSON, operation: JSON) -> None:
    """Adds what the checks before the view need and answer with."""
    statuses = {400, 415, 503}
    scopes = operation["security"][0].get("oauth2")  # None where it takes no token
    if scopes is not None:
        statuses |= {401, 429} | ({403} if scopes else set())
    if operations.get("parameters"):  # of the path
        statuses.add(404)
    parameters = operation.setdefault("parameters", [])
    for parameter in parameters:
        if parameter.get("name") == "event_name":
            parameter["schema"] = {"type": "string", "enum": list(active().events)}
    parameters.append({"$ref": "#/components/parameters/UserAgent"})
    if "requestBody" in operation:
        statuses |= {413} | ({422} if scopes is not None else set())
    responses = operation["responses"]
    for status in statuses:
        responses[str(status)] = {"$ref": f"#/components/responses/{status}"}
    for response in responses.values():
        if "$ref" not in response:
            response.setdefault("headers", {}).update(_QUOTA_REFS)


_QUOTA_REFS = {name: {"$ref": f"#/components/headers/{name}"} for name in ("X-RateLimit-Policy", "X-RateLimit")}


def _common() -> JSON:
    return {
        "responses": {
            str(status): {
                "description": text,
                "headers": _QUOTA_REFS,
                "content": {
                    "application/json": {"schema": {"$ref": f"{_REFS}{'FieldErrors' if status == 422 else 'Error'}"}}
                },
            }
            for status, text in _ERRORS.items()
        }
        | v1.responses(),
        "headers": {
            "X-RateLimit-Policy": _header(
                "Requests per window, and the length of the window in seconds", "default;q=400;w=60"
            ),
            "X-RateLimit": _header("Requests left, and seconds until the quota is full again", "default;r=398;t=55"),
        },
        "parameters": {
            "UserAgent": {
                "in": "header",
                "name": "User-Agent",
                "required": True,
                "schema": {"type": "string", "pattern": "^[!-~]([ -~]*[!-~])?$"},
                "example": "AppName (contact@example.com)",
            }
        },
        "securitySchemes": _security_schemes(),
    }


def _header(text: str, example: str) -> JSON:
    return {"description": text, "schema": {"type": "string"}, "example": example}


def _security_schemes() -> JSON:
    urls = {"tokenUrl": f"{PREFIX}/oauth/token", "scopes": _SCOPES}
    code = {"authorizationUrl": f"{PREFIX}/oauth", "refreshUrl": f"{PREFIX}/oauth/token"}
    return {
        "oauth2": {"type": "oauth2", "flows": {"clientCredentials": urls, "authorizationCode": code | urls}},
        "bearer": {"type": "http", "scheme": "bearer", "description": "An existing access token."},
        "client": {"type": "http", "scheme": "basic", "description": "client_id and client_secret."},
        **v1.SCHEME,
    }


def _new_event() -> JSON:
    """An event to be emitted: one variant for each name, which tells the body."""
    return {
        "description": "An event to emit. Its name determines the schema of its body.",
        "type": "object",
        "properties": {
            "name": {"type": "string", "enum": list(active().events)},
            "version": {"type": ["integer", "null"], "description": "Of the body. Default: the newest."},
            "created_at": {
                "type": ["string", "null"],
                "format": "date-time",
                "description": "When the event occurred, with an offset. Default: now.",
            },
            "idempotency_key": {"type": ["string", "null"], "minLength": 1, "maxLength": 255, "pattern": "^[ -~]*$"},
            "body": {"type": "object"},
        },
        "required": ["name", "body"],
        "additionalProperties": False,
        "oneOf": [
            _variant(event, is_newest=event is active().events[event.name]) for event in active().versions.values()
        ],
    }


def _variant(event: EventType, *, is_newest: bool) -> JSON:
    properties = {"name": {"const": event.name}, "body": event.body.json_schema(_REFS)}
    if event.previous is None and is_newest:
        return {"title": event.name, "properties": properties}
    version = {"enum": [event.version, None]} if is_newest else {"const": event.version}
    required = {} if is_newest else {"required": ["version"]}
    return {"title": event.qualified_name, "properties": {**properties, "version": version}, **required}


def _emit() -> JSON:
    """POST events.json, which is no route of Flask's."""
    key = {
        "in": "header",
        "name": "Idempotency-Key",
        "schema": {"type": "string", "minLength": 1, "maxLength": 255},
        "description": "Of a single event: a second emit of it returns the first event.",
    }
    return {
        "tags": ["events"],
        "security": security("events:write"),
        "summary": f"Emits one event, or an array of up to {BATCH_LIMIT:,}: all or none. Answered, in order, once they"
        " are committed.",
        "description": "A second emit of an idempotency key stands for the first event, which is answered with `new`"
        " false. Errors are reported by path: `body.invoice.id`, of an array `[3].body.invoice.id`.",
        "parameters": [key],
        "requestBody": _emit_body(),
        "responses": {"202": {"description": "Accepted", "content": _one_or_many(f"{_REFS}Emitted")}},
    }


def _emit_body() -> JSON:
    content = _one_or_many(f"{_REFS}NewEvent", minItems=1, maxItems=BATCH_LIMIT)
    event = min(active().events.values(), key=lambda event: len(str(event.example)))
    small = {"name": event.name, "body": event.example}
    content["application/json"]["examples"] = {
        "one": {"value": small},
        "many": {"value": [small | {"idempotency_key": key} for key in ("order-17", "order-18")]},
    }
    return {"required": True, "content": content}


def _one_or_many(reference: str, **bounds: int) -> JSON:
    one = {"$ref": reference}
    return {"application/json": {"schema": {"anyOf": [one, {"type": "array", "items": one, **bounds}]}}}
