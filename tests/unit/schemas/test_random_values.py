"""Whatever valid value a service hands over: it is accepted, and written the same way by every path."""

import json
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dispatcher.schemas.api_v3 import EVENT_TYPES
from tests.support.bodies import render_body
from tests.support.cases import each
from tests.unit.schemas.facts import RESOURCES, in_order
from tests.unit.schemas.strategies import BODIES, bodies, objects

# Wide objects are big examples; four of each type show what a hundred of one would.
few = settings(
    max_examples=4,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example],
)


@each("name", RESOURCES)
@few
@given(data=st.data())
def test_load_dump_load_is_stable(name: str, data: st.DataObject) -> None:
    schema = RESOURCES[name]
    value = data.draw(objects(schema))

    loaded = schema.load(value)
    dumped = schema.dump(loaded)

    assert in_order(schema.dump(value)) == in_order(dumped)
    assert schema.load(dumped) == loaded
    assert in_order(schema.dump(schema.load(dumped))) == in_order(dumped)
    assert list(dumped) == [attribute for attribute in schema.fields if attribute in value]


@each("event_name", BODIES)
@settings(few, max_examples=3)
@given(data=st.data())
def test_a_valid_body_is_rendered_as_the_schemas_dump_it(event_name: str, data: st.DataObject) -> None:
    body = data.draw(bodies(event_name))

    rendered = json.loads(render_body(event_name, body))

    assert in_order(rendered) == in_order(
        {key: shape.inner.dump(body[key], many=shape.many) for key, shape in EVENT_TYPES[event_name].keys.items()}
    )
    assert in_order(json.loads(render_body(event_name, rendered))) == in_order(rendered)
    # Objects with attributes come to the same.
    objects_ = {
        key: [_AnObject(one) for one in of] if isinstance(of, list) else _AnObject(of) for key, of in body.items()
    }
    assert in_order(json.loads(render_body(event_name, objects_))) == in_order(rendered)


class _AnObject:
    """Attributes instead of keys."""

    def __init__(self, attributes: Any) -> None:
        self.__dict__.update(attributes)
