"""Bodies are read and parsed for filters only of events for which a webhook has one, not of all events of its account."""

from dispatcher.storage.migrations.statements import runs

revision = "0024"
down_revision = "0023"

_FUNCTION = """
create or replace function event_bodies(ids bigint[]) returns jsonb[] language plpgsql stable as $$
begin
    return (
        select array_agg(e.body::jsonb order by wanted.n) from unnest(ids) with ordinality wanted (id, n)
        left join dispatcher.events e on e.id = wanted.id and exists (
            select from dispatcher.webhooks w
            where w.account_id = e.account_id and w.deleted_at is null and w.filter_path is not null {more}));
exception when data_exception or program_limit_exceeded then
    return (select array_agg(dispatcher.event_json(wanted.id) order by wanted.n) from unnest(ids) with ordinality wanted (id, n));
end
$$;
"""

upgrade = runs(
    _FUNCTION.format(more="and w.active and (e.name = any (w.events) or e.name like any (w.event_patterns))")
)
downgrade = runs(_FUNCTION.format(more=""))
