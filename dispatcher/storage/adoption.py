"""Moves an install of a former release, whose tables lie where the search_path led, to the schema of its own.

What lies there and is not the dispatcher's, such as a service's own `orders` or `alembic_version`, is left alone.
"""

from sqlalchemy import Connection

from dispatcher.errors import UnknownRevision
from dispatcher.storage.engine import rows, scalar, scalars

_LAST = "0012"  # the last revision of such an install
_RELATIONS = (
    "accounts webhooks users clients tokens sessions events events_waiting deliveries attempts replays replay_webhooks"
    " figures_until figures_by_minute times_by_minute figures_by_hour event_counter delivery_id attempt_id"
    " alembic_version"
)
_FUNCTIONS = "dispatcher_now new_event_id event_id_of_now new_idempotency_key create_partitions caller_of"

# Where the former release found its tables: by this connection's search_path. A schema with a table of versions of its
# own is another install, which stays.
_FOUND = """
select nspname from pg_proc p join pg_namespace n on n.oid = p.pronamespace
where proname = 'dispatcher_now' and pg_function_is_visible(p.oid)
    and to_regclass(format('%%I.deliveries_waiting', nspname)) is not null
    and to_regclass(format('%%I.dispatcher_version', nspname)) is null
"""

# Sequences and indexes of a table move with it; its partitions do not. Who may use a table may use its new schema.
_MOVES = """
with old as (select oid from pg_namespace where nspname = %(old)s),
relations as (
    select c.oid, c.relkind, c.relowner, c.relacl from old join pg_class c on c.relnamespace = old.oid
    left join pg_inherits i on i.inhrelid = c.oid left join pg_class parent on parent.oid = i.inhparent
    where c.relkind in ('r', 'p', 'S')
        and coalesce(parent.relname, c.relname) = any (string_to_array(%(relations)s, ' ')))
select format('alter %%s %%s set schema %%I', case relkind when 'S' then 'sequence' else 'table' end, oid::regclass,
    %(schema)s::text) from relations
union all
select format('alter function %%s set schema %%I', p.oid::regprocedure, %(schema)s::text)
from old join pg_proc p on p.pronamespace = old.oid where proname = any (string_to_array(%(functions)s, ' '))
union all
select distinct format('grant usage on schema %%I to %%s', %(schema)s::text, coalesce(quote_ident(rolname), 'public'))
from relations cross join lateral aclexplode(relacl) granted left join pg_roles r on r.oid = granted.grantee
where granted.grantee <> relowner
"""

# Processes of the former release ask for the revision here; they go on where their search_path leads to the schema.
_FOR_THE_FORMER_RELEASE = (
    "create view dispatcher.alembic_version as select version_num from dispatcher.dispatcher_version"
)


def adopt(connection: Connection, schema: str) -> str | None:
    """Moves what a former release has made to `schema`, if there is such; returns from which schema.

    Raises UnknownRevision where its tables are at a revision that it never had.
    """
    old: str | None = scalar(connection, _FOUND)
    if old is None:
        return None
    versions = f'"{old}".alembic_version'
    is_there = scalar(connection, "select to_regclass(%(name)s) is not null", name=versions)
    revisions = scalars(connection, f"select version_num from {versions}") if is_there else []
    if len(revisions) != 1 or not "0001" <= revisions[0] <= _LAST:
        raise UnknownRevision(f"{old}.alembic_version", ", ".join(revisions))
    if old != schema:
        names = {"relations": _RELATIONS, "functions": _FUNCTIONS}
        for move in scalars(connection, _MOVES, old=old, schema=schema, **names):
            rows(connection, move)
    rows(connection, "alter table dispatcher.alembic_version rename to dispatcher_version")
    rows(connection, _FOR_THE_FORMER_RELEASE)
    return old
