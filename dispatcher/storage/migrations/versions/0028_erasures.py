"""Payloads that are erased: of a person's events, and of events whose payloads are kept for a shorter time than they are.

*An emit pays nothing for it.* Whose an event is stands in its body, where its type says; so an erasure reads the events
of the account, in batches, instead of an index that each insert would have to write. `events.erasure` is a null that
costs no byte.
"""

from dispatcher.storage.migrations.statements import runs

revision = "0028"
down_revision = "0027"

UPGRADE = """
alter table events add column erasure text;
comment on column events.erasure is 'null: body is there; subject or retention: why it was erased. No check: each emit would pay for it';

create table erasures (
    id int generated always as identity primary key,
    account_id int not null,
    subject text,
    digest text not null,
    reached bigint not null default 0,
    events int not null default 0,
    attempts int not null default 0,
    cancelled int not null default 0,
    created_at timestamptz not null default dispatcher.now(),
    finished_at timestamptz
);
comment on table erasures is 'whose payloads were erased, by digest: to be erased again after a restore';
comment on column erasures.subject is 'the id of the person, until it is finished; null also where it was asked for by its digest';
comment on column erasures.reached is 'the last event that was looked at';
create unique index erasures_pending_are_one_per_person on erasures (account_id, digest) where finished_at is null;
create index erasures_by_account on erasures (account_id, id);

alter table event_types
    add column subjects text[] not null default '{}',
    add column payload_retention_days int constraint event_types_payloads_are_kept_a_day check (payload_retention_days > 0);
comment on column event_types.subjects is 'paths of the body where the ids of persons stand';

create table payload_retentions (
    name text primary key,
    reached bigint not null
);
comment on table payload_retentions is 'of events with such a name, up to which id payloads are erased';

-- A response that is kept may repeat a payload.
alter table idempotent_requests add column event_id bigint;
create index idempotent_requests_by_event on idempotent_requests (event_id) where event_id is not null;
"""

DOWNGRADE = """
alter table idempotent_requests drop column event_id;
drop table payload_retentions, erasures;
alter table event_types drop column subjects, drop column payload_retention_days;
alter table events drop column erasure;
"""

upgrade, downgrade = runs(UPGRADE), runs(DOWNGRADE)
