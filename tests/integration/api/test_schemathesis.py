"""Requests that schemathesis makes of our own OpenAPI document, good ones and bad: no 5xx, nothing undocumented."""

import json
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from dispatcher.container import Container
from dispatcher.settings import Settings
from dispatcher.web.app import create_app
from tests.support.api import AGENT, Api
from tests.support.builders import SECRET_KEY
from tests.support.routes import things_of

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
SMALL_EVENTS = ["inbox_file_removed_all", "inbox_file_created"]
_NOWHERE = "redis://127.0.0.1:1"


def _document() -> dict[str, Any]:
    """As the server writes it: an application connects to nothing until it is asked for something."""
    container = Container(
        Settings(
            database_url="postgresql://127.0.0.1:1/none",
            redis_url=_NOWHERE,
            broker_url=_NOWHERE,
            secret_keys=(SECRET_KEY,),
        )
    )
    answer = create_app(container).test_client().get("/api/v3/openapi.json", headers={"User-Agent": AGENT})
    found: dict[str, Any] = json.loads(answer.data)
    # Making examples of 53 events, most with a hundred attributes, takes minutes.
    event = found["components"]["schemas"]["NewEvent"]
    event["oneOf"] = [one for one in event["oneOf"] if one["title"] in SMALL_EVENTS]
    event["properties"]["name"]["enum"] = SMALL_EVENTS
    return found


schema = schemathesis.openapi.from_dict(_document())


@pytest.fixture
def things(api: Api) -> dict[str, Any]:
    api.container.schedule.worker_seen("worker1@test")  # without one /readyz is 503
    return things_of(api)


@schema.parametrize()
@settings(
    max_examples=12,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.filter_too_much],
)
def test_every_answer_is_a_documented_one(case: Any, api: Api, things: dict[str, Any]) -> None:
    # Of what the paths name there is one of each here; made-up names would all be 404.
    for name in case.path_parameters or {}:
        if name in things:
            case.path_parameters[name] = things[name]
    case.headers["User-Agent"] = AGENT
    case.headers["Authorization"] = f"Bearer {api.token}"

    answer = case.call(base_url=api.server.url)

    case.validate_response(answer, checks=CHECKS)
