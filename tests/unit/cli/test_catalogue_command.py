"""`dispatcher catalogue`, on a company's own catalogue."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from marshmallow import Schema, fields

from dispatcher.cli.catalogue import catalogue
from dispatcher.schemas import Catalogue
from dispatcher.schemas.active_catalogues import Catalogues, use
from tests.support import shop


@pytest.fixture(autouse=True)
def _shop() -> Iterator[None]:
    use(Catalogues(shop.catalogue))
    yield
    use(None)


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(catalogue, arguments)
    return result.exit_code, result.output


def test_a_catalogue_in_order_has_no_problems() -> None:
    assert run("check") == (0, "shop: 5 events, no problems\n")
    assert run("check", "--json") == (0, "[]\n")


def test_problems_are_named() -> None:
    unfit = Catalogue("unfit")
    one = unfit.resource("one", Schema.from_dict({"id": fields.Integer(), "code": fields.String(validate=len)}))
    other = unfit.resource("other", Schema.from_dict({"id": fields.String(required=True)}), id="number")
    unfit.event("one.made", one, example={"one": {"id": "x"}})
    unfit.event("other.made", other)
    use(Catalogues(unfit))

    code, output = run("check")

    assert code == 1
    assert output.splitlines() == [
        "one.made: the example is refused: one.id: not an integer",
        "one.made: one.id identifies it, but is not required",
        "other.made: an example that was made up (give one: `example=`) is refused: other.number: "
        "must be an integer, or a string of 1 to 200 characters",
        "other.made: other.number identifies it, but is not required",
    ]


def test_downgrades_are_tried_on_the_example() -> None:
    use(Catalogues(shop.a_versioned_catalogue()))
    assert run("check") == (0, "shop: 5 events, no problems\n")

    broken = shop.a_catalogue()
    order = broken.events["order.created"].about
    broken.event("order.created", order, version=2, downgrade=lambda body: body["order"]["sum"])
    use(Catalogues(broken))
    problem = "order.created.v2: its example: version 2 of order.created cannot be made version 1: KeyError\n"
    assert run("check") == (1, problem)


def test_a_diff_shows_what_breaks_receivers(tmp_path: Path) -> None:
    base = tmp_path / "events.json"
    base.write_text(run("export")[1])
    assert run("diff", str(base)) == (0, "no changes\n")

    changed = Catalogue("shop")
    attributes = {name: field for name, field in shop.OrderSchema().fields.items() if name != "state"}
    changed.event("order.created", changed.resource("order", Schema.from_dict(attributes, name="OrderSchema")))
    use(Catalogues(changed))
    code, output = run("diff", str(base))

    assert code == 1
    assert "BREAKS order.shipped: removed\n" in output
    assert "BREAKS order.created: data.order.state: removed\n" in output
    assert output.count("BREAKS ") == len(json.loads(run("diff", "--json", str(base))[1])) == 5


def test_a_diff_needs_an_export(tmp_path: Path) -> None:
    base = tmp_path / "events.json"
    base.write_text("[]")

    code, output = run("diff", str(base))

    assert (code, "is no output of `dispatcher catalogue export`" in output) == (2, True)


def test_an_export_is_a_document_in_each_format() -> None:
    schema, openapi, asyncapi = (
        json.loads(run("export", "--format", name)[1]) for name in ("json-schema", "openapi", "asyncapi")
    )

    assert schema["$defs"]["order.shipped"]["required"] == ["type", "timestamp", "data"]
    assert list(openapi["webhooks"]) == list(shop.catalogue.events)
    assert list(asyncapi["components"]["messages"]) == list(shop.catalogue.events)
    for document in (schema, openapi, asyncapi):
        for reference in references(document):
            found = document
            for part in reference.removeprefix("#/").split("/"):
                found = found[part]


def references(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for item in value.values():
            yield from references(item)
    elif isinstance(value, list):
        for item in value:
            yield from references(item)
