"""Whatever valid value a service hands over: it is accepted, and written the same way by every path."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schemas import EVENT_TYPES, RESOURCES
from schemas.wire.body import render_body
from tests.unit.schemas.facts import in_order
from tests.unit.schemas.strategies import bodies, objects

# Wide objects are big examples; twenty of each type show what a hundred of one would.
few = settings(
    max_examples=20,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example],
)
BODY_KEYS = {
    key.type_name: (each.name, key.name) for each in EVENT_TYPES.values() for key in each.body if len(each.body) == 1
}


@pytest.mark.parametrize("name", RESOURCES)
@few
@given(data=st.data())
def test_load_dump_load_is_stable(name, data):
    schema = RESOURCES[name]
    value = data.draw(objects(schema))

    loaded = schema.load(value)
    dumped = schema.dump(loaded)

    assert in_order(schema.dump(value)) == in_order(dumped)
    assert schema.load(dumped) == loaded
    assert in_order(schema.dump(schema.load(dumped))) == in_order(dumped)
    assert list(dumped) == [attribute for attribute in schema.fields if attribute in value]


@pytest.mark.parametrize("name", [name for name in RESOURCES if name in BODY_KEYS])
@few
@given(data=st.data())
def test_a_valid_body_is_rendered_as_the_schema_dumps_it(name, data):
    event_name, key = BODY_KEYS[name]
    value = data.draw(objects(RESOURCES[name]))

    rendered = json.loads(render_body(event_name, {key: value}))

    assert in_order(rendered) == in_order({key: RESOURCES[name].dump(value)})
    assert in_order(json.loads(render_body(event_name, rendered))) == in_order(rendered)


@pytest.mark.parametrize("event_name", [each.name for each in EVENT_TYPES.values() if not each.bulk])
@settings(few, max_examples=3)
@given(data=st.data())
def test_every_event_takes_valid_objects(event_name, data):
    body = data.draw(bodies(event_name))

    rendered = json.loads(render_body(event_name, body))

    assert list(rendered) == [key.name for key in EVENT_TYPES[event_name].body]
    # As an object, which is always looked at closely, it comes to the same.
    objects_ = {
        key: [_AnObject(one) for one in of] if isinstance(of, list) else _AnObject(of) for key, of in body.items()
    }
    assert in_order(json.loads(render_body(event_name, objects_))) == in_order(rendered)


class _AnObject:
    """Attributes instead of keys."""

    def __init__(self, attributes):
        self.__dict__.update(attributes)
