"""Requests that schemathesis makes of our own OpenAPI document, good ones and bad: no 5xx, nothing undocumented.

`FAULTS=long` (by `make faults`) makes many more of each.
"""

import json
import os
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from dispatcher.container import Container
from dispatcher.settings import Settings
from dispatcher.web.app import create_app
from tests.support.api import AGENT, Api, Server
from tests.support.builders import SECRET_KEY, an_account
from tests.support.routes import ROUTES, things_of
from tests.support.service import V1_ROUTES, Service

SMALL_EVENTS = ["inbox_file_removed_all", "inbox_file_created"]
EXAMPLES = 24 if os.environ.get("FAULTS") == "long" else 3
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


def things_of_new_client(server: Server, container: Container, slug: str) -> tuple[Api, dict[str, Any]]:
    """A client of a new account, and what there is of each that the paths name; made-up names would all be 404."""
    caller = Api.of(server, container, an_account(container.storage, slug))
    things = things_of(caller)
    event_id = caller.get(f"/deliveries/{things['delivery']}.json").json()["event_id"]
    return caller, things | {"external_id": slug, "event_id": event_id}


def test_every_answer_is_a_documented_one(server: Server, container: Container, subtests: pytest.Subtests) -> None:
    # Here, as every process of a run collects this file and one of them needs it: a second of CPU each.
    import schemathesis  # noqa: PLC0415
    from schemathesis import checks  # noqa: PLC0415
    from schemathesis.specs.openapi import checks as openapi  # noqa: PLC0415

    wanted = [
        checks.not_a_server_error,
        openapi.status_code_conformance,
        openapi.content_type_conformance,
        openapi.response_headers_conformance,
        openapi.response_schema_conformance,
    ]

    def ask(case: Any) -> None:
        for name in case.path_parameters or {}:
            if name in things:
                case.path_parameters[name] = things[name]
        case.headers["User-Agent"] = AGENT
        is_v1 = case.path.startswith("/api/v1/")
        case.headers["Authorization"] = f"Bearer {service.text if is_v1 else caller.token}"

        answer = case.call(base_url=server.url)

        case.validate_response(answer, checks=wanted)

    service = Service.of(server, container)
    found: Any = schemathesis.openapi.from_dict(_document()).get_all_operations()
    operations = [each.ok() for each in found]
    assert len(operations) > len(ROUTES) + len(V1_ROUTES)  # and those without a token
    few = settings(max_examples=EXAMPLES, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
    reader = things_of_new_client(server, container, "documented")
    for number, operation in enumerate(operations):
        with subtests.test(operation=operation.label):
            is_reading = operation.method == "get"
            caller, things = reader if is_reading else things_of_new_client(server, container, f"documented{number}")
            container.schedule.workers.seen("worker1@test")  # without one /readyz is 503
            few(given(case=operation.as_strategy())(ask))()
