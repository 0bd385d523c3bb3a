from dispatcher.connections.schema import in_schema
from tests.support.cases import each


@each(
    ("sql", "there"),
    [
        ("select from dispatcher.events", "select from hooks.events"),
        (
            "select dispatcher.now(), nextval('dispatcher.event_counter')",
            "select hooks.now(), nextval('hooks.event_counter')",
        ),
        ("select to_regclass('dispatcher.' || %(name)s)", "select to_regclass('hooks.' || %(name)s)"),
        ("listen dispatcher_events", "listen hooks_events"),
        ("select pg_notify('dispatcher_events', '')", "select pg_notify('hooks_events', '')"),
        ("select slug || '@dispatcher.example'", "select slug || '@dispatcher.example'"),
        ("prepare dispatcher_1 as select 1", "prepare dispatcher_1 as select 1"),
        ("select dispatcher_now()", "select dispatcher_now()"),
    ],
)
def test_the_schema_of_the_tables_is_named_and_nothing_else_is_changed(sql: str, there: str) -> None:
    assert in_schema(sql, "hooks") == there
