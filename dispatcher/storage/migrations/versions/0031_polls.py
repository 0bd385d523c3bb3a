"""Webhooks whose deliveries are kept until somebody fetches them: their places in the stream, and who may fetch.

A place is given when a delivery is fetched first, not when it is made: see ADR 91.
"""

from dispatcher.storage.migrations.statements import runs

revision = "0031"
down_revision = "0030"

UPGRADE = """
create table polls (
    webhook_id int primary key references webhooks (id) on delete cascade,
    last_position bigint not null default 0,
    token_hash bytea unique,
    previous_token_hash bytea unique,
    previous_token_until timestamptz
);
comment on column polls.last_position is 'the highest place that a delivery of the webhook has; its lock is taken to give one';

alter table deliveries add column position bigint;
comment on column deliveries.position is 'place in the stream of a polled webhook; null: not fetched yet, or not polled';
-- What is kept, in order; what has no place yet comes last, by event. Nothing else has this time.
create index deliveries_kept on deliveries_waiting (webhook_id, position, event_id)
    where next_attempt_at = timestamptz '9999-12-31 00:00:01+00';
"""

DOWNGRADE = """
drop index deliveries_kept;
alter table deliveries drop column position;
drop table polls;
"""

upgrade, downgrade = runs(UPGRADE), runs(DOWNGRADE)
