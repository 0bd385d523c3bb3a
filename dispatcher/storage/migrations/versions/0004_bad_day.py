"""A bad day: webhooks that fail for days, that want their deliveries in order, or only the newest of a kind.

*A delivery knows its resource only where its webhook asked for order or superseding*, so all others cost nothing more.
One that is held back behind an earlier one of its resource is due in the year 9999: the claim passes it by as it does
everything that is not due, and whoever finishes the earlier one makes it due.
"""

from dispatcher.storage.migrations.statements import runs

revision = "0004"
down_revision = "0003"

UPGRADE = """
alter table webhooks
    add column ordering text not null default 'none'
        constraint webhooks_ordering_is_known check (ordering in ('none', 'resource')),
    add column superseding boolean not null default false,
    add column failing_since timestamptz,
    add column deactivated_at timestamptz,
    add column deactivated_reason text;
comment on column webhooks.failing_since is 'the first failure since the last success';
comment on column webhooks.deactivated_reason is 'for people: why we, not its owner, made it inactive';

alter table events_waiting add column resource text;
comment on column events_waiting.resource is 'what the event is about: name and id, such as invoice:93';

alter table deliveries drop constraint deliveries_state_is_known;
alter table deliveries add constraint deliveries_state_is_known
    check (state in ('pending', 'delivered', 'failed', 'cancelled', 'superseded'));
alter table deliveries add column resource text;
comment on column deliveries.resource is 'of webhooks with ordering or superseding only';
-- For what is held back, and for what gives way.
create index deliveries_by_resource on deliveries_waiting (webhook_id, resource, event_id) where resource is not null;
"""

DOWNGRADE = """
drop index deliveries_by_resource;
update deliveries set state = 'cancelled' where state = 'superseded';
alter table deliveries drop constraint deliveries_state_is_known;
alter table deliveries add constraint deliveries_state_is_known
    check (state in ('pending', 'delivered', 'failed', 'cancelled'));
alter table deliveries drop column resource;
alter table events_waiting drop column resource;
alter table webhooks drop column ordering, drop column superseding, drop column failing_since,
    drop column deactivated_at, drop column deactivated_reason;
"""

upgrade, downgrade = runs(UPGRADE), runs(DOWNGRADE)
