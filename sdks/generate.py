"""Writes what is generated of both SDKs, from the OpenAPI document of this checkout: `make sdks`.

1. The document becomes two, of /api/v1 and of API v3, without what a client has no use for: errors by status, headers
   of responses, the events of one catalogue.
2. datamodel-code-generator writes Python's types, openapi-typescript all of TypeScript's.
3. Python's methods are written here: see decision 0080.
"""

import base64
import json
import re
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from datamodel_code_generator.__main__ import main as codegen

from dispatcher.container import Container
from dispatcher.settings import Settings
from dispatcher.web.app import create_app
from tests.support import npm

JSON = dict[str, Any]

HERE = Path(__file__).parent
NOWHERE = "redis://127.0.0.1:1"
NO_KEY = base64.b64encode(bytes(32)).decode()
REFS = "#/components/schemas/"
MODELS = (
    "--input-file-type", "openapi", "--output-model-type", "typing.TypedDict", "--target-python-version", "3.11",
    "--use-standard-collections", "--use-union-operator", "--use-schema-description", "--use-field-description",
    "--disable-timestamp", "--formatters", "builtin",
)  # fmt: skip
TYPES = {"string": "str", "integer": "int", "boolean": "bool", "number": "float"}


class Api(NamedTuple):
    """An API, and the SDKs' name for it."""

    name: str
    prefix: str
    about: str


APIS = (Api("service", "/api/v1", "/api/v1, for a company's own programs"), Api("account", "/api/v3", "API v3"))


def main(into: Path) -> None:
    """Writes all of it; `into` is a folder like this one, with TypeScript's packages installed."""
    document = whole()
    parts = {api: part_of(document, api) for api in APIS}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for api, part in parts.items():
            (folder / f"{api.name}.json").write_text(json.dumps(part))
        write_python(parts, folder, into / "python" / "src" / "webhook_dispatcher_sdk")
        write_typescript(parts, folder, into / "typescript")


def write_python(parts: Mapping[Api, JSON], folder: Path, into: Path) -> None:
    """Types and methods; `folder` has the documents."""
    written = []
    for api, part in parts.items():
        models, module = into / f"{api.name}_models.py", into / f"{api.name}.py"
        module.write_text(methods(part, api))
        codegen(["--input", str(folder / f"{api.name}.json"), "--output", str(models), *MODELS])
        written += [models, module]
    run(tool("ruff"), "check", "--quiet", "--fix", "--select", "F401", *written)
    run(tool("ruff"), "format", "--quiet", *written)


def write_typescript(parts: Mapping[Api, JSON], folder: Path, into: Path) -> None:
    """Types, and which paths take an idempotency key: at run time there are no types."""
    output = {api: into / "src" / f"{api.name}.ts" for api in parts}
    apis = {
        f"{api.name}@1": {"root": str(folder / f"{api.name}.json"), "x-openapi-ts": {"output": str(file)}}
        for api, file in output.items()
    }
    (folder / "redocly.yaml").write_text(json.dumps({"apis": apis}))
    program = into / "node_modules" / "openapi-typescript" / "bin" / "cli.js"
    # An object is one with any attributes, and what has a default may be left out.
    flags = ("--empty-objects-unknown", "--default-non-nullable", "false")
    run(npm.NODE, program, "--redocly", folder / "redocly.yaml", *flags)
    for api, part in parts.items():
        keyed = sorted({one.path for one in operations(part) if takes_key(one)})
        text = f"export const keyed: ReadonlySet<string> = new Set({json.dumps(keyed)});"
        output[api].write_text(f"{output[api].read_text()}\n/** Where a POST takes an idempotency key. */\n{text}\n")


def whole() -> JSON:
    """As the server has it; an application connects to nothing until it is asked for something."""
    settings = Settings(
        database_url="postgresql://127.0.0.1:1/none", redis_url=NOWHERE, broker_url=NOWHERE, secret_keys=(NO_KEY,)
    )
    client = create_app(Container(settings)).test_client()
    document: JSON = json.loads(client.get("/api/v3/openapi.json", headers={"User-Agent": "sdks"}).data)
    return document


def part_of(document: JSON, api: Api) -> JSON:
    """The document of one API, with paths below it, and the schemas that they refer to."""
    paths = {
        path.removeprefix(api.prefix): {method: simplified(one, api) for method, one in item.items()}
        for path, item in document["paths"].items()
        if path.startswith(f"{api.prefix}/") and "/oauth/" not in path
    }
    schemas = document["components"]["schemas"]
    # Which events there are, and what is in them, is the catalogue's of each company.
    event = schemas["NewEvent"]
    event.pop("oneOf", None)
    event["properties"]["name"] = {"type": "string"}
    used: dict[str, JSON] = {}
    waiting = names_in(paths)
    while waiting:
        name = waiting.pop()
        if name not in used:
            used[name] = open_(schemas[name])
            waiting += names_in(schemas[name])
    if len({pleasant(name) for name in used}) < len(used):
        sys.exit(f"error: two schemas of {api.prefix} would have one name: {sorted(used)}")
    text = json.dumps({"paths": paths, "components": {"schemas": {name: used[name] for name in sorted(used)}}})
    for name in used:
        text = text.replace(f'"{name}"', f'"{pleasant(name)}"').replace(f'{REFS}{name}"', f'{REFS}{pleasant(name)}"')
    return {
        "openapi": "3.1.0",
        "info": {"title": api.about, "version": "1"},
        "tags": document["tags"],
        **json.loads(text),
    }


def simplified(operation: Any, api: Api) -> Any:
    """An operation, or a path's parameters, without what a client has no use for."""
    if isinstance(operation, list):
        return operation
    problem = [f"{REFS}Problem"] if api.name == "service" else [f"{REFS}Error", f"{REFS}FieldErrors"]
    content = {"schema": {"anyOf": [{"$ref": one} for one in problem]} if len(problem) > 1 else {"$ref": problem[0]}}
    kind = "application/problem+json" if api.name == "service" else "application/json"
    good = {status: one for status, one in operation["responses"].items() if status.startswith("2")}
    for one in good.values():
        one.pop("headers", None)
    seen: dict[str, JSON] = {one["name"]: one for one in operation.get("parameters", []) if "name" in one}
    kept = {
        name: operation[name]
        for name in ("operationId", "summary", "description", "tags", "requestBody")
        if name in operation
    }
    return kept | {
        "parameters": [one for one in seen.values() if one["in"] != "path"],
        "responses": good | {"default": {"description": "An error", "content": {kind: content}}},
    }


def open_(schema: Any) -> Any:
    """The same, where a later server may add attributes."""
    if isinstance(schema, dict):
        return {
            name: open_(one) for name, one in schema.items() if not (name == "additionalProperties" and one is False)
        }
    return [open_(one) for one in schema] if isinstance(schema, list) else schema


def names_in(part: Any) -> list[str]:
    """The names of the schemas that it refers to."""
    return re.findall(rf'"{REFS}(\w+)"', json.dumps(part))


def pleasant(name: str) -> str:
    """TenantWebhook → Webhook, Tenant → Account: in the whole document API v3's have these names."""
    name = re.sub(r"Tenant(?=List$|Input$|$)", "Account", name)
    return name.replace("Tenant", "").replace("WebhookWithExtras", "Webhook")


# -- Python's methods --------------------------------------------------------------------------------------------------


class Operation(NamedTuple):
    """A method of a class."""

    resource: str
    name: str
    method: str
    path: str
    parameters: list[JSON]
    json: JSON


def methods(document: JSON, api: Api) -> str:
    """The module: a class for each kind of record, and one of them all."""
    about = defaultdict(lambda: "Events.", {one["name"]: one["description"] for one in document["tags"]})
    by_resource: dict[str, list[Operation]] = defaultdict(list)
    for operation in operations(document):
        by_resource[operation.resource].append(operation)
    classes = [
        f'class {camel(name)}(Resource):\n    """{about[found[0].json["tags"][0]]}"""\n\n'
        + "\n".join(map(method, found))
        for name, found in by_resource.items()
    ]
    attributes = "\n".join(f"        self.{name} = {camel(name)}(transport)" for name in by_resource)
    return f'''"""Operations of {api.about}. Generated by `make sdks`: not to be edited."""

import builtins
from collections.abc import Iterator, Sequence
from datetime import datetime

from . import {api.name}_models as models
from .transport import Resource, Transport, new_key, segment, with_key


{chr(10).join(classes)}

class Operations:
    """All of them, by the kind of record."""

    def __init__(self, transport: Transport) -> None:
{attributes}
'''


def operations(document: JSON) -> Iterator[Operation]:
    """All, in the document's order."""
    for path, item in document["paths"].items():
        for http_method, one in item.items():
            if http_method != "parameters":
                _, resource, name = one["operationId"].split(".")
                parameters = [*item.get("parameters", []), *one["parameters"]]
                yield Operation(resource, name, http_method.upper(), path, parameters, one)


def method(operation: Operation) -> str:
    """Its text. What takes one record or many is two methods: `emit`, `emit_many`."""
    body = body_of(operation)
    if "anyOf" in body:
        many = operation._replace(name=f"{operation.name}_many")
        one, given = body["anyOf"][0], response_of(operation)["anyOf"]
        return "\n".join(
            (
                text_of(operation, type_of(one), type_of(given[0]), body="with_key(body)"),
                text_of(many, f"Sequence[{type_of(one)}]", type_of(given[1]), body="[with_key(one) for one in body]"),
            )
        )
    return text_of(operation, type_of(body) if body else "", type_of(response_of(operation)))


def text_of(operation: Operation, takes: str, gives: str, body: str = "body") -> str:
    """A method of Python; `takes` is "" where there is no body."""
    is_optional = takes and not operation.json["requestBody"].get("required")
    paged = {"cursor": "cursor", "before": "link", "page": "page"}
    by = next((paged[one["name"]] for one in operation.parameters if one["name"] in paged), "")
    by = "" if by == "cursor" and not gives.endswith("List") else by  # what is polled has no end
    pages = ("cursor", "page") if by else ()
    queries = [one for one in operation.parameters if one["in"] == "query" and one["name"] not in pages]
    has_key = body == "body" and takes_key(operation)
    signature = ["self"]
    signature += [f"{one['name']}: {type_of(one['schema'])}" for one in operation.parameters if one["in"] == "path"]
    signature += [f"body: {takes} | None = None" if is_optional else f"body: {takes}"] if takes else []
    named = [f"{one['name']}: {query_type(one['schema'])} | None = None" for one in queries]
    named += ["idempotency_key: str | None = None"] if has_key else []
    path = re.sub(r"{(\w+)}", r"{segment(\1)}", operation.path)
    quoted = f'f"{path}"' if "{" in path else f'"{path}"'
    query = "{" + ", ".join(f'"{one["name"]}": {one["name"]}' for one in queries) + "}"
    if by:
        record = gives.removeprefix("builtins.list[").removesuffix("]").removesuffix("List")
        gives = f"Iterator[{record}]"
        call = f'self._transport.items({quoted}, {query}, "{by}")'
    else:
        given = [f'"{operation.method}"', quoted]
        given += [f"query={query}"] if queries else []
        given += [f"body={body}"] if takes else []
        given += ["idempotency_key=idempotency_key or new_key()"] if has_key else []
        given += ["is_repeatable=True"] if body != "body" else []
        call = f"self._transport.call({', '.join(given)})"
    about = operation.json["summary"] + (
        f"\n\n{operation.json['description']}\n" if "description" in operation.json else ""
    )
    about = about.replace("\n", "\n        ").rstrip(" ")
    head = ", ".join(signature + (["*", *named] if named else []))
    end = "        " if about.endswith("\n") else ""
    return (
        f'    def {operation.name}({head}) -> {gives}:\n        """{about}{end}"""\n'
        + f"        {'' if gives == 'None' else 'return '}{call}\n"
    )


def takes_key(operation: Operation) -> bool:
    """Whether it may have the header Idempotency-Key."""
    return any(one["name"] == "Idempotency-Key" for one in operation.parameters)


def body_of(operation: Operation) -> JSON:
    """The schema of its request, {} for none."""
    content = operation.json.get("requestBody", {}).get("content", {})
    schema: JSON = content.get("application/json", {}).get("schema", {})
    return schema


def response_of(operation: Operation) -> JSON:
    """The schema of its response, {} for none."""
    good = [
        one.get("content", {}).get("application/json", {}).get("schema")
        for status, one in operation.json["responses"].items()
        if status != "default"
    ]
    different = list({json.dumps(one): one for one in good if one}.values())
    return different[0] if len(different) == 1 else {"oneOf": different} if different else {}


def type_of(schema: JSON) -> str:
    """Of a body, a response or a part of a path."""
    if "$ref" in schema:
        return "models." + schema["$ref"].removeprefix(REFS)
    if "oneOf" in schema:
        return " | ".join(map(type_of, schema["oneOf"]))
    if schema.get("type") == "array":
        return f"builtins.list[{type_of(schema['items'])}]"
    return TYPES[schema["type"]] if schema else "None"


def query_type(schema: JSON) -> str:
    """Of a parameter of the query."""
    return "datetime | str" if schema.get("format") == "date-time" else TYPES[schema["type"]]


def camel(name: str) -> str:
    """event_types → EventTypes."""
    return "".join(part.capitalize() for part in name.split("_"))


# ----------------------------------------------------------------------------------------------------------------------


def tool(name: str) -> Path:
    """A program of this environment."""
    return Path(sys.executable).parent / name


def run(*command: str | Path) -> None:
    """Ends with what the program says where it fails."""
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"error: {command[0]}: {done.stdout}{done.stderr}")


if __name__ == "__main__":
    npm.install(HERE / "typescript")
    main(HERE)
